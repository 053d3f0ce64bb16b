"""LetterDesk: dead letters by what they have in common, and what is done with many of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Unpack

from handoffs.config.user import current_user
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import is_plain
from handoffs.coordinator.client import given
from handoffs.coordinator.client.chosen_letters import Selection, chosen, put_away
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.client.operating import Begun, Operating
from handoffs.coordinator.client.operation import Operation, Pace
from handoffs.coordinator.client.replayed import Followed
from handoffs.coordinator.errors import UnknownGroup, UnknownOperation
from handoffs.coordinator.journal.groups import LetterGroup
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import PAGE, LetterFilter, LetterPage
from handoffs.coordinator.journal.operations import OperationLetter
from handoffs.coordinator.letters.archive import Archive
from handoffs.coordinator.letters.causes import Cause, cause_of
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.foresight import Foreseen, Foresight
from handoffs.coordinator.letters.operations import ARCHIVE, REPLAY, RESTORE
from handoffs.coordinator.prefix import the_one
from handoffs.coordinator.services import Services


@dataclass(frozen=True, slots=True)
class LetterKind:
    """How many letters of one kind wait, what they have as their ``cause``, and when the ``oldest`` of them failed first (ISO 8601, UTC)."""

    kind: str
    cause: Cause
    count: int
    oldest: str


class LetterDesk:
    """The part of a coordinator with which people work on many dead letters. Every method raises
    :class:`~handoffs.coordinator.errors.ServerError` where Redis, the broker or the journal cannot be used."""

    def __init__(
        self, services: Services, journal: Journal, desk: Desk, followed: Followed, loaded: Loaded
    ) -> None:
        self._records = journal
        self._of_letters = desk
        self.operating = Operating(journal, desk, Archive(services, journal), followed)
        """Goes on with operations, for who shows how far they are."""
        self._foresight = Foresight(services, loaded.agents)

    # Letters

    def letters_page(self, *, after: str = "", limit: int = 50, **chosen: Unpack[LetterFilter]) -> LetterPage:
        """Some dead letters that wait, the oldest first, chosen as :meth:`Coordinator.dead_letters` chooses; ``after`` is ``next`` of the page
        before. Raises :class:`~handoffs.contracts.errors.InvalidData` for what chooses none, and for what begins no page."""
        given.letters(limit, chosen)
        if not is_plain(given.text(after, "the place of a page")):
            raise InvalidData("there is no such page", "nothing was looked up", "begin with the first one")
        if chosen.get("group"):
            self._records.groups.fill()
        return self._records.letters.page(after=after, limit=max(1, min(limit, PAGE)), **chosen)

    def letter_kinds(self, **chosen: Unpack[LetterFilter]) -> list[LetterKind]:
        """How many dead letters wait, by the kind of what befell them, the most frequent first; chosen as
        :meth:`Coordinator.dead_letters` chooses."""
        given.letters(None, chosen)
        found = self._records.letters.by_reason(**chosen)
        kinds = [LetterKind(kind, cause_of(kind), count, oldest) for kind, (count, oldest) in found.items()]
        return sorted(kinds, key=lambda one: (-one.count, one.kind))

    # Groups

    def letter_groups(
        self, *, flow: str = "", agent: str = "", kind: str = "", limit: int | None = 50
    ) -> list[LetterGroup]:
        """The dead letters that wait, by step, contract version, kind and error, the largest group first, at most ``limit`` (None: all of
        them); those of a ``flow``, an ``agent``, a ``kind``. ::

            for group in coordinator.letter_groups():
                print(group.id, group.count, group.agent, group.text, group.owner)
        """
        most = given.limit(limit, "groups of dead letters")
        for value, what in ((flow, "flow"), (agent, "agent"), (kind, "kind")):
            given.text(value, f"the {what} of groups")
        self._records.groups.fill()
        return self._records.groups.find(limit=most, flow=flow, agent=agent, kind=kind)

    def letter_group(self, group_id: str) -> LetterGroup:
        """The group of that id, or the one whose id begins so, four characters at least.

        Raises :class:`~handoffs.coordinator.errors.UnknownGroup` where no letter of it waits, and
        :class:`~handoffs.coordinator.errors.AmbiguousId`.
        """
        given.text(group_id, "the id of a group")
        groups = self._records.groups
        groups.fill()
        known = the_one(
            "group", group_id, groups.beginning_with, UnknownGroup, "coordinator dead-letters groups"
        )
        for found in groups.find(only=known):
            return found
        raise UnknownGroup(
            f"no dead letter of group {known} waits", remedy="list them: coordinator dead-letters groups"
        )

    def note_group(self, group_id: str, note: str, *, owner: str = "", by: str = "") -> LetterGroup:
        """Give a group a note and an owner, in place of those that it has; either may be empty. They are kept for when it comes back,
        and who did it is recorded. Raises what :meth:`letter_group` raises."""
        for value, what in ((note, "the note of a group"), (owner, "its owner"), (by, "who notes it")):
            given.text(value, what, "nothing was changed")
        found = self.letter_group(group_id)
        self._records.groups.note(found.id, note, owner, by=by or current_user())
        return self.letter_group(found.id)

    # Operations

    def replay_letters(
        self,
        selection: Selection,
        *,
        canary: int = 0,
        rate: float | None = None,
        stop_on_recurrence: bool = False,
        canary_wait: float = 600.0,
        by: str = "",
        why: str = "",
    ) -> Operation:
        """Replay many dead letters, those that ``selection`` chooses now: a letter, some of them or their ids, a group, or a filter. What
        fails from now on is not among them. Returns when it is over, or stopped. ::

            coordinator.replay_letters({"flow": "shop.order"}, canary=5, rate=20, stop_on_recurrence=True, why="the price list is there")

        The first ``canary`` letters go before the others, and are waited for, up to ``canary_wait`` seconds: where one of them parks again,
        or is still at work then, the operation is stopped. At most ``rate`` letters a second are replayed. With
        ``stop_on_recurrence`` it is stopped as soon as one parks again for the same cause. Where this process dies,
        :meth:`resume_operation` goes on, and replays none twice.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for what chooses no letters, and for numbers that are none, and
        :class:`~handoffs.coordinator.errors.UnknownLetter` where an id is no letter's.

        Many parameters because each is a choice of its own.
        """
        pace = given.pace(canary, canary_wait, rate, stop_on_recurrence)
        begun = self.operating.begin(REPLAY, selection, pace, by=by, why=why)
        return self._go_on(begun)

    def archive_letters(self, selection: Selection, *, by: str = "", why: str = "") -> Operation:
        """Put away dead letters that nobody will replay: they wait no more, and are counted in no group. They are kept,
        :meth:`restore_letters` brings them back, and so does a replay of one by its id. Their runs stay as they are, and are kept from expiring no longer: cancel those that are not wanted.

        Raises what :meth:`replay_letters` raises.
        """
        return self._go_on(self.operating.begin(ARCHIVE, selection, Pace(), by=by, why=why))

    def restore_letters(self, selection: Selection, *, by: str = "", why: str = "") -> Operation:
        """Bring back dead letters that were put away: they wait again. A filter chooses among those that are put away. One whose step has
        its outcome by now, or whose run was cancelled meanwhile, waits no more.

        Raises what :meth:`replay_letters` raises.
        """
        return self._go_on(self.operating.begin(RESTORE, put_away(selection), Pace(), by=by, why=why))

    def foresee_letters(self, selection: Selection) -> Iterator[Foreseen]:
        """What a replay of these letters would meet, one after the other: whether it would be refused, whether the workers of today read
        its contract version, whether its step has an outcome by now. Nothing is changed. Raises what :meth:`replay_letters` raises."""
        picked = chosen(selection)
        if isinstance(picked.letters, tuple):
            return self._foresight.of([self._of_letters.letter(one) for one in picked.letters])
        if picked.letters.get("group"):
            self._records.groups.fill()
        return self._foresight.of(self._of_letters.each(**picked.letters))

    def operations(self, *, limit: int | None = 50, after: str = "") -> list[Operation]:
        """What was done with many letters at once, the newest first, at most ``limit`` (None: all of it); ``after`` is the id of the last one
        that is known already."""
        most = given.limit(limit, "operations")
        known = self._operation_id(after) if given.text(after, "the id of an operation") else ""
        return [Operation.of(row) for row in self._records.operations.find(most, after=known)]

    def operation(self, operation_id: str) -> Operation:
        """The operation of that id, or the one whose id begins so, four characters at least.

        Raises :class:`~handoffs.coordinator.errors.UnknownOperation` and :class:`~handoffs.coordinator.errors.AmbiguousId`.
        """
        operations = self._records.operations
        known = self._operation_id(operation_id)
        operations.note_parked(known)
        row = operations.get(known)
        if row is None:
            raise UnknownOperation(
                f"there is no operation {known}", remedy="list them: coordinator operations list"
            )
        return Operation.of(row)

    def operation_letters(
        self, operation_id: str, *, state: str = "", again: bool = False, after: int = -1
    ) -> Iterator[OperationLetter]:
        """The letters of an operation in their order, each with what came of it; those of one ``state``, or all; those that parked ``again``,
        for whatever cause; those whose position is above ``after``. No more than a page of them is held. Raises what
        :meth:`operation` raises."""
        given.text(state, "the state of letters")
        known = self._operation_id(operation_id)
        while page := self._records.operations.letters(known, state=state, again=again, after=after):
            yield from page
            after = page[-1].position

    def cancel_operation(self, operation_id: str, *, by: str = "", why: str = "") -> Operation:
        """End an operation: whoever does it stops before the next letter. What was replayed stays so.

        Raises what :meth:`operation` raises, and :class:`~handoffs.coordinator.errors.OperationOver`.
        """
        given.text(by, "who cancels it", "nothing was changed"), given.text(why, "why", "nothing was changed")
        known = self._operation_id(operation_id)
        if not self._records.operations.cancel(known, by=by or current_user(), why=why):
            raise self.operating.over(known)
        return self.operation(known)

    def resume_operation(self, operation_id: str, *, by: str = "") -> Operation:
        """Go on with an operation that was stopped, or whose process has died; where one still does it, that one ends. What was stopped for
        its canary goes on past it. No letter is replayed twice: a letter that the process before was at is looked at first.

        Raises what :meth:`operation` raises, and :class:`~handoffs.coordinator.errors.OperationOver`.
        """
        given.text(by, "who resumes it", "nothing was changed")
        return self._go_on(self.operating.take(self._operation_id(operation_id), by=by))

    def _go_on(self, begun: Begun) -> Operation:
        self.operating.go_on(begun)
        return self.operation(begun.id)

    def _operation_id(self, operation_id: str) -> str:
        given.text(operation_id, "the id of an operation")
        known = self._records.operations.beginning_with
        return the_one("operation", operation_id, known, UnknownOperation, "coordinator operations list")
