"""What every database must do with the journal's tables and rows: the same tests on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine, inspect, text

from handoffs.coordinator.errors import SchemaRefused, ServerError
from handoffs.coordinator.journal.actions import LARGEST_PAGE
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import SUMMARY, LetterRow, LetterSummary
from handoffs.coordinator.journal.migrations import HEAD, REVISIONS
from handoffs.coordinator.journal.migrations.upgrade import upgrade
from handoffs.coordinator.journal.run_filter import RunFilter
from tests import journal_before_migrations as before

_MARK = "handoff_journal_revision"


def letter(letter_id: str, **values: Any) -> LetterRow:
    """A letter that waits."""
    made: dict[str, Any] = {
        "id": letter_id, "state": "waiting", "run": f"run of {letter_id}", "flow": "shop.order", "step": "1",
        "agent": "shop.price", "kind": "error", "error": "ValueError", "text": "no", "contract": "shop.order/1",
        "attempt": 1, "worker": "w", "payload": {}, "first_failed_at": "2026-01-01T00:00:00.000+00:00",
        "last_failed_at": "2026-01-01T00:00:00.000+00:00", "times": 1, "replays": 0, "message": {"body": letter_id},
    }  # fmt: skip
    return LetterRow(**{**made, **values})


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A transaction in the database, beside the journal."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with engine.begin() as connection:
        yield connection


def tables(url: str) -> dict[str, Any]:
    """All that a database knows of the journal's tables, but for the order of their columns."""
    with connected(url) as connection:
        found = inspect(connection)
        return {
            name: {
                "columns": {
                    column["name"]: (
                        str(column["type"]),
                        column["nullable"],
                        bool(column.get("autoincrement")),
                    )
                    for column in found.get_columns(name)
                },
                "primary key": found.get_pk_constraint(name),
                "unique": sorted(found.get_unique_constraints(name), key=str),
                "indexes": {str(index["name"]): index for index in found.get_indexes(name)},
            }
            for name in sorted(found.get_table_names())
        }


def revision(url: str) -> list[str]:
    """Of which revision the tables say that they are."""
    with connected(url) as connection:
        return list(connection.scalars(text(f"select version_num from {_MARK}")))


def make_previous(url: str, namespace: str = "") -> None:
    """The journal as the release before migrations left it, with an entry, a letter and an action of that namespace."""
    source = f"{namespace}.0/1" if namespace else "0/1"
    with connected(url) as connection:
        before.metadata.create_all(connection)
        connection.execute(
            before.history.insert().values(
                source=source, run="run-1", flow="shop.order", kind="started", at="", entry='{"run": "run-1"}'
            )
        )
        values = asdict(letter("letter-1")) | {"payload": "{}", "message": "{}"}
        del values["trace"]
        connection.execute(before.dead_letters.insert().values(values))
        connection.execute(
            before.actions.insert().values(
                at="2026-01-01", who="ann", action="skip", run="run-1", letter="letter-1", note="why"
            )
        )


def opened(url: str, *, upgrades: bool = False) -> str:
    """What the journal says it is, when it is used for the first time."""
    with closing(Journal(url, upgrades=upgrades)) as journal:
        return journal.ping()


