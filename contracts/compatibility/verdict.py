"""Verdict: what a comparison of two schemas came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["compatible", "incompatible", "unknown"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the reader may refuse what the writer emits.

    ``kind`` is the reader's keyword (or ``limit`` where the comparison was given up), ``path`` a JSON pointer to the
    place in the instance (``*`` for any item or any further property), ``certain`` whether an instance proves it.
    ``writer`` is a value that may be emitted there, as JSON text, ``reader`` says what is wanted instead.
    """

    kind: str
    path: str
    writer: str
    reader: str
    certain: bool

    def __str__(self) -> str:
        if self.kind == "limit":
            return f"not decided: {self.writer}"
        doubt = "" if self.certain else " (not decided)"
        return f"{self.path or '/'}: the writer may emit {self.writer}, the reader wants {self.reader}{doubt}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every instance that the writer may emit is valid for the reader.

    ``witness`` is an instance that the writer may emit and the reader refuses; it is there exactly where ``verdict`` is
    "incompatible" (``null`` can be a witness: look at ``verdict``, not at ``witness``).
    """

    verdict: Outcome
    differences: tuple[Difference, ...] = ()
    witness: Any = None

    def __str__(self) -> str:
        return "\n".join([self.verdict, *map(str, self.differences)])
