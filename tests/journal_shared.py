"""What every database must do with the journal of several installations, with sealed messages, and with very many letters."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from handoffs.contracts import strictjson
from handoffs.coordinator.errors import SealBroken
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.migrations.upgrade import upgrade
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.run_filter import RunFilter
from handoffs.coordinator.journal.runs import Noted
from tests.builds import manifest
from tests.journal_suite import connected, letter

NAMES = ("", "a", "a-b", "b")
SECRET = "correct horse battery staple"
PRICE = manifest("shop.price", accepts={"shop.order": [1]}, build="1")
KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(3)]
MANY = 100_000
DAY = [f"2026-01-0{number}T00:00:00.000+00:00" for number in range(1, 6)]


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.from_regex(r"([ab-]{0,2}[|.:/{}]?){0,3}", fullmatch=True)),
        unique=True,
    )
)
def test_no_two_installations_share_a_key(places: list[tuple[str, str]]) -> None:
    """Whatever an id looks like, it is no other installation's; and what is called so is found by it."""
    keys = [Namespace(name).key(plain) for name, plain in places]
    assert len(set(keys)) == len(places)
    assert [Namespace(name).plain(key) for (name, _), key in zip(places, keys, strict=True)] == [
        plain for _, plain in places
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_fits_however_long_an_id_is(name: str) -> None:
    """What is too long is called by its digest, and found by either."""
    ids = ["x" * 200, "x" * 199 + "y", "|" * 200]
    own = Namespace(name)
    keys = [own.key(one) for one in ids]
    assert len({*keys}) == 3
    assert all(len(key) <= 200 for key in keys)
    assert [own.key(own.plain(key)) for key in keys] == keys


class WallsSuite:
    """Installations that share a database, each with a namespace. The fixture ``url`` is an empty database."""

    @pytest.fixture
    def journals(self, url: str) -> Iterator[dict[str, Journal]]:
        """The journal of each."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(closing(Journal(url, namespace=name))) for name in NAMES}

    def test_the_same_letter_in_each_is_each_ones_own(self, journals: dict[str, Journal]) -> None:
        """The same ids everywhere, as derived ids are: what one does to its letter is done to no other's."""
        for name, journal in journals.items():
            journal.letters.add(letter("1", run="run", text=name, message={"of": name}))
            journal.letters.add(letter("2", run="run", state="unheard", text=name))
        one, others = journals["a"], [journals[name] for name in NAMES if name != "a"]
        before = [self._all(other) for other in others]
        row = one.letters.get("1")
        assert row is not None
        assert row.message == {"of": "a"}
        one.letters.add(replace(row, last_failed_at="2026-02-01", text="again"))
        one.edits.keep(EditRow("1", 1, "at", "ann", "why", row.message), {"of": "nobody"})
        one.letters.count_replay("1")
        one.letters.mark_replayed(replace(row, last_failed_at="2026-02-01"))
        one.letters.mark("1", "settled")
        one.letters.cancel_run("run")
        assert one.letters.forget_unheard(by="ann") == 1
        assert [self._all(other) for other in others] == before
        assert [found.state for found in one.letters.find(state=None)] == ["settled"]
        assert [edit.message for edit in one.edits.of("1")] == [{"of": "a"}]

    def test_what_one_has_no_other_sees(self, journals: dict[str, Journal]) -> None:
        """Whatever is asked for: letters, history, edits, actions and deployments of another are not there."""
        one, others = journals["a-b"], [journals[name] for name in NAMES if name != "a-b"]
        one.letters.add(letter("1", run="run", step="on:1@+a", contract="shop.order/1"))
        one.history.record([("a-b.0/1", {"run": "run", "kind": "started"})])
        one.edits.keep(EditRow("1", 1, "at", "ann", "why", {}), {})
        one.actions.record("skip", who="ann", run="run")
        one.deployments.record(PRICE, "ann")
        for other in others:
            letters = other.letters
            assert letters.get("1") is letters.summary("1") is None
            assert not letters.details(["1"])
            assert not letters.failures(["1"])
            assert not [*letters.find(state=None), *letters.ids(state=None), *letters.waiting(["run"])]
            assert not [*letters.waiting_sets(), *set().union(*letters.waiting_runs())]
            assert letters.total(state=None) == 0
            assert letters.count("waiting", by="agent") == letters.count_of("shop.price") == {}
            assert other.history.of("run") == {}
            assert other.history.recent_runs() == []
            assert (other.history.newest(), other.history.count_runs(), other.history.since(0)) == (0, 0, [])
            assert other.edits.of("1") == []
            assert other.edits.notes(["1"]) == {"1": []}
            assert other.actions.of("run") == []
            assert other.actions.page().actions == ()
            assert other.deployments.find() == other.deployments.find("shop.price") == []
        assert one.history.count_runs() == one.letters.total() == 1

    def test_each_deploys_its_own(self, journals: dict[str, Journal]) -> None:
        """The same build with another manifest is no conflict elsewhere, and who withdraws it withdraws his own."""
        for number, journal in enumerate(journals.values()):
            assert journal.deployments.record(PRICE, f"who {number}")
        journals["a"].deployments.withdraw("shop.price", "1", "ann")
        states = {
            name: [row.state for row in journal.deployments.find()] for name, journal in journals.items()
        }
        assert states == {"": ["recorded"], "a": ["previous"], "a-b": ["recorded"], "b": ["recorded"]}

    def test_an_older_journal_of_one_installation_is_all_its_own(self, url: str) -> None:
        """What was there before rows knew whose they are belongs to the only one that has written there."""
        self._before(url, {"a": "run-1"})
        with closing(Journal(url, upgrades=True, namespace="a")) as journal:
            assert [row.id for row in journal.letters.find()] == ["1", "2", "3"]
            assert [edit.letter for edit in journal.edits.of("1")] == ["1"]
            assert [action.note for action in journal.actions.page().actions] == ["3", "2", "1"]
            assert [row.manifest.agent for row in journal.deployments.find()] == ["shop.price"]
            assert journal.history.count_runs() == 1

    def test_an_older_journal_of_several_is_shared_out(self, url: str) -> None:
        """By the histories of runs; what belongs to no run stays without a namespace, and deployments bind each as before."""
        self._before(url, {"a": "run-1", "": "run-2"})
        found = {}
        for name in ("", "a", "b"):
            with closing(Journal(url, upgrades=True, namespace=name)) as journal:
                found[name] = (
                    [row.id for row in journal.letters.find()],
                    len(journal.edits.of("1")),
                    [action.note for action in journal.actions.page().actions],
                    [row.manifest.agent for row in journal.deployments.find()],
                    journal.history.count_runs(),
                )
        assert found == {
            "": (["2", "3"], 0, ["3", "2"], ["shop.price"], 1),
            "a": (["1"], 1, ["1"], ["shop.price"], 1),
            "b": ([], 0, [], [], 0),
        }

    def _all(self, journal: Journal) -> list[Any]:
        return [journal.letters.get(one) for one in journal.letters.ids(state=None)] + journal.edits.of("1")

    def _before(self, url: str, runs: dict[str, str]) -> None:
        """A journal of the revision before: a run of each installation, three letters with an action each (of run-1, run-2 and of
        none), an edit of the first, and a deployment."""
        with connected(url) as connection:
            upgrade(connection, "0002")
            for name, run in runs.items():
                source = f"{name}.0/1" if name else "0/1"
                values = f"'{source}', '{run}', 'f', 'started', '', '{{}}'"
                connection.execute(
                    text(
                        f"insert into handoff_history (source, run, flow, kind, at, entry) values ({values})"
                    )
                )
            for number, run in enumerate(("run-1", "run-2", ""), 1):
                connection.execute(
                    text(
                        "insert into handoff_dead_letters values (:id, 'waiting', :run, '', '', '', '', '', '', '', 1, '', "
                        "'null', '', '', 1, 0, '{}')"
                    ),
                    {"id": str(number), "run": run},
                )
                connection.execute(
                    text(
                        "insert into handoff_operator_actions (at, who, action, run, letter, note) "
                        "values ('', '', 'skip', :run, '', :note)"
                    ),
                    {"run": run, "note": str(number)},
                )
            connection.execute(
                text(
                    "insert into handoff_edits (letter, number, at, who, why, message) values ('1', 1, '', '', '', '{}')"
                )
            )
            connection.execute(
                text("insert into handoff_deployments values ('shop.price', '1', :manifest, '', '', '', '')"),
                {"manifest": strictjson.canonical(PRICE.to_json())},
            )


class SealSuite:
    """Messages that are sealed. The fixture ``url`` is an empty database."""

    def test_no_message_is_in_clear(self, url: str) -> None:
        """Neither that of a letter nor that before an edit; who has the key reads both."""
        secret = letter("1", message={"body": SECRET})
        with closing(Journal(url, keys=KEYS[:1])) as journal:
            journal.letters.add(secret)
            journal.letters.add(letter("2", message={"body": SECRET}))
            journal.edits.keep(EditRow("1", 1, "", "", "", {"body": SECRET}), {"body": f"{SECRET}!"})
            assert SECRET not in self._dump(url)
            found = journal.letters.get("1")
            assert found is not None
            assert found.message == {"body": f"{SECRET}!"}
            assert [edit.message for edit in journal.edits.of("1")] == [{"body": SECRET}]
            assert SECRET not in repr(found)

    def test_keys_are_rotated(self, url: str) -> None:
        """The first key writes and each reads; what was sealed with an older one, or not at all, is sealed anew, once."""
        for number, keys in enumerate([[], KEYS[:1], [KEYS[1], KEYS[0]]]):
            with closing(Journal(url, keys=keys)) as journal:
                journal.letters.add(letter(str(number), message={"body": SECRET}))
        with closing(Journal(url, keys=[KEYS[1], KEYS[0]])) as journal:
            journal.edits.keep(EditRow("0", 1, "", "", "", {"body": SECRET}), {"body": SECRET})
            with closing(Journal(url)) as plain:
                plain.edits.keep(EditRow("2", 1, "", "", "", {"body": SECRET}), {"body": SECRET})
            assert journal.sealing.count() == 3
            resealed = journal.sealing.reseal()
            assert (resealed.done, resealed.refused, journal.sealing.count()) == (3, {}, 0)
        with closing(Journal(url, keys=[KEYS[1]])) as journal:
            rows = [journal.letters.get(one) for one in journal.letters.ids()]
            assert [row.message["body"] for row in rows if row] == [SECRET] * 3
        assert SECRET not in self._dump(url)

    @pytest.mark.parametrize("keys", [[], KEYS[1:]], ids=["none", "another"])
    def test_a_lost_key_is_said_and_nothing_is_lost(self, url: str, keys: list[str]) -> None:
        """Letters are listed, shown and counted without it; with it back they are read again."""
        with closing(Journal(url, keys=KEYS[:1])) as journal:
            journal.letters.add(letter("1", message={"body": SECRET}, payload={"a": 1}))
        with closing(Journal(url, keys=keys)) as journal:
            assert [row.id for row in journal.letters.find()] == ["1"]
            assert journal.letters.details(["1"])["1"].payload == {"a": 1}
            with pytest.raises(SealBroken, match="is not among COORDINATOR_JOURNAL_KEYS"):
                journal.letters.get("1")
            assert journal.sealing.reseal().done == 0
            assert list(journal.sealing.reseal().refused) == (["1"] if keys else [])
        with closing(Journal(url, keys=[*keys, KEYS[0]])) as journal:
            found = journal.letters.get("1")
            assert found is not None
            assert found.message == {"body": SECRET}

    def test_what_was_moved_to_another_letter_does_not_open_there(self, url: str) -> None:
        """Whoever may write to the database cannot have one letter replayed as another."""
        with closing(Journal(url, keys=KEYS[:1])) as journal:
            journal.letters.add_all([letter("1"), letter("2")])
            with connected(url) as connection:
                moved = "select message from handoff_dead_letters where id = '1'"
                connection.execute(
                    text(f"update handoff_dead_letters set message = ({moved}) where id = '2'")
                )
            with pytest.raises(SealBroken, match="changed or moved"):
                journal.letters.get("2")

    def _dump(self, url: str) -> str:
        with connected(url) as connection:
            return "".join(
                str(row)
                for table in ("dead_letters", "edits")
                for row in connection.execute(text(f"select * from handoff_{table}"))
            )


@dataclass
class Asked:
    """The statements that a journal has sent, with what was bound, and how many rows each gave at most."""

    statements: list[tuple[str, Any]] = field(default_factory=list)

    @contextmanager
    def of(self, journal: Journal) -> Iterator[None]:
        """Note what is sent meanwhile."""
        engine = journal._database._engine

        def noted(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            self.statements.append((statement, parameters))

        event.listen(engine, "before_cursor_execute", noted)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", noted)


class ManySuite:
    """A hundred thousand letters. The fixture ``url`` is an empty database."""

    FORBIDDEN: str
    """What no plan of a statement may say."""

    @pytest.fixture
    def crowded(self, url: str) -> str:
        """A database that has them: nine of ten of an installation, which wait, were replayed, or are of another."""
        with closing(Journal(url)) as journal:
            journal.ping()
        with connected(url) as connection:
            connection.execute(
                text(
                    "insert into handoff_dead_letters (id, state, run, flow, step, agent, kind, error, text, contract, attempt, "
                    "worker, payload, first_failed_at, last_failed_at, times, replays, message, namespace, trace) "
                    f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {MANY}) "
                    "select case when i % 10 = 0 then 'b|' else '' end || 'letter-' || (1000000 + i), "
                    "case when i % 3 = 0 then 'replayed' else 'waiting' end, 'run-' || (i % 1000), 'flow-' || (i % 7), '1', "
                    "'agent-' || (i % 11), 'error', 'E', 'no', 'c/1', 1, 'w', 'null', "
                    "'2026-01-01T' || (100000 + i / 3), '2026-01-02T', 1, 0, '{}', "
                    "case when i % 10 = 0 then 'b' else '' end, '' from n"
                )
            )
        with connected(url) as connection:
            connection.execute(text("analyze"))
        return url

    @pytest.fixture
    def journal(self, crowded: str) -> Iterator[Journal]:
        """Their journal."""
        with closing(Journal(crowded)) as made:
            yield made

    def test_nothing_but_a_page_is_held_and_no_message_is_read(self, crowded: str, journal: Journal) -> None:
        """To list, count, choose and touch them: each statement finds what it gives by an index, in its order, and gives a page."""
        asked, letters = Asked(), journal.letters
        with asked.of(journal):
            waiting = [i for i in range(1, MANY + 1) if i % 10 and i % 3]
            assert sum(1 for _ in letters.each()) == letters.total() == len(waiting)
            assert sum(1 for _ in letters.ids(state=None)) == letters.total(state=None) == MANY * 9 // 10
            chosen = [i for i in waiting if i % 7 == 3]
            assert sum(1 for _ in letters.ids(flow="flow-3")) == letters.total(flow="flow-3") == len(chosen)
            assert sum(1 for _ in letters.ids(agent="agent-4")) == sum(i % 11 == 4 for i in waiting)
            assert sum(letters.count("waiting", by="agent").values()) == len(waiting)
            assert sum(letters.count("waiting", by="contract").values()) == len(waiting)
            assert len(set().union(*letters.waiting_runs())) == len({i % 1000 for i in waiting})
            assert len(letters.find(limit=100)) == 100
            assert len(letters.waiting(["run-1", "run-7"])) == sum(i % 1000 in {1, 7} for i in waiting)
            letters.mark("letter-1000001", "waiting")
            letters.count_replay("letter-1000001")
        assert all(" message" not in f" {one} ".replace(".", " ") for one, _ in asked.statements)
        assert len(asked.statements) < 5 * MANY // 1_000
        chosen_pages = {
            one: bound for one, bound in asked.statements if "dead_letters" in one and "count(" not in one
        }
        plans = {one: self.plan(crowded, one, bound) for one, bound in chosen_pages.items()}
        assert not {
            statement: plan
            for statement, plan in plans.items()
            if any(word in plan for word in self.FORBIDDEN.split("|"))
        }

    def plan(self, url: str, statement: str, bound: Any) -> str:
        """How the database finds what a statement asks for."""
        explain = "explain query plan " if url.startswith("sqlite") else "explain "
        with connected(url) as connection:
            return "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, bound))


class RunsSuite:
    """Which runs live, on any database. The fixture ``url`` is an empty one."""

    def test_a_run_is_there_once(self, url: str) -> None:
        """However often it is told of; what is told last is how it stands, and in another namespace it is another run."""
        with closing(Journal(url, upgrades=True)) as journal, closing(Journal(url, namespace="b")) as other:
            for state in ("live", "live", "completed"):
                journal.runs.note({"run-1": Noted("shop.order", state)})
            other.runs.note({"run-1": Noted("shop.order", "live")})
            journal.runs.note({})
            assert journal.runs.states(["run-1", "run-2"]) == {"run-1": "completed"}
            assert other.runs.states(["run-1"]) == {"run-1": "live"}
            journal.runs.mark("run-1", "lost")
            assert [row.state for row in journal.runs.living()] == ["lost"]
            assert [row.state for row in other.runs.living()] == ["live"]

    def test_those_that_live_are_read_in_pages(self, url: str) -> None:
        """Each once, in the order in which they came, and none that has ended."""
        with closing(Journal(url, upgrades=True)) as journal:
            names = [f"run-{number:04}" for number in range(1_200)]
            journal.runs.note(dict.fromkeys(names, Noted("shop.order", "live")))
            journal.runs.note(dict.fromkeys(names[::3], Noted("shop.order", "cancelled")))
            found: list[str] = []
            last = 0
            while rows := journal.runs.living(last, 100):
                found += [row.run for row in rows]
                last = rows[-1].number
            assert sorted(found) == [name for at, name in enumerate(names) if at % 3]
            assert len(journal.runs.states(names)) == 1_200

    def test_when_it_was_accepted_and_its_key_stay(self, url: str) -> None:
        """They are told once: what is told later without them changes its state, and not them; a key has room for 200 characters."""
        with closing(Journal(url, upgrades=True)) as journal:
            journal.runs.note({"run-1": Noted("shop.order", "live")})
            assert list(journal.runs.listed(RunFilter())) == []
            journal.runs.note({"run-1": Noted("shop.order", "live", DAY[1], "o-1")})
            journal.runs.note({"run-1": Noted("shop.order", "completed")})
            [row] = journal.runs.listed(RunFilter())
            assert (row.run, row.state, row.started, row.key) == ("run-1", "completed", DAY[1], "o-1")
            journal.runs.note({"run-2": Noted("shop.order", "live", DAY[2], "k" * 300)})
            assert journal.runs.keys(["run-1", "run-2", "run-3"]) == {"run-1": "o-1", "run-2": "k" * 200}
            assert journal.runs.count() == 2

    def test_runs_are_listed_newest_first_page_by_page(self, url: str) -> None:
        """Each once, those of one moment by their ids, however large a page is; stories are not among them."""
        with closing(Journal(url, upgrades=True)) as journal, closing(Journal(url, namespace="b")) as other:
            names = [f"run-{number}" for number in range(10)]
            for number, name in enumerate(names):
                journal.runs.note({name: Noted("shop.order", "live", DAY[number // 4], f"o-{number}")})
            journal.runs.note({"story": Noted("", "live")})
            other.runs.note({"run-1": Noted("shop.order", "live", DAY[3], "o-1")})
            for page in (1, 3, 4, 10, 500):
                found = [row.run for row in journal.runs.listed(RunFilter(), page)]
                assert found == names[::-1]
            assert [row.run for row in other.runs.listed(RunFilter(key="o-1"))] == ["run-1"]

    @pytest.mark.parametrize(
        ("chosen", "found"),
        [
            (RunFilter(), "abcd"),
            (RunFilter(flow="shop.order"), "abd"),
            (RunFilter(flow="shop."), ""),
            (RunFilter(key="o-1"), "ac"),
            (RunFilter(key="o-"), ""),
            (RunFilter(key="o-1", flow="shop.order"), "a"),
            (RunFilter(since=DAY[1]), "bcd"),
            (RunFilter(since=f"{DAY[1]}~"), "cd"),
            (RunFilter(ended="completed"), "abd"),
            (RunFilter(ended="cancelled"), "acd"),
            (RunFilter(living=True), "ad"),
            (RunFilter(living=True, since=DAY[3]), "d"),
            (RunFilter(until=DAY[2]), "ab"),
            (RunFilter(since=DAY[1], until=DAY[3]), "bc"),
            (RunFilter(before=(DAY[2], "c")), "ab"),
            (RunFilter(before=(DAY[2], "d")), "abc"),
            (RunFilter(before=(DAY[3], "d"), ended="completed"), "ab"),
            (RunFilter(runs=frozenset("adx")), "ad"),
            (RunFilter(error="ValueError"), "ac"),
            (RunFilter(error="time-limit"), "b"),
            (RunFilter(error="ValueError", living=True), "a"),
            (RunFilter(error="Value"), ""),
            (RunFilter(where=(("order", "1"),)), "ab"),
            (RunFilter(where=(("order", "1"), ("country", "de"))), "b"),
            (RunFilter(where=(("country", "1"),)), ""),
        ],
    )
    def test_what_runs_are_listed_by(self, url: str, chosen: RunFilter, found: str) -> None:
        """Flow and key are told whole; what is not known to have ended may have, and is not left out for how it ended."""
        with closing(Journal(url, upgrades=True)) as journal:
            journal.runs.note(
                {
                    "a": Noted("shop.order", "live", DAY[0], "o-1"),
                    "b": Noted("shop.order", "completed", DAY[1], "o-2"),
                    "c": Noted("shop.return", "cancelled", DAY[2], "o-1"),
                    "d": Noted("shop.order", "lost", DAY[3], "o-4"),
                }
            )
            for run, kind, state in (
                ("a", "error", "waiting"),
                ("b", "time-limit", "waiting"),
                ("d", "error", "replayed"),
            ):
                error = "" if run == "b" else "ValueError"
                journal.letters.add(letter(run, run=run, kind=kind, state=state, error=error))
            journal.letters.add(letter("c", run="c"))
            marks = {
                "a": {"order": ["1"]},
                "b": {"order": ["2", "1"], "country": ["de"]},
                "c": {"country": ["de"]},
            }
            journal.history.record(
                (f"0/{run}", {"run": run, "kind": "settled", "marks": told}) for run, told in marks.items()
            )
            assert [row.run for row in journal.runs.listed(chosen)] == sorted(found, reverse=True)

    @pytest.mark.parametrize(
        "prefix", ["abcd", "ab%d", "ab_d", "ab\\d", "AbCd", "ab\U0010fffe", "äöüß", "ab"]
    )
    def test_runs_and_letters_are_found_by_how_their_ids_begin(self, url: str, prefix: str) -> None:
        """Sorted, no more than are wanted, stories among them, and those of no other installation; a capital is another letter, and no
        character stands for others."""
        others = ["abcd", "abxd", "ABCD", "abd", "b", "ac", "aa"]
        near = {f"{one}-far" for one in others if not one.startswith(prefix)}
        ids = {prefix, *(f"{prefix}-{number}" for number in range(4))}
        with closing(Journal(url, upgrades=True)) as journal, closing(Journal(url, namespace="b")) as other:
            journal.runs.note({one: Noted("", "live") for one in ids | near})
            journal.letters.add_all([letter(one, state="replayed") for one in ids | near])
            other.runs.note({f"{prefix}-b": Noted("", "live")})
            other.letters.add(letter(f"{prefix}-b"))
            for begin in (journal.runs.beginning_with, journal.letters.beginning_with):
                assert set(begin(prefix, 100)) == ids
                assert begin(prefix, 100) == sorted(begin(prefix, 100))
                assert begin(prefix, 2) == begin(prefix, 100)[:2]
                assert begin(f"{prefix}-3", 100) == [f"{prefix}-3"]
                assert begin(f"{prefix}-33", 100) == []
            assert other.runs.beginning_with(prefix, 5) == [f"{prefix}-b"]
            assert other.letters.beginning_with(prefix, 5) == [f"{prefix}-b"]
