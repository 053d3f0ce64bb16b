"""Record: an outcome as it is kept, and the step of a run that it is of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from handoffs.contracts import strictjson

Entry = dict[str, Any]
"""A history entry: JSON values, redacted. See coordinator/history.py."""


def entry_text(entry: Entry | None) -> str:
    """A history entry as it is kept, its kind first, where scripts find it; empty where there is none."""
    return strictjson.dumps({"kind": entry["kind"], **entry}) if entry else ""


@dataclass(frozen=True, slots=True)
class StepRef:
    """A step of a run."""

    run: str
    flow: str
    step: str


@dataclass(frozen=True, slots=True)
class Record:
    """An outcome as it is kept: the URI of its contract version, and its data as JSON text.

    For a join, ``schema`` has ``branch=uri`` for each part, joined by spaces. ``events`` are those that were emitted with
    it, as JSON text: a list of (URI, data).
    """

    schema: str
    data: str
    events: str = ""
    value: Any = field(default=None, compare=False, repr=False)
    """The data, where it has been parsed here already."""

    def parsed(self) -> Any:
        """The data."""
        return json.loads(self.data) if self.value is None else self.value

    def text(self) -> str:
        return f"{self.schema}\n{self.data}\n{self.events}" if self.events else self.part()

    def part(self) -> str:
        """Without the events: what goes on."""
        return f"{self.schema}\n{self.data}"

    def digest(self) -> str:
        """Names the record, in 16 digits: enough to tell it from another outcome of the same lease."""
        return hashlib.sha256(self.text().encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @classmethod
    def parse(cls, text: str) -> Record:
        schema, _, rest = text.partition("\n")
        return cls(schema, *rest.split("\n", 1))
