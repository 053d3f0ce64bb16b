"""Dead letters in the journal: what waits, why, and with which message it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal, TypedDict, Unpack

from sqlalchemy import ColumnElement, Select, delete, func, select, true, tuple_, update

from handoffs.coordinator.continuation.path import SET, STORY, SUBSCRIBER, UNDO
from handoffs.coordinator.journal import actions
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.letter_row import (
    SUMMARY,
    LetterDetails,
    LetterRow,
    LetterSummary,
    details_of,
    letter_of,
    summary_of,
    values_of,
)
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.journal.tables import dead_letters

PAGE = 1_000
"""How many rows are read at once. None of them has its input or its message."""

_COLUMNS = {"group": "fingerprint"}
"""The columns of filters that are called otherwise."""

_LISTED = [dead_letters.c[name] for name in SUMMARY]


class LetterFilter(TypedDict, total=False):
    """Which letters. An empty filter lets everything pass, but ``state`` is ``waiting`` where it is not given, and None for all.
    ``contract`` is a name, of any version; ``group`` the whole id of one (:mod:`.groups`); ``error`` the type of an error."""

    state: str | None
    flow: str
    run: str
    agent: str
    kind: str
    contract: str
    group: str
    error: str


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Some letters, the oldest first. ``next`` is what to give as ``after`` for the next page; empty where this is the last."""

    letters: tuple[LetterSummary, ...]
    next: str


