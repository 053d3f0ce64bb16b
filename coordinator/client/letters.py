"""Letters: dead letters, to be looked at by programs and tests."""

from __future__ import annotations

from handoffs.coordinator.client.selection import Selection
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.letter import Letter


class Letters(Selection[Letter]):
    """Dead letters, oldest first: a sequence of :class:`~handoffs.coordinator.letters.letter.Letter`, with what tests ask of it.

    ::

        letter = run.letters().only()
        assert (letter.agent, letter.reason, letter.error_class) == ("shop.ship", "error", "ValueError")

    They are those that were there when they were asked for.
    """

    __slots__ = ()

    noun = "dead letter"
    noun_of_many = "dead letters"
    kinds_known = FailureKind

    @property
    def agents(self) -> list[str]:
        """Whose step each is of."""
        return [one.agent for one in self]

    @property
    def reasons(self) -> list[str]:
        """Why each waits, in one word."""
        return [one.kind for one in self]

    @staticmethod
    def _kind_of(member: Letter) -> str:
        return member.kind

    @staticmethod
    def _place_of(member: Letter) -> tuple[str, str]:
        return member.agent, member.step

    @staticmethod
    def _told(member: Letter) -> str:
        told = f"{member.state} {member.step} {member.agent}: {member.kind}"
        return f"{told}: {member.error}: {member.text}" if member.error else f"{told}: {member.text}"