class SchemaSuite:
    """The schema of a journal, whichever release made it. The fixtures ``url`` and ``other`` are empty databases."""

    def test_made_at_once_or_by_migrations_it_is_the_same(self, url: str, other: str) -> None:
        """What is made where there are no tables is what all migrations make, one after another."""
        opened(url)
        with connected(other) as connection:
            upgrade(connection)
        assert tables(url) == tables(other)
        assert revision(url) == revision(other) == [HEAD]

    def test_the_first_migration_makes_the_tables_of_the_release_before(self, url: str, other: str) -> None:
        """It makes exactly what that release made."""
        make_previous(url)
        with connected(other) as connection:
            upgrade(connection, REVISIONS[0])
        made = tables(other)
        del made[_MARK]
        assert tables(url) == made

    def test_a_journal_of_the_release_before_is_adopted(self, url: str, other: str) -> None:
        """The coordinator process brings it up to date, with all that is in it."""
        make_previous(url)
        with closing(Journal(url, upgrades=True)) as journal:
            assert journal.history.of("run-1") == {"0/1": {"run": "run-1"}}
            assert [row.id for row in journal.letters.find()] == ["letter-1"]
            assert [action.who for action in journal.actions.of("run-1")] == ["ann"]
        opened(other)
        assert tables(url) == tables(other)
        assert revision(url) == [HEAD]

    def test_what_an_older_journal_lacks_is_made(self, url: str, other: str) -> None:
        """A table came with a release that had no migrations yet: one that is missing does not stop the rest."""
        make_previous(url)
        with connected(url) as connection:
            before.deployments.drop(connection)
        opened(url, upgrades=True)
        opened(other)
        assert tables(url) == tables(other)

    def test_runs_of_a_journal_without_keys_are_told_of_by_their_history(self, url: str) -> None:
        """Revision 0006 writes down when the runs were accepted that are known, and those that only the history knows; their keys stay
        empty, and of one that was told of without its acceptance nothing is made up."""
        with connected(url) as connection:
            upgrade(connection, "0005")
            put = text(
                "insert into handoff_runs (run, flow, state, at, namespace) values (:r, 'shop.order', :s, '2026-01-09', :n)"
            )
            for run, state, own in (("known", "completed", ""), ("late", "live", ""), ("known", "live", "b")):
                connection.execute(put, {"r": run, "s": state, "n": own})
            told = text(
                "insert into handoff_history (source, run, flow, kind, at, entry, namespace)"
                " values (:source, :run, 'shop.order', :kind, :at, '{}', :own)"
            )
            for number, (run, kind, at, own) in enumerate((
                ("known", "started", "2026-01-02", ""), ("known", "settled", "2026-01-03", ""),
                ("known", "started", "2026-01-04", "b"), ("old", "started", "2026-01-01", ""),
                ("", "started", "2026-01-01", ""), ("late", "settled", "2026-01-05", ""),
            )):  # fmt: skip
                connection.execute(
                    told, {"source": f"0/{number}", "run": run, "kind": kind, "at": at, "own": own}
                )
        with closing(Journal(url, upgrades=True)) as journal, closing(Journal(url, namespace="b")) as other:
            found = [(row.run, row.started, row.state, row.key) for row in journal.runs.listed(RunFilter())]
            assert found == [("known", "2026-01-02", "completed", ""), ("old", "2026-01-01", "unknown", "")]
            assert [(row.run, row.started) for row in other.runs.listed(RunFilter())] == [
                ("known", "2026-01-04")
            ]
            assert journal.runs.states(["late"]) == {"late": "live"}
            assert journal.runs.beginning_with("know", 5) == ["known"]

    @pytest.mark.parametrize("found", ["", REVISIONS[0]], ids=["unmarked", "marked"])
    def test_an_older_journal_is_refused_where_it_is_not_to_be_upgraded(self, url: str, found: str) -> None:
        """A client says in one line what to do, and changes nothing."""
        make_previous(url)
        if found:
            with connected(url) as connection:
                upgrade(connection, found)
        was = tables(url)
        with pytest.raises(SchemaRefused) as refused:
            opened(url)
        assert str(refused.value) == (
            f"the journal's tables are of an older release (revision {REVISIONS[0]}, not {HEAD}); nothing was read or "
            "written; start coordinator serve of this release, it upgrades them"
        )
        assert tables(url) == was

    @pytest.mark.parametrize("upgrades", [False, True])
    def test_a_newer_journal_is_refused(self, url: str, upgrades: bool) -> None:
        """Also by a coordinator process: it does not know what the tables mean by now."""
        opened(url)
        with connected(url) as connection:
            connection.execute(text(f"update {_MARK} set version_num = '9999'"))
        with pytest.raises(SchemaRefused) as refused:
            opened(url, upgrades=upgrades)
        assert str(refused.value) == (
            f"the journal's tables are of a newer release (revision 9999; this one knows {HEAD}); nothing was read or "
            "written; install the newer release"
        )
        assert revision(url) == ["9999"]

    def test_a_client_goes_on_once_the_journal_was_upgraded(self, url: str) -> None:
        """It was refused before, and need not be started anew."""
        make_previous(url)
        with closing(Journal(url)) as journal:
            with pytest.raises(SchemaRefused):
                journal.ping()
            opened(url, upgrades=True)
            assert journal.letters.get("letter-1") is not None

    @pytest.mark.parametrize("make", [make_previous, lambda url: None], ids=["the release before", "nothing"])
    def test_several_begin_at_once(self, url: str, other: str, make: Callable[[str], None]) -> None:
        """One brings the tables up to date, or makes them, and the others find them so."""
        make(url)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: opened(url, upgrades=True), range(8)))
        assert len(set(found)) == 1
        opened(other)
        assert tables(url) == tables(other)
        assert revision(url) == [HEAD]

    def test_a_migration_that_fails_changes_nothing(self, url: str) -> None:
        """All of an upgrade is done, or nothing of it; the next start tries it again."""
        make_previous(url)
        in_the_way = "create index handoff_operator_actions_who on handoff_operator_actions (who)"
        with connected(url) as connection:
            connection.execute(text(in_the_way))
        was = tables(url)
        with pytest.raises(ServerError, match=r"the journal cannot be used: .*handoff_operator_actions_who"):
            opened(url, upgrades=True)
        assert tables(url) == was
        with connected(url) as connection:
            connection.execute(text("drop index handoff_operator_actions_who"))
        opened(url, upgrades=True)
        assert revision(url) == [HEAD]


