"""What every database must do with the chains of the journal: whatever is changed in it by hand is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from handoffs.coordinator.journal import chain
from handoffs.coordinator.journal.faults import Fault
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.runs import Noted
from handoffs.coordinator.journal.verification import Verified
from tests.journal_suite import connected, make_previous

LENGTH = 6
RUNS = ("run-1", "run-2", "run-3")


def entry(run: str, number: int, **values: Any) -> tuple[str, dict[str, Any]]:
    """An entry of a run, with its source."""
    at = f"2026-01-01T00:00:{number:02}.000+00:00"
    told = {
        "kind": "settled",
        "run": run,
        "flow": "shop.order",
        "at": at,
        "output": {"number": number, "text": "é\x00"},
    }
    return f"0/{run}-{number}", {**told, **values}


def written(journal: Journal) -> None:
    """Three runs of six entries, one after another, and four actions."""
    for number in range(1, LENGTH + 1):
        journal.history.record([entry(run, number) for run in RUNS])
    journal.runs.note({run: Noted("shop.order", "completed", "2026-01-01", "") for run in RUNS})
    for number in range(3):
        journal.actions.record("skip", who="ann", run=RUNS[number], note=str(number))
    journal.history.record([("0/cancelled", {"kind": "cancelled", "run": "run-3", "by": "bob", "flow": "f"})])


def by_hand(url: str, *statements: str, **values: Any) -> None:
    """What somebody does to the tables."""
    with connected(url) as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def found(url: str) -> Verified:
    """What verification finds; asked for the run alone, the same."""
    with closing(Journal(url)) as journal:
        whole = journal.verification.all()
        for fault in whole.faults:
            if fault.chain == "run" and fault.run and "nothing is left" not in fault.text:
                assert journal.verification.of(fault.run).faults == (fault,)
        return whole


def named(verified: Verified) -> list[tuple[str, str, int, str]]:
    """The faults, in short."""
    return [(fault.chain, fault.run, fault.sequence, fault.what) for fault in verified.faults]


def _swap(connection: Connection, one: int, other: int, columns: str) -> None:
    """Exchange columns of two entries of run-2."""
    query = text(f"select id, {columns} from handoff_history where run = 'run-2' and sequence = :number")
    both = [dict(connection.execute(query, {"number": number}).mappings().one()) for number in (one, other)]
    ids = [row.pop("id") for row in both]
    sets = ", ".join(f"{name} = :{name}" for name in both[0])
    if "source" in both[0]:
        connection.execute(text("update handoff_history set source = 'aside' where id = :id"), {"id": ids[0]})
    for number, row in ((ids[1], both[0]), (ids[0], both[1])):
        connection.execute(text(f"update handoff_history set {sets} where id = :id"), {**row, "id": number})


class ChainSuite:
    """The chains. The fixtures ``url`` is an empty database."""

    @pytest.fixture
    def journal(self, url: str) -> Iterator[Journal]:
        """A journal in which something was written."""
        with closing(Journal(url, upgrades=True)) as made:
            written(made)
            yield made

    def test_what_is_as_it_was_written_holds(self, url: str, journal: Journal) -> None:
        """All runs, all entries, all actions."""
        whole = found(url)
        assert (whole.runs, whole.entries, whole.actions, whole.before) == (3, 3 * LENGTH + 1, 4, 0)
        assert (whole.count, whole.faults) == (0, ())
        assert journal.verification.count() == 3 * LENGTH + 5

    def test_an_entry_that_comes_again_is_one(self, url: str, journal: Journal) -> None:
        """Twice in one batch, again later, beside new ones, and by several processes at once."""
        again = [entry("run-1", number) for number in range(1, LENGTH + 3)]
        assert journal.history.record([*again, *again]) == 2
        assert journal.history.record(again[::-1]) == 0
        more = [entry(run, number) for number in range(LENGTH + 3, 40) for run in (*RUNS, "run-4")]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: _record(url, more), range(4)))
        whole = found(url)
        assert (whole.faults, whole.entries) == ((), 3 * LENGTH + 1 + 2 + len(more))

    def test_several_processes_write_to_one_run(self, url: str, journal: Journal) -> None:
        """Each adds entries of its own, and actions; the chains have all of them."""

        def write(who: int) -> None:
            with closing(Journal(url)) as own:
                for number in range(10):
                    own.history.record([(f"{who}/{number}", entry("run-1", 1)[1])])
                    own.actions.record("skip", who=str(who), run="run-1")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        whole = found(url)
        assert (whole.faults, whole.actions, whole.entries) == ((), 44, 3 * LENGTH + 41)

    def test_what_is_written_meanwhile_is_no_fault(self, url: str, journal: Journal) -> None:
        """Verification may be asked at any time."""
        done = False

        def write() -> None:
            for number in range(40):
                journal.history.record([entry(run, 100 + number) for run in (*RUNS, f"new-{number}")])
                journal.actions.record("skip", who="ann")

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not done:
                done = writing.done()
                assert found(url).faults == ()
            writing.result()

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("entry", "'{}'"), ("at", "'2030'"), ("kind", "'late'"), ("flow", "'other'"), ("source", "'other'"),
            ("digest", "'00'"), ("previous", "'00'"), ("run", "'run-1'"), ("run", "'other'"), ("namespace", "'other'"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("sequence", [1, 3, LENGTH])
    def test_whatever_is_changed_in_an_entry_is_named(
        self, url: str, journal: Journal, sequence: int, column: str, value: str
    ) -> None:
        """Any column of any entry; one that is given to another run or installation is missing in its own."""
        by_hand(
            url,
            f"update handoff_history set {column} = {value} where run = 'run-2' and sequence = {sequence}",
        )
        faults = named(found(url))
        what = "removed" if column in ("run", "namespace") else "changed"
        assert ("run", "run-2", sequence, what) in faults
        if column not in ("run", "namespace"):
            assert len(faults) == 1

    def test_an_entry_that_is_changed_with_its_digest_is_named(self, url: str, journal: Journal) -> None:
        """The next one knows the digest that it had; the head knows that of the last one."""
        for sequence in (3, LENGTH):
            with connected(url) as connection:
                where = text("select * from handoff_history where run = 'run-2' and sequence = :number")
                row = dict(connection.execute(where, {"number": sequence}).mappings().one())
                row["entry"] = '{"kind": "settled"}'
                made = {"entry": row["entry"], "digest": chain.digest(chain.RUNS, row), "id": row["id"]}
                connection.execute(
                    text("update handoff_history set entry = :entry, digest = :digest where id = :id"), made
                )
        assert named(found(url)) == [("run", "run-2", 3, "changed")]
        by_hand(url, "delete from handoff_history where run = 'run-2' and sequence < 6")
        assert named(found(url)) == [("run", "run-2", 1, "removed")]

    @given(data=st.data())
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def test_whatever_is_done_to_an_entry_is_named(
        self, fresh: Callable[[], str], data: st.DataObject
    ) -> None:
        """Any entry of any run that is changed, removed, copied or exchanged with another: the first one that is not as it was
        written is named, with its run, its place and its time, and no other run is."""
        url = fresh()
        with closing(Journal(url, upgrades=True)) as journal:
            written(journal)
        sequence = data.draw(st.integers(1, LENGTH), label="entry")
        other = data.draw(st.integers(1, LENGTH).filter(lambda number: number != sequence), label="other")
        how = data.draw(
            st.sampled_from(("change", "remove", "copy", "rows", "places", "contents")), label="how"
        )
        place = f"run = 'run-2' and sequence = {sequence}"
        expected = (min(sequence, other), {"moved", "changed"})
        if how == "change":
            by_hand(url, f"update handoff_history set entry = entry || ' ' where {place}")
            expected = (sequence, {"changed"})
        elif how == "remove":
            by_hand(url, f"delete from handoff_history where {place}")
            expected = (sequence, {"removed"})
        elif how == "copy":
            columns = "run, flow, kind, at, entry, namespace, sequence, previous, digest"
            by_hand(
                url,
                f"insert into handoff_history (source, {columns}) select 'copy', {columns} from handoff_history where {place}",
            )
            expected = (sequence, {"inserted"})
        else:
            content = "source, kind, at, entry"
            columns = {
                "rows": f"{content}, sequence, previous, digest",
                "places": "sequence",
                "contents": content,
            }[how]
            with connected(url) as connection:
                _swap(connection, sequence, other, columns)
            if how == "places":  # the one that stands first has a place that is not its own
                expected = (max(sequence, other), {"changed"})
        [fault] = found(url).faults
        assert (fault.chain, fault.run) == ("run", "run-2")
        assert fault.sequence == expected[0]
        assert fault.what in expected[1]
        assert fault.at.startswith("2026-01-01T00:00:0")

    def test_what_was_removed_at_the_end_is_named(self, url: str, journal: Journal) -> None:
        """The head of the chain knows how long it was."""
        by_hand(url, "delete from handoff_history where run = 'run-2' and sequence > 4")
        [fault] = found(url).faults
        assert fault == Fault(
            "run",
            "run-2",
            5,
            "2026-01-01T00:00:04.000+00:00",
            "removed",
            "5 to 6 are missing at the end of the chain",
        )

    def test_a_run_of_which_all_is_removed_is_named(self, url: str, journal: Journal) -> None:
        """Also with its head, for what is listed of it is still there."""
        by_hand(url, "delete from handoff_history where run = 'run-2'")
        assert named(found(url)) == [("run", "run-2", 1, "removed")]
        by_hand(url, "delete from handoff_chains where name = 'run-2'")
        assert named(found(url)) == [("run", "run-2", 1, "removed")]

    def test_a_head_that_is_removed_is_missed(self, url: str, journal: Journal) -> None:
        """An entry that is in no chain was not written by a coordinator process."""
        by_hand(url, "delete from handoff_chains where name = 'run-2'")
        assert named(found(url)) == [("run", "run-2", 1, "inserted")]

    @pytest.mark.parametrize("run", ["run-1", "another"])
    def test_an_entry_without_a_place_is_named(self, url: str, journal: Journal, run: str) -> None:
        """Whether its run has a chain or not."""
        by_hand(
            url,
            "insert into handoff_history (source, run, flow, kind, at, entry, namespace) "
            f"values ('x', '{run}', 'f', 'settled', '2026', '{{}}', '')",
        )
        assert named(found(url)) == [("run", run, 0, "inserted")]

    def test_actions_are_one_chain(self, url: str, journal: Journal) -> None:
        """One that is changed, removed or added by hand is named."""
        by_hand(url, "update handoff_operator_actions set who = 'bob' where sequence = 2")
        assert named(found(url)) == [("actions", "run-2", 2, "changed")]
        by_hand(url, "delete from handoff_operator_actions where sequence = 2")
        assert named(found(url)) == [("actions", "", 2, "removed")]
        by_hand(url, "delete from handoff_operator_actions where sequence = 1")
        assert named(found(url)) == [("actions", "", 1, "removed")]
        by_hand(url, "delete from handoff_operator_actions")
        assert named(found(url)) == [("actions", "", 1, "removed")]

    def test_an_action_that_was_inserted_is_named(self, url: str, journal: Journal) -> None:
        """It has no place."""
        by_hand(
            url,
            "insert into handoff_operator_actions (at, who, action, run, letter, note, namespace) "
            "values ('2026', 'ann', 'skip', 'run-1', '', '', '')",
        )
        assert named(found(url)) == [("actions", "run-1", 0, "inserted")]

    def test_what_an_older_release_wrote_is_told_apart(self, url: str) -> None:
        """It is counted, and proves nothing; what comes afterwards, of the same run too, is chained."""
        make_previous(url)
        with closing(Journal(url, upgrades=True)) as journal:
            assert journal.verification.all() == Verified(before=2)
            journal.history.record([entry("run-1", 1), entry("run-1", 2)])
            journal.actions.record("skip", who="ann", run="run-1")
            assert journal.verification.all() == Verified(runs=1, entries=2, actions=1, before=2)
            by_hand(url, "delete from handoff_history where sequence = 1")
            assert named(journal.verification.all()) == [("run", "run-1", 1, "removed")]
            late = "insert into handoff_history (source, run, flow, kind, at, entry) values ('l', 'r', '', '', '', '{}')"
            by_hand(url, late)
            assert ("run", "r", 0, "inserted") in named(journal.verification.all())

    def test_each_installation_has_its_own_chains(self, url: str) -> None:
        """The same run in two of them is two runs, and what is changed in one is no fault of the other."""
        with closing(Journal(url, namespace="a")) as one, closing(Journal(url, namespace="b")) as other:
            for journal, name in ((one, "a"), (other, "b")):
                journal.history.record([(f"{name}.0/{n}", entry("run-1", n)[1]) for n in range(3)])
                journal.actions.record("skip", who="ann")
            by_hand(url, "update handoff_history set kind = 'late' where namespace = 'a' and sequence = 2")
            assert named(one.verification.all()) == [("run", "run-1", 2, "changed")]
            assert other.verification.all() == Verified(runs=1, entries=3, actions=1)


def _record(url: str, entries: list[tuple[str, dict[str, Any]]]) -> None:
    with closing(Journal(url)) as journal:
        for first in range(0, len(entries), 20):
            journal.history.record(entries[first : first + 20])
