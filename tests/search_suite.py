"""What every database must do with what is searchable: the same tests on SQLite and on PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from handoffs.contracts.searchable import kept
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.migrations.upgrade import upgrade
from handoffs.coordinator.journal.retention import Policy
from handoffs.coordinator.journal.run_filter import RunFilter
from handoffs.coordinator.journal.runs import Noted
from handoffs.coordinator.journal.search import STORY
from tests.journal_suite import connected, letter, revision

AT = "2026-12-01T10:00:00.000+00:00"


def entry(run: str, marks: Any = None, kind: str = "started", **more: Any) -> dict[str, Any]:
    """An entry of the history of a run."""
    return {
        "kind": kind,
        "run": run,
        "flow": "shop.order",
        "at": AT,
        **({"marks": marks} if marks else {}),
        **more,
    }


def where(journal: Journal, name: str, value: str) -> list[str]:
    """The runs that have a value."""
    return [row.run for row in journal.runs.listed(RunFilter(where=((name, value),)))]


class SearchSuite:
    """What runs are found by. The fixture ``url`` is an empty database."""

    def test_a_run_is_found_by_what_its_entries_say(self, url: str) -> None:
        """By exactly its value, by how that begins, and by the story that has started it; by nothing of another installation."""
        with closing(Journal(url)) as journal, closing(Journal(url, namespace="b")) as other:
            told = [
                ("0/1", entry("run-1", {"order": ["o-17"], "country": ["de"]}, story="story-1")),
                ("0/2", entry("run-1", {"order": ["o-17"], "payment": ["p-4"]}, kind="settled")),
                ("0/3", entry("run-2", {"order": ["O-17"]})),
                ("0/4", entry("", {"order": ["o-17"]})),
                ("0/5", entry("run-3", {"order": "no list"})),
            ]
            journal.history.record(told)
            other.history.record([("b.0/1", entry("run-9", {"order": ["o-17"]}))])
            assert [(one.name, one.value) for one in journal.search.of("run-1")] == [
                (STORY, "story-1"), ("country", "de"), ("order", "o-17"), ("payment", "p-4"),
            ]  # fmt: skip
            assert [(one.name, one.run) for one in journal.search.exact("o-17", 9)] == [("order", "run-1")]
            assert {one.value for one in journal.search.beginning_with("o-", 9)} == {"o-17"}
            assert journal.search.beginning_with("o-17", 9) == []
            assert [one.run for one in journal.search.exact("story-1", 9)] == ["run-1"]
            assert [one.run for one in other.search.exact("o-17", 9)] == ["run-9"]

    def test_what_is_drained_twice_is_found_once(self, url: str) -> None:
        """The same entries, and others that say the same, add nothing; what was there first stays."""
        told = [("0/1", entry("run-1", {"order": ["o-17", "o-17"]}))]
        with closing(Journal(url)) as journal:
            assert journal.history.record(told) == 1
            first = journal.search.of("run-1")
            assert journal.history.record(told) == 0
            later = entry("run-1", {"order": ["o-17"]}, kind="settled") | {"at": "2026-12-02"}
            assert journal.history.record([*told, ("0/2", later)]) == 1
            assert journal.search.of("run-1") == first
            assert len(first) == 1

    def test_whatever_the_value_is_it_is_found_by_exactly_that(self, url: str) -> None:
        """Capitals, any script, quotes, the null character, halves of characters, any length; and by how it begins."""
        with closing(Journal(url)) as journal:
            seen: dict[str, str] = {}

            @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(st.text(st.characters(), min_size=1, max_size=260))
            def tried(value: str) -> None:
                run = seen.setdefault(value, f"run-{len(seen)}")
                journal.history.record([(f"0/{run}", entry(run, {"order": [kept(value)]}))])
                journal.runs.note({run: Noted("shop.order", "live", AT)})
                for like in (value, value.upper(), value.lower(), value[:-1], f"{value}x", f"{value} "):
                    if like:
                        expected = [seen[like]] if like in seen else []
                        assert where(journal, "order", like) == expected
                        assert [one.run for one in journal.search.exact(like, 99)] == expected
                assert run in {one.run for one in journal.search.beginning_with(value[:1], 999)} | {
                    seen.get(value[:1])
                }

            for value in (
                "o-17",
                "O-17",
                "Straße",
                "STRASSE",
                "a'b\"c",
                "%_\\",
                "a\x00b",
                "\ud800",
                "x" * 199,
                "x" * 200,
                "x" * 201,
                " ",
            ):
                tried.hypothesis.inner_test(value)  # type: ignore[attr-defined]
            tried()

    def test_runs_and_keys_are_found_by_how_they_begin(self, url: str) -> None:
        """A key that is the text comes before those that begin so, the newest first, capitals apart."""
        with closing(Journal(url)) as journal:
            for number, key in enumerate(("o-1", "o-1", "o-17", "O-1", "p-1")):
                journal.runs.note(
                    {f"run-{number}": Noted("shop.order", "live", f"2026-12-0{number + 1}", key)}
                )
            assert [row.run for row in journal.runs.keyed("o-1", 9)] == ["run-1", "run-0", "run-2"]
            assert [row.run for row in journal.runs.keyed("o-1", 1)] == ["run-1", "run-2"]
            assert set(journal.runs.found(["run-1", "run-9"])) == {"run-1"}

    def test_a_list_is_read_on_after_any_of_its_rows(self, url: str) -> None:
        """Page by page each run comes once, also where many were accepted in one moment, and whatever characters their ids have."""
        names = ["a", "A", "ä", "_", "~", "b-1", "b1", "B", "é", "z"]
        with closing(Journal(url)) as journal:
            for number, name in enumerate(names):
                state = ("live", "completed", "lost", "unknown")[number % 4]
                journal.runs.note({name: Noted("shop.order", state, f"2026-12-0{number // 5 + 1}")})
            for chosen in (RunFilter(), RunFilter(living=True), RunFilter(ended="completed")):
                whole = [(row.started, row.run) for row in journal.runs.listed(chosen)]
                assert whole == sorted(whole, reverse=True)
                for at, place in enumerate(whole):
                    rest = RunFilter(living=chosen.living, ended=chosen.ended, before=place)
                    assert [(row.started, row.run) for row in journal.runs.listed(rest)] == whole[at + 1 :]

    def test_runs_are_counted_up_to_a_bound(self, url: str) -> None:
        """By the status with which they ended and their flow, by when they were accepted, and all of them."""
        with closing(Journal(url)) as journal:
            begin = datetime(2026, 12, 1, tzinfo=UTC)
            for number in range(10):
                at = (begin + timedelta(minutes=20 * number)).isoformat(timespec="milliseconds")
                state = ("completed", "cancelled", "live")[number % 3]
                journal.runs.note({f"run-{number}": Noted(f"shop.{number % 2}", state, at)})
            assert journal.runs.count() == 10
            assert journal.runs.count(4) == 4
            assert sum(journal.runs.ended_by_flow(RunFilter(), 99).values()) == 7
            assert sum(journal.runs.ended_by_flow(RunFilter(), 3).values()) == 3
            assert journal.runs.ended_by_flow(RunFilter(ended="cancelled"), 99) == {
                ("cancelled", "shop.0"): 1, ("cancelled", "shop.1"): 2,
            }  # fmt: skip
            counts, oldest = journal.runs.started_in(RunFilter(), 13, 99)
            assert counts == {"2026-12-01T00": 3, "2026-12-01T01": 3, "2026-12-01T02": 3, "2026-12-01T03": 1}
            assert oldest == ""
            counts, oldest = journal.runs.started_in(RunFilter(), 13, 4)
            assert (counts, oldest) == (
                {"2026-12-01T02": 3, "2026-12-01T03": 1},
                "2026-12-01T02:00:00.000+00:00",
            )
            assert journal.runs.started_in(RunFilter(living=True), 13, 99)[0] == {
                "2026-12-01T00": 1, "2026-12-01T01": 1, "2026-12-01T02": 1,
            }  # fmt: skip

    def test_letters_are_listed_newest_first(self, url: str) -> None:
        """Of an error, and no more than are wanted."""
        with closing(Journal(url)) as journal:
            for number in range(5):
                at = f"2026-01-0{number + 1}"
                journal.letters.add(
                    letter(f"l-{number}", error=("ValueError", "Other")[number % 2], first_failed_at=at)
                )
            assert [one.id for one in journal.letters.newest(2, error="ValueError")] == ["l-4", "l-2"]
            assert [one.id for one in journal.letters.find(error="Other")] == ["l-1", "l-3"]

    def test_what_a_run_is_found_by_goes_with_it(self, url: str) -> None:
        """Where retention removes it, nothing is left that could be found."""
        with closing(Journal(url)) as journal:
            journal.history.record(
                [("0/1", entry("run-1", {"order": ["o-17"]})), ("0/2", entry("run-2", {"order": ["o-18"]}))]
            )
            journal.runs.note(
                {"run-1": Noted("shop.order", "completed", AT), "run-2": Noted("shop.order", "live", AT)}
            )
            at = datetime.now(UTC) + timedelta(days=9)
            assert [one.run for one in journal.retention.prune(Policy(timedelta(days=1)), at, by="ann")] == [
                "run-1"
            ]
            assert journal.search.of("run-1") == []
            assert len(journal.search.of("run-2")) == 1

    def test_a_journal_of_the_release_before_keeps_what_it_has(self, url: str) -> None:
        """Revision 0009 adds what is searched, and changes no row."""
        with connected(url) as connection:
            upgrade(connection, "0008")
            connection.execute(
                text(
                    "insert into handoff_runs (run, flow, state, at, namespace, started, key)"
                    " values ('run-1', 'shop.order', 'completed', :at, '', :at, 'o-1')"
                ),
                {"at": AT},
            )
            connection.execute(
                text(
                    "insert into handoff_history (source, run, flow, kind, at, entry, namespace, sequence, previous, digest)"
                    " values ('0/1', 'run-1', 'shop.order', 'started', :at, '{\"run\": \"run-1\"}', '', 1, '', 'd')"
                ),
                {"at": AT},
            )
        with closing(Journal(url, upgrades=True)) as journal:
            assert [(row.run, row.key) for row in journal.runs.listed(RunFilter(key="o-1"))] == [
                ("run-1", "o-1")
            ]
            assert journal.history.of("run-1") == {"0/1": {"run": "run-1"}}
            journal.history.record([("0/2", entry("run-1", {"order": ["o-17"]}, kind="settled"))])
            assert where(journal, "order", "o-17") == ["run-1"]
        assert revision(url) == ["0009"]
