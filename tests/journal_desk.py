"""What every database must do with groups of letters and with operations on them: the same tests on SQLite and on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import text

from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.journal.operations import (
    AGAIN,
    CANCELLED,
    CLAIMED,
    DONE,
    ELSEWISE,
    GONE,
    PENDING,
    STOPPED,
    Order,
)
from tests.builds import manifest
from tests.journal_suite import connected, letter

MANY = 100_000
_LETTERS = "handoff_dead_letters"


def at(second: int) -> str:
    """A moment, as letters have theirs."""
    return f"2026-01-01T00:{second // 60:02}:{second % 60:02}.000+00:00"


def failed(number: int, told: str = "no price for", **values: Any) -> LetterRow:
    """A letter that failed in that second."""
    moment = {"first_failed_at": at(number), "last_failed_at": at(number)}
    return letter(f"letter-{number:03}", text=f"{told} {number}", **{**moment, **values})


class DeskSuite:
    """Groups and operations. The fixture ``url`` is an empty database."""

    @pytest.fixture
    def journal(self, url: str) -> Iterator[Journal]:
        """An empty journal."""
        with closing(Journal(url)) as made:
            yield made

    def test_letters_are_grouped_by_step_version_kind_and_error(self, journal: Journal) -> None:
        """Those that wait; the largest group first."""
        other = [
            failed(50, step="3.i7.1"), failed(51, step="3.i8.1"), failed(52, contract="shop.order/2"), failed(53, kind="conflict"),
            failed(54, error="KeyError"), failed(55, told="no shelf"), failed(56, state="replayed"), failed(57, agent="shop.ship"),
        ]  # fmt: skip
        journal.letters.add_all([*map(failed, range(5)), *other])
        found = journal.groups.find()
        assert [group.count for group in found] == [5, 2, 1, 1, 1, 1, 1]
        assert journal.groups.total() == 7
        first, second = found[:2]
        assert (first.step, first.text, first.first, first.last) == ("1", "no price for #", at(0), at(4))
        assert (first.example, first.workers, first.agent) == ("letter-004", ("w",), "shop.price")
        assert second.step == "3.i*.1"
        assert journal.groups.find(limit=1) == [first]
        assert journal.groups.find(only=second.id) == [second]
        assert journal.groups.beginning_with(first.id[:6], 5) == [first.id]
        assert [row.id for row in journal.letters.find(group=second.id)] == ["letter-050", "letter-051"]

    def test_groups_of_a_flow_an_agent_a_kind(self, journal: Journal) -> None:
        """Only those, and only those are counted."""
        others = [failed(1, flow="shop.late"), failed(2, agent="shop.ship"), failed(3, kind="poison")]
        journal.letters.add_all([failed(0), *others])
        chosens: list[dict[str, Any]] = [{"flow": "shop.late"}, {"agent": "shop.ship"}, {"kind": "poison"}]
        for chosen in chosens:
            [found] = journal.groups.find(**chosen)
            assert {name: getattr(found, name) for name in chosen} == chosen
            assert journal.groups.total(**chosen) == 1

    def test_letters_come_page_by_page(self, journal: Journal) -> None:
        """Each once, the oldest first, whatever has the same moment; what fails meanwhile comes at the end."""
        same = [failed(number, first_failed_at=at(1)) for number in range(5)]
        journal.letters.add_all([*same, failed(7), failed(8, state="settled")])
        seen, page = [], journal.letters.page(limit=2)
        journal.letters.add(failed(9))
        while True:
            seen += [one.id for one in page.letters]
            if not page.next:
                break
            page = journal.letters.page(after=page.next, limit=2)
        assert seen == [f"letter-{number:03}" for number in (0, 1, 2, 3, 4, 7, 9)]
        assert [one.id for one in journal.letters.page(state="settled").letters] == ["letter-008"]
        assert journal.letters.total(most=3) == 3
        assert journal.letters.total(most=100) == 7
        for odd in (0, 1_001):
            with pytest.raises(ValueError, match="a page has"):
                journal.letters.page(limit=odd)

    def test_letters_by_their_ids_and_by_their_kinds(self, journal: Journal) -> None:
        """Those that are known; of the kinds how many there are of what is chosen, and since when."""
        journal.letters.add_all(
            [failed(1), failed(2, kind="poison"), failed(3, kind="poison", flow="shop.late")]
        )
        assert set(journal.letters.summaries(["letter-001", "nobody", "letter-003"])) == {
            "letter-001",
            "letter-003",
        }
        assert journal.letters.by_reason() == {"error": (1, at(1)), "poison": (2, at(2))}
        assert journal.letters.by_reason(flow="shop.late") == {"poison": (1, at(3))}

    def test_only_what_is_put_away_is_brought_back(self, journal: Journal) -> None:
        """Into the state that is said; what waits stays as it is."""
        row = failed(1)
        journal.letters.add(row)
        assert not journal.letters.restore(row)
        assert journal.letters.archive(row)
        assert journal.letters.restore(row, "settled")
        assert [one.state for one in journal.letters.find(state=None)] == ["settled"]

    def test_operations_come_page_by_page(self, journal: Journal) -> None:
        """The newest first, each once, also those of one moment."""
        made = {journal.operations.begin(Order("replay", "none", "ann"), []) for _ in range(5)}
        seen: list[str] = []
        while page := journal.operations.find(2, after=seen[-1] if seen else ""):
            seen += [one.id for one in page]
        assert seen == [one.id for one in journal.operations.find()]
        assert set(seen) == made

    def test_how_they_came_over_time(self, journal: Journal) -> None:
        """Each letter is counted in one part of the time, the last one too."""
        journal.letters.add_all([*map(failed, range(10)), failed(200)])
        [group] = journal.groups.find()
        assert group.counts == (10, *(0,) * 18, 1)
        journal.letters.mark("letter-200", "settled")
        parts = {int(second / 0.45) if second < 9 else 19 for second in range(10)}
        assert journal.groups.find()[0].counts == tuple(int(part in parts) for part in range(20))
        for number in range(1, 10):
            journal.letters.mark(f"letter-{number:03}", "settled")
        assert journal.groups.find()[0].counts == (1,)

    def test_what_an_older_release_wrote_is_named_where_it_is_asked_for(
        self, journal: Journal, url: str
    ) -> None:
        """Letters without a name, or with one by another rule, are found and named, page by page."""
        journal.letters.add_all(list(map(failed, range(7))))
        [group] = journal.groups.find()
        with connected(url) as connection:
            connection.execute(text(f"update {_LETTERS} set fingerprint = '' where id < 'letter-003'"))
            connection.execute(text(f"update {_LETTERS} set fingerprint = '0abc' where id = 'letter-003'"))
            connection.execute(text(f"update {_LETTERS} set fingerprint = '2abc' where id = 'letter-004'"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("handoffs.coordinator.journal.groups.PAGE", 2)
            assert journal.groups.fill() == 5
        assert journal.groups.fill() == 0
        assert journal.groups.find() == [group]

    def test_a_group_is_new_since_a_deployment(self, journal: Journal) -> None:
        """The builds of the agent that were deployed meanwhile are named, and the newest where nothing of the group was there before."""
        journal.letters.add(failed(1))
        journal.deployments.record(manifest("shop.price", accepts={"shop.order": [1]}, build="old"), "ann")
        assert (journal.groups.find()[0].builds, journal.groups.find()[0].new_since) == ((), "")
        journal.letters.add(failed(2, "no shelf", first_failed_at="2999-01-01", last_failed_at="2999-01-01"))
        [new] = [group for group in journal.groups.find() if group.text == "no shelf #"]
        assert (new.builds, new.new_since) == (("old",), "old")
        journal.letters.add(failed(3, "no shelf", state="settled"))
        [known] = [group for group in journal.groups.find() if group.text == "no shelf #"]
        assert (known.builds, known.new_since) == (("old",), "")

    def test_a_note_stays_with_its_group(self, journal: Journal, url: str) -> None:
        """Also where nothing of it waits meanwhile; who noted it is recorded; another installation has its own."""
        journal.letters.add(failed(1))
        [group] = journal.groups.find()
        journal.groups.note(group.id, "the list of March", "ann", by="bob")
        journal.groups.note(group.id, "the list of May", "eve", by="ann")
        journal.letters.mark("letter-001", "settled")
        assert journal.groups.find() == []
        journal.letters.add(failed(2))
        [group] = journal.groups.find()
        assert (group.note, group.owner, group.noted_by) == ("the list of May", "eve", "ann")
        assert [one.note for one in journal.actions.of("")] == [
            f"group {group.id}, owner ann: the list of March", f"group {group.id}, owner eve: the list of May",
        ]  # fmt: skip
        with closing(Journal(url, namespace="other")) as other:
            assert other.groups.find() == []
            other.letters.add(failed(2))
            assert other.groups.find()[0].note == ""

    def test_very_many_letters_are_grouped_in_seconds(self, journal: Journal, url: str) -> None:
        """A hundred thousand of fifty causes, and those that an older release wrote are named first."""
        journal.letters.add(failed(0))
        columns = "state, run, flow, step, kind, error, contract, attempt, worker, payload, times, replays, message, namespace, trace"
        numbers = (
            f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {MANY}) "
            f"insert into {_LETTERS} (id, agent, text, first_failed_at, last_failed_at, fingerprint, {columns}) "
            f"select 'many-' || i, 'shop.a' || (i % 50), 'no price for ' || i, first_failed_at, last_failed_at, '', {columns} "
            f"from {_LETTERS}, n where id = 'letter-000'"
        )
        with connected(url) as connection:
            connection.execute(text(numbers))
        assert journal.groups.fill() == MANY
        began = time.monotonic()
        found = journal.groups.find(limit=50)
        assert time.monotonic() - began < 20
        assert sum(group.count for group in found) == MANY

    # Operations

    def begun(self, journal: Journal, chosen: Any = None, kind: str = "replay") -> str:
        """An operation on the letters that are there."""
        order = Order(kind, "all that wait", "ann", "why", {"rate": 2.0})
        return journal.operations.begin(order, {} if chosen is None else chosen)

    def test_an_operation_is_a_snapshot(self, journal: Journal) -> None:
        """What comes later is not caught; what was moved, or parked once more, before its turn is left as it is."""
        journal.letters.add_all([*map(failed, range(4)), failed(9, state="settled")])
        operation = self.begun(journal)
        journal.letters.add(failed(5))
        journal.letters.mark("letter-001", "settled")
        journal.letters.add(failed(2, last_failed_at=at(8)))
        seen = []
        while one := journal.operations.claim(operation, 1):
            seen.append(one.letter)
            journal.operations.conclude(operation, one.position, DONE)
        assert seen == ["letter-000", "letter-003"]
        assert [(one.letter, one.state, one.told) for one in journal.operations.letters(operation, state=GONE)] == [
            ("letter-001", GONE, "it is settled by now"), ("letter-002", GONE, "it was parked once more meanwhile"),
        ]  # fmt: skip
        row = journal.operations.get(operation)
        assert row is not None
        assert (row.counts, row.options, row.who, row.why) == (
            {DONE: 2, GONE: 2},
            {"rate": 2.0},
            "ann",
            "why",
        )

    def test_letters_are_chosen_by_their_ids_or_a_filter(self, journal: Journal) -> None:
        """In the order in which they are given, in whatever state; or those that wait, the oldest first."""
        journal.letters.add_all(
            [*map(failed, range(3)), failed(7, state="replayed"), failed(8, agent="shop.ship")]
        )
        named = self.begun(journal, ["letter-007", "letter-001", "letter-007", "nobody"])
        assert [one.letter for one in journal.operations.letters(named)] == ["letter-007", "letter-001"]
        shipped = self.begun(journal, {"agent": "shop.ship"})
        assert [one.letter for one in journal.operations.letters(shipped)] == ["letter-008"]
        first = journal.operations.claim(named, 1)
        assert first is not None
        assert (first.letter, first.was, first.state) == ("letter-007", "replayed", CLAIMED)

    def test_who_takes_an_operation_has_it(self, journal: Journal) -> None:
        """The one before claims nothing any more, and ends nothing."""
        journal.letters.add_all(list(map(failed, range(3))))
        operation = self.begun(journal)
        assert journal.operations.claim(operation, 1) is not None
        assert journal.operations.take(operation, by="eve", canary_passed=True) == 2
        assert journal.operations.claim(operation, 1) is None
        assert not journal.operations.end(operation, 1, DONE)
        assert [one.letter for one in journal.operations.letters(operation, state=CLAIMED)] == ["letter-000"]
        second = journal.operations.claim(operation, 2)
        assert second is not None
        assert second.letter == "letter-001"
        row = journal.operations.get(operation)
        assert row is not None
        assert (row.turn, row.options) == (2, {"rate": 2.0, "canary_passed": True})
        assert journal.operations.end(operation, 2, STOPPED, "enough")
        assert journal.operations.take(operation, by="ann") == 3

    def test_a_cancelled_operation_is_over(self, journal: Journal) -> None:
        """Nothing is claimed for it from then on, and nobody takes it; what was done to it is recorded."""
        journal.letters.add_all(list(map(failed, range(3))))
        operation = self.begun(journal)
        assert journal.operations.cancel(operation, by="eve", why="too many")
        assert not journal.operations.cancel(operation, by="eve")
        assert journal.operations.claim(operation, 1) is None
        assert journal.operations.take(operation, by="ann") is None
        [row] = journal.operations.find()
        assert (row.state, row.told, row.counts) == (CANCELLED, "too many", {PENDING: 3})
        assert [(one.action, one.who) for one in journal.actions.of("")] == [
            ("begin-replay", "ann"), ("cancel-operation", "eve"),
        ]  # fmt: skip

    def test_what_parks_again_is_told_once(self, journal: Journal) -> None:
        """With whether it was for the same cause."""
        journal.letters.add_all(list(map(failed, range(3))))
        operation = self.begun(journal)
        while one := journal.operations.claim(operation, 1):
            journal.letters.mark(one.letter, "replayed")
            journal.operations.conclude(operation, one.position, DONE)
        assert journal.operations.note_parked(operation) == []
        journal.letters.add(failed(0, last_failed_at=at(10)))
        journal.letters.add(failed(1, "no shelf", last_failed_at=at(10)))
        assert journal.operations.note_parked(operation) == [("letter-000", True), ("letter-001", False)]
        assert journal.operations.note_parked(operation) == []
        row = journal.operations.get(operation)
        assert row is not None
        assert row.counts == {DONE: 3, AGAIN: 1, ELSEWISE: 1}

    def test_a_letter_is_put_away_once(self, journal: Journal) -> None:
        """Where it waits, and has not failed once more meanwhile; parked once more it waits again."""
        row = failed(1)
        journal.letters.add(row)
        assert not journal.letters.archive(failed(1, last_failed_at=at(9)))
        assert journal.letters.archive(row)
        assert not journal.letters.archive(row)
        assert [one.state for one in journal.letters.find(state=None)] == ["archived"]
        journal.letters.add(failed(1, last_failed_at=at(9)))
        assert [one.state for one in journal.letters.find()] == ["waiting"]

    def test_each_installation_has_its_own_operations(self, journal: Journal, url: str) -> None:
        """The same letters elsewhere are not touched, and the operation is not there."""
        journal.letters.add(failed(1))
        operation = self.begun(journal)
        with closing(Journal(url, namespace="other")) as other:
            other.letters.add(failed(1))
            assert other.operations.find() == []
            assert other.operations.get(operation) is None
            assert other.operations.claim(operation, 1) is None
            assert not other.operations.cancel(operation, by="eve")
            own = self.begun(other)
            [one] = other.operations.letters(own)
            assert one.letter == "letter-001"
            assert journal.operations.beginning_with(own[:8], 5) == []
        assert [row.id for row in journal.operations.find()] == [operation]
