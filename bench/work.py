"""Work: what every side of a benchmark does, and how its result is checked. A document of about 1 KB goes through steps that do
nothing but count themselves."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Document: TypeAlias = dict[str, Any]
Shape: TypeAlias = Literal["chain", "fan-out", "pause", "async pause"]

WIDTH = 15
"""Parts of a fan-out."""
TEXT = 960
"""Characters of text in a document, so that it has about 1 KB."""
PAGE = 100_000
"""Characters of one text at most: the product refuses a text of more than 262,144 in any message."""


class WrongResult(Exception):
    """A side has given a result that is not the one of its job: no figure is made of it."""


def document(text: int = TEXT, wait: float = 0.0) -> Document:
    """A new document with so many characters of text; a step that waits, waits ``wait`` seconds."""
    first = min(text, PAGE)
    pages = ["x" * min(text - at, PAGE) for at in range(first, text, PAGE)]
    return {"id": uuid.uuid4().hex, "text": "x" * first, "pages": pages, "steps": 0, "wait": wait}


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a ``chain`` of ``length`` steps; a ``fan-out``, which is a step, 15 parts side by side, and a join; or one step that
    waits for as long as its document says, in a thread or (``async pause``) without."""

    shape: Shape = "chain"
    length: int = 3
    document: Document = field(default_factory=document)

    @property
    def steps(self) -> int:
        """How many steps its result has counted."""
        match self.shape:
            case "chain":
                return self.length
            case "fan-out":
                return 2 * WIDTH + 1  # each part has the first step's count as well
            case _:
                return 1

    def check(self, result: Any) -> None:
        """Raises :class:`WrongResult` where ``result`` is not what comes of this job."""
        expected = {**self.document, "steps": self.steps}
        if result != expected:
            raise WrongResult(f"a {self.shape} gave {_told(result)}, and not {_told(expected)}")


def stepped(given: Mapping[str, Any]) -> Document:
    """What a step makes of a document."""
    return {**given, "steps": given["steps"] + 1}


def joined(parts: Sequence[Mapping[str, Any]]) -> Document:
    """What a join makes of the documents of its parts."""
    return stepped({**parts[0], "steps": sum(part["steps"] for part in parts)})


def _told(result: Any) -> str:
    if not isinstance(result, Mapping):
        return repr(result)[:200]
    lengths = {name: len(value) for name, value in result.items() if isinstance(value, (str, list))}
    return str({**result, **lengths})[:200]