class PagesSuite:
    """What is read page by page. The fixture ``url`` is an empty database."""

    @pytest.fixture
    def journal(self, url: str) -> Iterator[Journal]:
        """An empty journal."""
        with closing(Journal(url)) as made:
            yield made

    @pytest.fixture(autouse=True)
    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Three letters a page."""
        monkeypatch.setattr("handoffs.coordinator.journal.letters.PAGE", 3)

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 10])
    def test_letters_come_all_and_once_and_the_oldest_first(self, journal: Journal, count: int) -> None:
        """However they fall on the pages, and also where several failed in the same moment."""
        rows = [
            letter(f"letter-{number}", run=f"run-{number % 4}", first_failed_at=f"2026-01-0{1 + number // 4}")
            for number in range(count)
        ]
        journal.letters.add_all(rows[::-1])
        listed = [LetterSummary(**{name: getattr(row, name) for name in SUMMARY}) for row in rows]
        assert journal.letters.find() == listed
        assert list(journal.letters.ids()) == [row.id for row in rows]
        assert journal.letters.find(limit=5) == listed[:5]
        assert journal.letters.find(state=None, run="run-1") == listed[1::4]
        assert journal.letters.total(state=None, run="run-1") == len(listed[1::4])
        assert journal.letters.waiting({"run-1", "run-2", "run-9"}) == [
            row for row in listed if row.run in {"run-1", "run-2"}
        ]
        pages = list(journal.letters.waiting_runs())
        assert {run for page in pages for run in page} == {row.run for row in rows}
        assert all(len(page) <= 3 for page in pages)

    def test_letters_that_change_while_they_are_read(self, journal: Journal) -> None:
        """Each is replayed once: one that is replayed is no more in the way of the next page, nor comes it a second time where
        it fails anew."""
        rows = [letter(f"letter-{number}") for number in range(8)]
        journal.letters.add_all(rows)
        seen = []
        for letter_id in journal.letters.ids():
            row = journal.letters.get(letter_id)
            assert row is not None
            seen.append(letter_id)
            journal.letters.mark_replayed(row)
            if letter_id == "letter-1":
                journal.letters.add(letter(letter_id, last_failed_at="2026-02-01"))
        assert seen == [row.id for row in rows]
        assert [row.id for row in journal.letters.find()] == ["letter-1"]

    def test_only_letters_that_wait_keep_their_runs_and_sets(self, journal: Journal) -> None:
        """What was replayed needs no run, and what is no step of a run has none."""
        rows = [
            letter("1", run="run-1"), letter("2", run="run-1"), letter("3", run="run-2", state="replayed"),
            letter("4", run=""), letter("5", run="run-3", step="on:1@+abc"),
            letter("6", run="run-4", step="on:1@abc"), letter("7", run="run-5", step="1@+abc", state="settled"),
        ]  # fmt: skip
        journal.letters.add_all(rows)
        assert set.union(*journal.letters.waiting_runs()) == {"run-1", "run-3", "run-4"}
        assert [row.id for row in journal.letters.waiting_sets()] == ["5"]

    def test_actions_are_listed_newest_first(self, journal: Journal) -> None:
        """Of all, of one run, of one person, or from a time on."""
        journal.actions.record("skip", who="ann", run="run-1", letter="letter-1", note="why")
        journal.actions.record("replay", who="bob", run="run-1")
        journal.actions.record("forget-events", who="ann")
        page = journal.actions.page()
        assert [(one.action, one.who) for one in page.actions] == [
            ("forget-events", "ann"),
            ("replay", "bob"),
            ("skip", "ann"),
        ]
        assert page.older is None
        assert [one.action for one in journal.actions.page(run="run-1").actions] == ["replay", "skip"]
        assert [one.action for one in journal.actions.page(by="ann").actions] == ["forget-events", "skip"]
        assert [one.action for one in journal.actions.page(run="run-1", by="ann").actions] == ["skip"]
        assert journal.actions.page(since=page.actions[0].at).actions[0] == page.actions[0]
        assert journal.actions.page(since="2999-01-01").actions == ()

    def test_actions_page_by_page(self, journal: Journal) -> None:
        """Each comes once, and what is done meanwhile moves none to another page."""
        for number in range(7):
            journal.actions.record("skip", who="ann", note=str(number))
        pages = [journal.actions.page(limit=3)]
        while pages[-1].older is not None:
            journal.actions.record("replay", who="bob")
            pages.append(journal.actions.page(limit=3, before=pages[-1].older))
        assert [[one.note for one in page.actions] for page in pages] == [
            ["6", "5", "4"],
            ["3", "2", "1"],
            ["0"],
        ]

    @pytest.mark.parametrize("limit", [-1, 0, LARGEST_PAGE + 1])
    def test_a_page_of_actions_has_a_size(self, journal: Journal, limit: int) -> None:
        """What would be more than a page is asked for page by page, and not cut off in silence."""
        with pytest.raises(ValueError, match=f"1 to {LARGEST_PAGE} actions, not {limit}"):
            journal.actions.page(limit=limit)