class LetterTable:
    """The dead letters of one installation. What reads many of them reads them in pages and without their messages: there is no
    number of letters that is too large.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used; :meth:`get` raises
    :class:`~handoffs.coordinator.errors.SealBroken` where a message is sealed with a key that is not there.
    """

    def __init__(self, database: Database, namespace: Namespace, seal: Seal) -> None:
        self._database = database
        self._namespace = namespace
        self._seal = seal
        self._own = dead_letters.c.namespace == namespace.name

    # Writing

    def add(self, row: LetterRow) -> None:
        """Write a letter; one that is known is the same letter, parked once more."""
        self.add_all([row])

    def add_all(self, rows: Sequence[LetterRow]) -> None:
        """Write letters, all of them or none."""
        if not rows:
            return
        letter, statement = dead_letters.c, self._database.insert(dead_letters)
        kept = {"id", "first_failed_at", "times", "replays"}
        columns = [*SUMMARY, "payload", "message", "trace", "fingerprint"]
        renewed = {name: statement.excluded[name] for name in columns if name not in kept}
        statement = statement.on_conflict_do_update(
            index_elements=["id"], set_={**renewed, "times": letter.times + 1}
        )
        given = [values_of(row, self._namespace, self._seal) for row in rows]
        ids = [one["id"] for one in given]
        with self._database.begin() as connection:
            found = connection.execute(select(letter.id, letter.last_failed_at).where(letter.id.in_(ids)))
            same = {(known.id, known.last_failed_at) for known in found}
            values = [one for one in given if (one["id"], one["last_failed_at"]) not in same]
            if values:  # in one order, so that processes that write the same ones do not wait for each other
                connection.execute(statement, sorted(values, key=lambda one: str(one["id"])))

    def mark(self, letter: str, state: str) -> None:
        """Put a letter into another state."""
        with self._database.begin() as connection:
            connection.execute(update(dead_letters).where(self._is(letter)).values(state=state))

    def mark_replayed(self, letter: LetterSummary) -> None:
        """The letter was published again; if it has been parked once more meanwhile, it goes on waiting."""
        same = self._is(letter.id) & (dead_letters.c.last_failed_at == letter.last_failed_at)
        with self._database.begin() as connection:
            connection.execute(update(dead_letters).where(same).values(state="replayed"))

    def count_replay(self, letter: str, after: int | None = None) -> int:
        """Count one more replay of a letter, and give the count: of the one that comes ``after`` so many, where that is given, which is
        counted once, however many count it."""
        this = self._is(letter)
        fits = this if after is None else this & (dead_letters.c.replays == after)
        counted = update(dead_letters).where(fits).values(replays=dead_letters.c.replays + 1)
        with self._database.begin() as connection:
            count = connection.scalar(counted.returning(dead_letters.c.replays))
            return int(count or connection.scalar(select(dead_letters.c.replays).where(this)) or 1)

    def archive(self, letter: LetterSummary) -> bool:
        """Put a letter away that waits; False where it does not wait any more, or was parked once more meanwhile."""
        same = self._is(letter.id) & (dead_letters.c.last_failed_at == letter.last_failed_at)
        away = update(dead_letters).where(same, dead_letters.c.state == "waiting").values(state="archived")
        with self._database.begin() as connection:
            return bool(connection.execute(away).rowcount)

    def restore(self, letter: LetterSummary, state: str = "waiting") -> bool:
        """Give a letter that was put away another state; False where it is not put away any more."""
        put_away = self._is(letter.id) & (dead_letters.c.state == "archived")
        with self._database.begin() as connection:
            return bool(connection.execute(update(dead_letters).where(put_away).values(state=state)).rowcount)

    def cancel_run(self, run: str) -> None:
        """The waiting letters of a cancelled run wait no more; but for those of what undoes it, and of what hears an event of
        a flow: both go on."""
        step, flow = dead_letters.c.step, dead_letters.c.flow
        goes_on = step.like(f"%{UNDO}") | (step.like(f"%{SUBSCRIBER}%") & ~flow.like(f"{STORY}%"))
        ended = self._own & (dead_letters.c.run == run) & (dead_letters.c.state == "waiting") & ~goes_on
        with self._database.begin() as connection:
            connection.execute(update(dead_letters).where(ended).values(state="cancelled"))

    def forget_unheard(self, contract: str = "", before: str = "", *, by: str, why: str = "") -> int:
        """Drop the events that :meth:`count_unheard` counts, and record who did, and why. Gives how many there were."""
        with self._database.begin() as connection:
            unheard = self._own & _unheard(contract, before, self._database)
            dropped = connection.execute(delete(dead_letters).where(unheard)).rowcount
            if dropped:
                note = f"{dropped} unheard events of {contract or 'every contract'}"
                note = f"{note} before {before}" if before else note
                actions.record(
                    connection, self._namespace, "forget-events", who=by, note=actions.note_of(note, why)
                )
        return dropped

    # Reading

    def get(self, letter: str) -> LetterRow | None:
        """The letter of that id, whole."""
        with self._database.begin() as connection:
            found = connection.execute(select(dead_letters).where(self._is(letter))).mappings().first()
        return letter_of(found, self._namespace, self._seal) if found else None

    def summary(self, letter: str) -> LetterSummary | None:
        """The letter of that id, without its message."""
        with self._database.begin() as connection:
            found = connection.execute(select(*_LISTED).where(self._is(letter))).mappings().first()
        return summary_of(found, self._namespace) if found else None

    def details(self, letters: Iterable[str]) -> dict[str, LetterDetails]:
        """Input and traceback of these letters, by id, as far as they are known; without their messages."""
        keys, column = {self._namespace.key(letter): letter for letter in letters}, dead_letters.c
        query = select(column.id, column.payload, column.trace).where(self._own & column.id.in_(keys))
        with self._database.begin() as connection:
            return {keys[row["id"]]: details_of(row) for row in connection.execute(query).mappings()}

    def beginning_with(self, prefix: str, limit: int) -> list[str]:
        """The ids of letters, in whatever state, that begin with ``prefix``, sorted, at most ``limit``."""
        found = self._own & self._database.begins(dead_letters.c.id, self._namespace.key(prefix))
        return [self._namespace.plain(one) for one in self._database.first(dead_letters.c.id, found, limit)]

    def find(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> list[LetterSummary]:
        """Letters, the oldest first: all of them, or the first ``limit``."""
        return list(self.each(limit=limit, **chosen))

    def each(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> Iterator[LetterSummary]:
        """The same, one after the other: however many there are, no more than a page of them is held."""
        rows = self._rows(select(*_LISTED), chosen_by(chosen, self._database), most=limit)
        return (summary_of(found, self._namespace) for found in islice(rows, limit))

    def page(self, *, after: str = "", limit: int = 50, **chosen: Unpack[LetterFilter]) -> LetterPage:
        """Some letters, the oldest first; ``after`` is :attr:`LetterPage.next` of the page before this one.

        Raises :class:`ValueError` where ``limit`` is not from 1 to :data:`PAGE`.
        """
        if not 1 <= limit <= PAGE:
            raise ValueError(f"a page has 1 to {PAGE} letters, not {limit}")
        moment, _, last = after.partition(" ")
        place = tuple_(dead_letters.c.first_failed_at, dead_letters.c.id)
        query = select(*_LISTED).where(self._own & chosen_by(chosen, self._database)).order_by(*place.clauses)
        query = query.where(place > (moment, self._namespace.key(last))) if after else query
        with self._database.begin() as connection:
            found = connection.execute(query.limit(limit + 1)).mappings().all()
        rows = tuple(summary_of(row, self._namespace) for row in found[:limit])
        return LetterPage(rows, f"{rows[-1].first_failed_at} {rows[-1].id}" if len(found) > limit else "")

    def summaries(self, letters: Iterable[str]) -> dict[str, LetterSummary]:
        """These letters by their ids, as far as they are known; no more than :data:`PAGE` are asked for at once."""
        found: dict[str, LetterSummary] = {}
        ids = iter(letters)
        while some := [self._namespace.key(letter) for letter in islice(ids, PAGE)]:
            query = select(*_LISTED).where(self._own & dead_letters.c.id.in_(some))
            with self._database.begin() as connection:
                for row in connection.execute(query).mappings():
                    one = summary_of(row, self._namespace)
                    found[one.id] = one
        return found

    def newest(self, limit: int, **chosen: Unpack[LetterFilter]) -> list[LetterSummary]:
        """Letters, those first that failed first the last, at most ``limit``."""
        letter = dead_letters.c
        query = select(*_LISTED).where(self._own & chosen_by(chosen, self._database))
        query = query.order_by(letter.first_failed_at.desc(), letter.id.desc()).limit(limit)
        with self._database.begin() as connection:
            return [summary_of(found, self._namespace) for found in connection.execute(query).mappings()]

    def ids(self, *, until: str = "", **chosen: Unpack[LetterFilter]) -> Iterator[str]:
        """The ids of letters, the oldest first; no message is read. What comes meanwhile may be among them or not, but what
        failed first after ``until``, a time as the history has it, is not."""
        query = select(dead_letters.c.id, dead_letters.c.first_failed_at)
        condition = chosen_by(chosen, self._database)
        if until:
            condition &= dead_letters.c.first_failed_at <= until
        return (self._namespace.plain(str(found["id"])) for found in self._rows(query, condition))

    def waiting(self, runs: Iterable[str]) -> list[LetterSummary]:
        """The letters of these runs that wait, the oldest first."""
        rows: list[LetterSummary] = []
        ids = iter(sorted(set(runs)))
        waits = self._own & (dead_letters.c.state == "waiting")
        while some := list(islice(ids, PAGE)):
            query = select(*_LISTED).where(waits, dead_letters.c.run.in_(some))
            with self._database.begin() as connection:
                rows += [summary_of(found, self._namespace) for found in connection.execute(query).mappings()]
        return sorted(rows, key=lambda row: (row.first_failed_at, row.id))

    def kept_runs(self, wanted: Iterable[str]) -> set[str]:
        """Those of these runs of which a letter waits, or is put away and may be brought back."""
        found: set[str] = set()
        names = iter(sorted(set(wanted)))
        kept = self._own & dead_letters.c.state.in_(("waiting", "archived"))
        while some := list(islice(names, PAGE)):
            query = select(dead_letters.c.run).where(kept, dead_letters.c.run.in_(some)).distinct()
            with self._database.begin() as connection:
                found.update(str(run) for run in connection.scalars(query))
        return found

    def waiting_runs(self) -> Iterator[set[str]]:
        """The runs of which letters wait, page by page; one of which several wait may come again. No message is read."""
        query = select(dead_letters.c.id, dead_letters.c.first_failed_at, dead_letters.c.run)
        for page in self._pages(query, chosen_by({}, self._database)):
            yield {str(found["run"]) for found in page if found["run"]}

    def waiting_sets(self) -> Iterator[LetterSummary]:
        """The letters that wait of steps that work on a set of events."""
        of_a_set = dead_letters.c.step.contains(SET, autoescape=True)
        rows = self._rows(select(*_LISTED), of_a_set & (dead_letters.c.state == "waiting"))
        return (summary_of(found, self._namespace) for found in rows)

    def failures(self, letters: Iterable[str]) -> dict[str, str]:
        """When these letters were parked the last time, by id, as far as they are known."""
        found: dict[str, str] = {}
        ids = iter(letters)
        while some := {self._namespace.key(letter): letter for letter in islice(ids, PAGE)}:
            query = select(dead_letters.c.id, dead_letters.c.last_failed_at).where(
                self._own & dead_letters.c.id.in_(some)
            )
            with self._database.begin() as connection:
                found |= {some[row.id]: str(row.last_failed_at) for row in connection.execute(query)}
        return found

    # Counting

    def count(self, state: str, *, by: Literal["agent", "contract"]) -> dict[str, int]:
        """How many letters are in that state, by their agent or their ``contract/version``."""
        return self._counted(dead_letters.c[by], dead_letters.c.state == state)

    def by_reason(self, **chosen: Unpack[LetterFilter]) -> dict[str, tuple[int, str]]:
        """How many letters :meth:`find` would give, and when the oldest of them failed first, ISO 8601, by why they were parked."""
        columns = dead_letters.c.kind, func.count(), func.min(dead_letters.c.first_failed_at)
        waiting = self._own & chosen_by(chosen, self._database)
        query = select(*columns).where(waiting).group_by(dead_letters.c.kind).order_by(dead_letters.c.kind)
        with self._database.begin() as connection:
            return {str(kind): (int(count), str(first)) for kind, count, first in connection.execute(query)}

    def total(self, *, most: int | None = None, **chosen: Unpack[LetterFilter]) -> int:
        """How many letters there are that :meth:`find` would give; no more than ``most`` are counted."""
        some = (
            select(dead_letters.c.id)
            .where(self._own & chosen_by(chosen, self._database))
            .limit(most)
            .subquery()
        )
        query = select(func.count()).select_from(some)
        with self._database.begin() as connection:
            return int(connection.scalar(query) or 0)

    def count_of(self, agent: str) -> dict[str, int]:
        """How many letters of ``agent`` wait, by ``contract/version``; under the empty one those that are no envelopes."""
        waiting = (dead_letters.c.agent == agent) & (dead_letters.c.state == "waiting")
        return self._counted(dead_letters.c.contract, waiting)

    def count_unheard(self, contract: str = "", before: str = "") -> dict[str, int]:
        """How many events of a contract (without one: of all) had no subscriber, by ``contract/version``; of those that were
        kept before ``before``, a time as the history has it (without one: whenever)."""
        return self._counted(dead_letters.c.contract, _unheard(contract, before, self._database))

    def _counted(self, column: ColumnElement[str], condition: ColumnElement[bool]) -> dict[str, int]:
        query = select(column, func.count()).where(self._own & condition).group_by(column).order_by(column)
        with self._database.begin() as connection:
            return {str(name): int(count) for name, count in connection.execute(query)}

    def _is(self, letter: str) -> ColumnElement[bool]:
        return self._own & (dead_letters.c.id == self._namespace.key(letter))

    def _rows(
        self, query: Select[Any], condition: ColumnElement[bool], *, most: int | None = None
    ) -> Iterator[Any]:
        return chain.from_iterable(self._pages(query, condition, most=most))

    def _pages(
        self, query: Select[Any], condition: ColumnElement[bool], *, most: int | None = None
    ) -> Iterator[Sequence[Any]]:
        """What ``query`` gives of the letters for which ``condition`` holds, the oldest first. Each page, of :data:`PAGE` or of
        ``most`` where that is less, is a transaction of its own and begins after the last row of the one before."""
        size = PAGE if most is None else min(PAGE, most)
        place = tuple_(dead_letters.c.first_failed_at, dead_letters.c.id)
        query = query.where(self._own & condition).order_by(*place.clauses).limit(size)
        after: ColumnElement[bool] = true()
        while True:
            with self._database.begin() as connection:
                page = connection.execute(query.where(after)).mappings().all()
            yield page
            if len(page) < size:
                return
            after = place > (page[-1]["first_failed_at"], page[-1]["id"])


def chosen_by(chosen: LetterFilter, database: Database) -> ColumnElement[bool]:
    """That a row of the table is among the chosen letters, of whichever installation."""
    condition: ColumnElement[bool] = true()
    for name, wanted in {"state": "waiting", **chosen}.items():
        if wanted:
            column = dead_letters.c[_COLUMNS.get(name, name)]
            condition &= database.begins(column, f"{wanted}/") if name == "contract" else column == wanted
    return condition


def _unheard(contract: str, before: str, database: Database) -> ColumnElement[bool]:
    condition = chosen_by({"state": "unheard", "contract": contract}, database)
    return condition & (dead_letters.c.last_failed_at < before) if before else condition
