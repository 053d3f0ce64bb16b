"""Problem: why a version cannot be published, or is no longer what was published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from handoffs.contracts.compatibility import Difference
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.fields import Change

Rule = Literal[
    "changed", "backward", "forward", "keys", "decimal", "gap", "owner", "mode", "migration", "golden", "schema", "sensitive",
]  # fmt: skip
"""What a problem is about.

``changed``: a published version is not what it was. ``backward``: the new version cannot read what an older one wrote.
``forward``: an older version cannot read what the new one writes. ``keys``: the key fields differ. ``decimal``: a field is
rounded on its way. ``gap``: a version between is missing. ``owner``, ``mode``: not given or malformed. ``migration``: a
step is missing, fails, or loses something. ``golden``: a golden envelope cannot be made, or not be read. ``schema``: something in it could not be judged where there is no class. ``sensitive``: what was
published as sensitive is shown by the code.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with ``ref``, and what to do about it.

    ``other`` is the version to which it is compared. ``changes`` are the fields that differ between two versions, which
    ``sides`` names; ``differences`` are what one of them writes and the other does not read, and ``witness`` is an instance
    that shows it (its sensitive values masked).
    """

    rule: Rule
    ref: ContractRef
    text: str
    remedy: str
    other: ContractRef | None = None
    sides: tuple[str, str] = ("", "")
    changes: tuple[Change, ...] = ()
    differences: tuple[Difference, ...] = ()
    witness: Any = None
    has_witness: bool = False

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}"

    def to_json(self) -> dict[str, Any]:
        """The same for programs; ``witness`` is there only where there is one."""
        found: dict[str, Any] = {
            "rule": self.rule,
            "contract": self.ref.name,
            "version": self.ref.version,
            "other": None if self.other is None else str(self.other),
            "text": self.text,
            "remedy": self.remedy,
            "sides": list(self.sides),
            "changes": [
                {"path": change.path, "was": change.was, "now": change.now} for change in self.changes
            ],
            "differences": [
                {
                    "path": difference.path,
                    "kind": difference.kind,
                    "writer": difference.writer,
                    "reader": difference.reader,
                    "certain": difference.certain,
                }
                for difference in self.differences
            ],
        }
        return {**found, "witness": self.witness} if self.has_witness else found
