"""Archive: letters that nobody will replay are put away, and can be brought back."""

from __future__ import annotations

from handoffs.config.user import current_user
from handoffs.coordinator.errors import UnknownLetter
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterSummary
from handoffs.coordinator.letters.ended import ended_as
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef


class Archive:
    """Puts letters away, and records who did. Every method raises :class:`~handoffs.coordinator.errors.UnknownLetter` where there is no
    such letter, and :class:`~handoffs.coordinator.errors.ServerError`."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    def put_away(self, letter_id: str, by: str = "", why: str = "") -> bool:
        """Have a letter wait no more; False where it does not wait. Its run stays as it is."""
        letter = self._letter(letter_id)
        done = self._journal.letters.archive(letter)
        if done:
            self.record("archive", letter, by, why)
        return done

    def bring_back(self, letter_id: str, by: str = "", why: str = "") -> bool:
        """Have a letter wait again that was put away, unless its step has its outcome by now, or its run was cancelled: then it is in that
        state. False where it is not put away."""
        letter = self._letter(letter_id)
        done = self._journal.letters.restore(letter, self._state(letter))
        if done:
            self.record("restore", letter, by, why)
        return done

    def record(self, action: str, letter: LetterSummary, by: str, why: str) -> None:
        """Record what was done with a letter."""
        who = by or current_user()
        self._journal.actions.record(action, who=who, run=letter.run, letter=letter.id, note=why)

    def _state(self, letter: LetterSummary) -> str:
        place = StepRef(letter.run, letter.flow, letter.step)
        if not letter.run or not letter.step:
            return "waiting"
        if ended_as(self._services, place) in {"cancelled", "compensating"}:
            return "cancelled"
        settled = letter.kind != FailureKind.NOT_PASSED_ON and self._services.store.settled(place)
        return "settled" if settled else "waiting"

    def _letter(self, letter_id: str) -> LetterSummary:
        letter = self._journal.letters.summary(letter_id)
        if letter is None:
            raise UnknownLetter(f"there is no dead letter {letter_id}")
        return letter
