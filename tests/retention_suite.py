"""What every database must do with what is kept for a while only, and with heads that are kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.retention import BATCH, Policy
from handoffs.coordinator.journal.run_filter import LIVE, LOST
from handoffs.coordinator.journal.runs import Noted
from handoffs.coordinator.journal.verification import Verified
from tests.chain_suite import by_hand, entry, found, named, written
from tests.journal_suite import letter

DAY = timedelta(days=1)
MONTH = Policy(30 * DAY)


def ended(url: str, days: float, run: str = "") -> None:
    """Have runs have ended so many days ago."""
    at = (datetime.now(UTC) - days * DAY).isoformat(timespec="milliseconds")
    by_hand(url, "update handoff_runs set at = :at where run = :run or :run = ''", at=at, run=run)


def pruned(journal: Journal, policy: Policy = MONTH) -> list[str]:
    """The runs that are removed, sorted; they are those that were told to be."""
    told = sorted(one.run for one in journal.retention.expired(policy, datetime.now(UTC)))
    gone: list[str] = []
    while some := journal.retention.prune(policy, datetime.now(UTC), by="coordinator"):
        gone += [one.run for one in some]
    assert sorted(gone) == told
    return told


class RetentionSuite:
    """What is removed by policy. The fixture ``url`` is an empty database."""

    @pytest.fixture
    def journal(self, url: str) -> Iterator[Journal]:
        """A journal with three runs that have ended, 40 days ago."""
        with closing(Journal(url, upgrades=True)) as made:
            written(made)
            ended(url, 40)
            yield made

    def test_a_run_leaves_a_tombstone(self, url: str, journal: Journal) -> None:
        """Its history, letters and edits are removed, but for what people did; an action has who and why, and where its chain
        ended; and what is left holds."""
        journal.letters.add(letter("letter-1", run="run-1", state="replayed"))
        journal.edits.keep(EditRow("letter-1", 1, "at", "ann", "why", {}), {})
        ended(url, 2, "run-2")
        last = list(journal.history.of("run-1").values())[-1]
        assert pruned(journal) == ["run-1", "run-3"]
        assert (
            journal.history.of("run-1"),
            journal.letters.get("letter-1"),
            journal.edits.of("letter-1"),
        ) == ({}, None, [])
        assert journal.runs.states(["run-1", "run-2"]) == {"run-2": "completed"}
        tombstone = journal.actions.of("run-1")[-1]
        assert (tombstone.action, tombstone.who) == ("prune", "coordinator")
        assert tombstone.note.startswith("6 entries of its history, the last ")
        assert "shop.order completed 20" in tombstone.note
        assert "kept for 30 days" in tombstone.note
        assert [one.action for one in journal.actions.of("run-3")] == ["skip", "cancel", "prune"]
        assert last["run"] == "run-1"
        assert found(url) == Verified(runs=1, entries=6, actions=6)
        assert pruned(journal) == []

    @pytest.mark.parametrize("state", [LIVE, LOST, "unknown", "parked"])
    def test_a_run_that_has_not_ended_is_kept(self, url: str, journal: Journal, state: str) -> None:
        """However old it is."""
        journal.runs.mark("run-1", state)
        ended(url, 4_000)
        assert pruned(journal) == ["run-2", "run-3"]

    def test_a_run_of_which_a_letter_waits_is_kept(self, url: str, journal: Journal) -> None:
        """What hears an event of it may still be replayed."""
        journal.letters.add_all([letter("1", run="run-1"), letter("2", run="run-2", state="replayed")])
        assert pruned(journal) == ["run-2", "run-3"]
        journal.letters.mark("1", "settled")
        assert pruned(journal) == ["run-1"]

    def test_flows_are_kept_as_long_as_is_said_of_them(self, url: str, journal: Journal) -> None:
        """Each for its own time, the others for that of all; or for good, where nothing is said."""
        journal.history.record([entry("other", 1, flow="shop.refund")])
        journal.runs.note({"other": Noted("shop.refund", "cancelled", "2026")})
        ended(url, 40)
        assert pruned(journal, Policy()) == []
        assert pruned(journal, Policy(None, {"shop.refund": 50 * DAY})) == []
        assert pruned(journal, Policy(50 * DAY, {"shop.refund": 30 * DAY})) == ["other"]
        assert pruned(journal, Policy(30 * DAY, {"shop.order": 365 * DAY})) == []
        assert pruned(journal, Policy(3_000_000 * DAY)) == []
        assert pruned(journal, Policy(30 * DAY, {"shop.refund": DAY})) == ["run-1", "run-2", "run-3"]

    def test_many_runs_are_removed_some_at_a_time(self, url: str, journal: Journal) -> None:
        """Others who write wait for a moment only."""
        names = [f"many-{number}" for number in range(BATCH + 7)]
        journal.history.record([entry(name, 1) for name in names])
        journal.runs.note({name: Noted("shop.order", "completed", "2026") for name in names})
        ended(url, 40)
        assert len(journal.retention.prune(MONTH, datetime.now(UTC), by="ann", why="asked for")) == BATCH
        assert len(pruned(journal)) == len(names) + 3 - BATCH
        assert found(url).faults == ()

    def test_what_comes_late_begins_another_chain(self, url: str, journal: Journal) -> None:
        """An entry that Redis gives once more after its run was removed is no fault."""
        pruned(journal)
        assert journal.history.record([entry("run-1", 3)]) == 1
        assert found(url) == Verified(runs=1, entries=1, actions=7)

    def test_another_installation_keeps_its_own(self, url: str) -> None:
        """The same run in another namespace stays."""
        with closing(Journal(url, namespace="a")) as one, closing(Journal(url, namespace="b")) as other:
            for journal in (one, other):
                journal.history.record([(f"{id(journal)}/1", entry("run-1", 1)[1])])
                journal.runs.note({"run-1": Noted("shop.order", "completed", "2026")})
                journal.letters.add(letter("1", run="run-1", state="settled"))
            ended(url, 40)
            assert pruned(one) == ["run-1"]
            assert len(other.history.of("run-1")) == 1
            assert other.letters.get("1") is not None
            assert [action.run for action in other.actions.page().actions] == []
            assert other.verification.all().faults == ()


class WitnessSuite:
    """Heads that are kept elsewhere. The fixture ``url`` is an empty database."""

    @pytest.fixture
    def journal(self, url: str) -> Iterator[Journal]:
        """A journal in which something was written."""
        with closing(Journal(url, upgrades=True)) as made:
            written(made)
            yield made

    @pytest.fixture
    def kept(self, journal: Journal) -> list[dict[str, Any]]:
        """The heads as they were then."""
        return list(journal.witness.lines())

    def test_what_has_grown_goes_through_where_it_ended(
        self, url: str, journal: Journal, kept: list[dict[str, Any]]
    ) -> None:
        """Also where a run was removed by policy since, and something came of it later."""
        assert [line.get("chain") for line in kept] == [None, "actions", "run", "run", "run"]
        journal.history.record([entry("run-1", 50), entry("run-4", 1)])
        journal.actions.record("skip", who="ann")
        assert list(journal.witness.compare(kept)) == []
        ended(url, 40, "run-2")
        assert pruned(journal) == ["run-2"]
        assert list(journal.witness.compare(kept)) == []
        journal.history.record([entry("run-2", 50)])
        assert list(journal.witness.compare(kept)) == []

    def test_a_chain_that_was_made_anew_is_found(
        self, url: str, journal: Journal, kept: list[dict[str, Any]]
    ) -> None:
        """Whoever may write to all of it can make another that holds; but not one that goes through where the old one ended."""
        by_hand(
            url,
            "delete from handoff_history where run = 'run-2'",
            "delete from handoff_chains where name = 'run-2'",
        )
        journal.history.record([entry("run-2", number, output="other") for number in range(1, 9)])
        assert found(url).faults == ()
        [fault] = journal.witness.compare(kept)
        assert (fault.chain, fault.run, fault.sequence, fault.what) == ("run", "run-2", 6, "changed")

    def test_a_run_that_is_wholly_gone_is_found(
        self, url: str, journal: Journal, kept: list[dict[str, Any]]
    ) -> None:
        """With all that was written of it; the journal alone does not show it."""
        tables = ("handoff_history", "handoff_runs")
        by_hand(
            url,
            *(f"delete from {table} where run = 'run-2'" for table in tables),
            "delete from handoff_chains where name = 'run-2'",
        )
        assert found(url).faults == ()
        assert named(Verified(faults=tuple(journal.witness.compare(kept)))) == [
            ("run", "run-2", 6, "removed")
        ]

    def test_actions_that_were_made_anew_are_found(
        self, url: str, journal: Journal, kept: list[dict[str, Any]]
    ) -> None:
        """Where there are fewer, and where there are others."""
        by_hand(
            url, "delete from handoff_operator_actions", "delete from handoff_chains where kind = 'actions'"
        )
        assert found(url).faults == ()
        assert named(Verified(faults=tuple(journal.witness.compare(kept)))) == [("actions", "", 4, "removed")]
        for _ in range(5):
            journal.actions.record("skip", who="ann")
        assert named(Verified(faults=tuple(journal.witness.compare(kept)))) == [("actions", "", 4, "changed")]

    def test_a_beginning_that_was_moved_is_found(
        self, url: str, journal: Journal, kept: list[dict[str, Any]]
    ) -> None:
        """Rows without a place are of an older release only up to there."""
        kept.insert(1, {"chain": "start", "name": "run", "sequence": 7, "digest": ""})
        assert [fault.what for fault in journal.witness.compare(kept)] == ["changed"]

    @pytest.mark.parametrize(
        "lines",
        [[], [{}], [[]], [{"heads": 2}], [{"heads": 1, "namespace": "other"}], [{"heads": 1, "namespace": ""}, 7],
         [{"heads": 1, "namespace": ""}, {"chain": "run", "name": "x", "sequence": "1", "digest": ""}]],
    )  # fmt: skip
    def test_what_was_not_written_so_is_refused(self, journal: Journal, lines: list[Any]) -> None:
        """And what is of another installation."""
        with pytest.raises(InvalidData, match="compared"):
            list(journal.witness.compare(lines))
