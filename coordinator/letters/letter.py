"""Letter: why a step waits, and the message with which it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self

from handoffs.coordinator.cases.case import ExportedCase
from handoffs.coordinator.handoff.failure import FailureKind, remedy_of
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.letter_row import LetterDetails, LetterRow, LetterSummary

_SUMMARY = fields(LetterSummary)
_KINDS = frozenset(map(str, FailureKind))


class LetterAccess(Protocol):
    """What a letter asks, by its id, for what it does not have in hand."""

    def row(self, letter_id: str) -> LetterRow:
        """The whole letter."""

    def details(self, letter_id: str) -> LetterDetails:
        """Its input and traceback."""

    def edits(self, letter_id: str) -> list[EditRow]:
        """Its edits, oldest first."""

    def refusal(self, letter_id: str) -> str:
        """Why a replay would be refused."""

    def replay(self, letter_id: str, by: str = "", why: str = "") -> None:
        """Send its step on its way again."""

    def as_test(self, letter: Letter) -> ExportedCase:
        """The letter as a test."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Letter(LetterSummary):
    """A dead letter: why a step waits, and with what it goes on.

    ``id``, ``run``, ``flow``, ``step``, ``agent`` and ``contract`` (what the input was written as) say of what it is; ``kind``,
    ``error`` (the name of the error's class) and ``text`` why; ``attempt`` and ``worker`` where. ``state`` is ``waiting``, ``replayed``,
    ``settled`` (the step has its outcome by another way), ``cancelled`` or ``unheard``; ``times`` counts how often it was parked,
    ``replays`` how often it was sent again; ``first_failed_at`` and ``last_failed_at`` are ISO 8601, in UTC.

    What may be large of it is read where it is asked for, once: :attr:`payload`, :attr:`trace`, :attr:`message`.
    """

    access: LetterAccess = field(compare=False)
    read: dict[str, Any] = field(compare=False, default_factory=dict)

    @classmethod
    def of(cls, row: LetterSummary, access: LetterAccess) -> Self:
        """The letter of a row of the journal."""
        values = {one.name: getattr(row, one.name) for one in _SUMMARY}
        return cls(**values, access=access)

    def __hash__(self) -> int:
        return hash((self.id, self.times, self.replays))

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # nothing of it changes

    def __repr__(self) -> str:
        return f"<Letter {self.id} {self.state}: {self.flow} step {self.step} ({self.agent}): {self.kind}: {self.text}>"

    @property
    def reason(self) -> FailureKind | str:
        """Why it waits: ``error``, ``invalid-input``, ...; a plain text where a newer release wrote what this one does not know."""
        return FailureKind(self.kind) if self.kind in _KINDS else self.kind

    @property
    def error_class(self) -> str:
        """The name of the error's class."""
        return self.error

    @property
    def payload(self) -> Any:
        """The input with sensitive values masked; None where it could not be read."""
        return self._details.payload

    @property
    def trace(self) -> str:
        """Where it failed, in the agent's own code first, as text; empty where no agent's code was reached."""
        return self._details.trace

    @property
    def message(self) -> dict[str, Any]:
        """The message itself. Raises :class:`~handoffs.coordinator.errors.SealBroken` where its key is not there."""
        return self.row.message

    @property
    def row(self) -> LetterRow:
        """The letter as the journal has it, whole. Raises what :attr:`message` raises."""
        if "row" not in self.read:
            self.read["row"] = self.access.row(self.id)
        row: LetterRow = self.read["row"]
        return row

    @property
    def remedy(self) -> str:
        """What to do about a letter of this kind."""
        return remedy_of(self.kind, self.id)

    @property
    def edits(self) -> list[EditRow]:
        """The edits of its input, oldest first, each with the message that was there before."""
        return self.access.edits(self.id)

    def refusal(self) -> str:
        """Why :meth:`replay` would be refused, in words; empty where nothing speaks against it. Nothing is changed."""
        return self.access.refusal(self.id)

    def replay(self, by: str = "", why: str = "") -> None:
        """Send the step on its way again, from where the run stands. Doing it twice has one effect. Who did it (``by``, by default who
        is logged in) and ``why`` are kept.

        Raises :class:`~handoffs.coordinator.errors.RunCancelled` where the run was cancelled,
        :class:`~handoffs.contracts.errors.CoordinationError` where the message is none of ours.
        """
        self.access.replay(self.id, by, why)

    def as_test(self) -> ExportedCase:
        """A module for pytest in which the agent alone, given the same input in eager mode, is parked for the same reason and by the same
        error. Sensitive values are masked in it, and the test fails until they are filled in. ::

            Path("tests/test_letter.py").write_text(letter.as_test().text, "utf-8")

        Raises :class:`~handoffs.coordinator.errors.ExportRefused` where that does not follow from the agent and its input, or the input
        could not be read, and :class:`~handoffs.coordinator.errors.LoadError` where the agent is not loaded here.
        """
        return self.access.as_test(self)

    @property
    def _details(self) -> LetterDetails:
        if "details" not in self.read:
            self.read["details"] = self.access.details(self.id)
        details: LetterDetails = self.read["details"]
        return details
