"""Letter: why a step waits, and the message with which it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Self

from handoffs.coordinator.handoff.failure import REMEDIES
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.letters import LetterRow


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Letter(LetterRow):
    """A dead letter. What can be done with it is given to it: ``replaying`` and ``editing``, by its id."""

    replaying: Callable[[str, str], None] = field(compare=False)
    editing: Callable[[str], list[EditRow]] = field(compare=False)

    @classmethod
    def of(
        cls, row: LetterRow, replaying: Callable[[str, str], None], editing: Callable[[str], list[EditRow]]
    ) -> Self:
        """The letter of a row of the journal."""
        values = {one.name: getattr(row, one.name) for one in fields(LetterRow)}
        return cls(**values, replaying=replaying, editing=editing)

    def __hash__(self) -> int:
        return hash((self.id, self.times, self.replays))

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # nothing of it changes

    def __repr__(self) -> str:
        return f"<Letter {self.id} {self.state}: {self.flow} step {self.step} ({self.agent}): {self.kind}: {self.text}>"

    @property
    def row(self) -> LetterRow:
        """The letter as the journal has it."""
        return LetterRow(**{one.name: getattr(self, one.name) for one in fields(LetterRow)})

    @property
    def remedy(self) -> str:
        """What to do about a letter of this kind."""
        return REMEDIES.get(self.kind, "")

    @property
    def edits(self) -> list[EditRow]:
        """The edits of its input, oldest first, each with the message that was there before."""
        return self.editing(self.id)

    def replay(self, by: str = "") -> None:
        """Send the step on its way again, from where the run stands. Doing it twice has one effect.

        Raises :class:`~handoffs.coordinator.errors.RunCancelled` where the run was cancelled,
        :class:`~handoffs.contracts.errors.CoordinationError` where the message is none of ours.
        """
        self.replaying(self.id, by)
