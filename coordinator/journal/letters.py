"""Dead letters in the journal: what waits, why, and with which message it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal, TypedDict, Unpack

from sqlalchemy import ColumnElement, Select, delete, func, select, true, tuple_, update

from handoffs.coordinator.continuation.path import SET, STORY, SUBSCRIBER, UNDO
from handoffs.coordinator.journal import actions
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.tables import dead_letters

PAGE = 1_000
"""How many rows are read at once."""


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A dead letter as it is kept.

    ``state`` is ``waiting``, ``replayed``, ``settled`` (the step has its outcome by another way), ``cancelled`` or ``unheard``.
    ``payload`` is the input with sensitive values masked; ``message`` is the message itself, for replaying.
    ``times`` counts how often it was parked.
    """

    id: str
    state: str
    run: str
    flow: str
    step: str
    agent: str
    kind: str
    error: str
    text: str
    contract: str
    attempt: int
    worker: str
    payload: Any
    first_failed_at: str
    last_failed_at: str
    times: int
    replays: int
    message: dict[str, Any]


class LetterFilter(TypedDict, total=False):
    """Which letters. An empty filter lets everything pass, but ``state`` is ``waiting`` where it is not given, and None for all.
    ``contract`` is a name, of any version."""

    state: str | None
    flow: str
    run: str
    agent: str
    kind: str
    contract: str


class LetterTable:
    """The dead letters. What reads many of them reads them in pages: there is no number of letters that is too large.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
        renewed = {name: statement.excluded[name] for name in LetterRow.__slots__ if name not in kept}
        statement = statement.on_conflict_do_update(
            index_elements=["id"], set_={**renewed, "times": letter.times + 1}
        )
        ids = [row.id for row in rows]
        with self._database.begin() as connection:
            found = connection.execute(select(letter.id, letter.last_failed_at).where(letter.id.in_(ids)))
            same = {(known.id, known.last_failed_at) for known in found}
            values = [_values(row) for row in rows if (row.id, row.last_failed_at) not in same]
            if values:  # in one order, so that processes that write the same ones do not wait for each other
                connection.execute(statement, sorted(values, key=lambda one: str(one["id"])))

    def mark(self, letter: str, state: str) -> None:
        """Put a letter into another state."""
        with self._database.begin() as connection:
            connection.execute(update(dead_letters).where(dead_letters.c.id == letter).values(state=state))

    def mark_replayed(self, letter: LetterRow) -> None:
        """The letter was published again; if it has been parked once more meanwhile, it goes on waiting."""
        same = (dead_letters.c.id == letter.id) & (dead_letters.c.last_failed_at == letter.last_failed_at)
        with self._database.begin() as connection:
            connection.execute(update(dead_letters).where(same).values(state="replayed"))

    def count_replay(self, letter: str) -> int:
        """Count one more replay of a letter, and give the count."""
        counted = (
            update(dead_letters).where(dead_letters.c.id == letter).values(replays=dead_letters.c.replays + 1)
        )
        with self._database.begin() as connection:
            return int(connection.scalar(counted.returning(dead_letters.c.replays)) or 1)

    def cancel_run(self, run: str) -> None:
        """The waiting letters of a cancelled run wait no more; but for those of what undoes it, and of what hears an event of
        a flow: both go on."""
        step, flow = dead_letters.c.step, dead_letters.c.flow
        goes_on = step.like(f"%{UNDO}") | (step.like(f"%{SUBSCRIBER}%") & ~flow.like(f"{STORY}%"))
        ended = (dead_letters.c.run == run) & (dead_letters.c.state == "waiting") & ~goes_on
        with self._database.begin() as connection:
            connection.execute(update(dead_letters).where(ended).values(state="cancelled"))

    def forget_unheard(self, contract: str = "", before: str = "", *, by: str) -> int:
        """Drop the events that :meth:`count_unheard` counts, and record who did. Gives how many there were."""
        with self._database.begin() as connection:
            dropped = connection.execute(delete(dead_letters).where(_unheard(contract, before))).rowcount
            if dropped:
                note = f"{dropped} unheard events of {contract or 'every contract'}"
                note = f"{note} before {before}" if before else note
                actions.record(connection, "forget-events", who=by, note=note)
        return dropped

    # Reading

    def get(self, letter: str) -> LetterRow | None:
        """The letter of that id."""
        with self._database.begin() as connection:
            query = select(dead_letters).where(dead_letters.c.id == letter)
            found = connection.execute(query).mappings().first()
            return _letter(found) if found else None

    def find(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> list[LetterRow]:
        """Letters, the oldest first: all of them, or the first ``limit``."""
        rows = self._rows(select(dead_letters), _chosen(chosen), most=limit)
        return [_letter(found) for found in islice(rows, limit)]

    def ids(self, **chosen: Unpack[LetterFilter]) -> Iterator[str]:
        """The ids of letters, the oldest first; no message is read. What comes meanwhile may be among them or not."""
        query = select(dead_letters.c.id, dead_letters.c.first_failed_at)
        return (str(found["id"]) for found in self._rows(query, _chosen(chosen)))

    def waiting(self, runs: Iterable[str]) -> list[LetterRow]:
        """The letters of these runs that wait, the oldest first."""
        rows: list[LetterRow] = []
        ids = iter(sorted(set(runs)))
        while some := list(islice(ids, PAGE)):
            query = select(dead_letters).where(
                dead_letters.c.state == "waiting", dead_letters.c.run.in_(some)
            )
            with self._database.begin() as connection:
                rows += [_letter(found) for found in connection.execute(query).mappings()]
        return sorted(rows, key=lambda row: (row.first_failed_at, row.id))

    def waiting_runs(self) -> Iterator[set[str]]:
        """The runs of which letters wait, page by page; one of which several wait may come again. No message is read."""
        query = select(dead_letters.c.id, dead_letters.c.first_failed_at, dead_letters.c.run)
        for page in self._pages(query, _chosen({})):
            yield {str(found["run"]) for found in page if found["run"]}

    def waiting_sets(self) -> Iterator[LetterRow]:
        """The letters that wait of steps that work on a set of events."""
        of_a_set = dead_letters.c.step.contains(SET, autoescape=True)
        return map(_letter, self._rows(select(dead_letters), of_a_set & (dead_letters.c.state == "waiting")))

    def messages(self, letters: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The messages of these letters, by id, as far as they are known."""
        query = select(dead_letters.c.id, dead_letters.c.message).where(dead_letters.c.id.in_(list(letters)))
        with self._database.begin() as connection:
            return {letter: json.loads(text) for letter, text in connection.execute(query)}

    # Counting

    def count(self, state: str, *, by: Literal["agent", "contract"]) -> dict[str, int]:
        """How many letters are in that state, by their agent or their ``contract/version``."""
        return self._counted(dead_letters.c[by], dead_letters.c.state == state)

    def count_of(self, agent: str) -> dict[str, int]:
        """How many letters of ``agent`` wait, by ``contract/version``; under the empty one those that are no envelopes."""
        waiting = (dead_letters.c.agent == agent) & (dead_letters.c.state == "waiting")
        return self._counted(dead_letters.c.contract, waiting)

    def count_unheard(self, contract: str = "", before: str = "") -> dict[str, int]:
        """How many events of a contract (without one: of all) had no subscriber, by ``contract/version``; of those that were
        kept before ``before``, a time as the history has it (without one: whenever)."""
        return self._counted(dead_letters.c.contract, _unheard(contract, before))

    def _counted(self, column: ColumnElement[str], condition: ColumnElement[bool]) -> dict[str, int]:
        query = select(column, func.count()).where(condition).group_by(column).order_by(column)
        with self._database.begin() as connection:
            return {str(name): int(count) for name, count in connection.execute(query)}

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
        query = query.where(condition).order_by(*place.clauses).limit(size)
        after: ColumnElement[bool] = true()
        while True:
            with self._database.begin() as connection:
                page = connection.execute(query.where(after)).mappings().all()
            yield page
            if len(page) < size:
                return
            after = place > (page[-1]["first_failed_at"], page[-1]["id"])


def _chosen(chosen: LetterFilter) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = true()
    for name, wanted in {"state": "waiting", **chosen}.items():
        if wanted:
            condition &= _is_of(str(wanted)) if name == "contract" else dead_letters.c[name] == wanted
    return condition


def _unheard(contract: str, before: str) -> ColumnElement[bool]:
    condition = _chosen({"state": "unheard", "contract": contract})
    return condition & (dead_letters.c.last_failed_at < before) if before else condition


def _is_of(contract: str) -> ColumnElement[bool]:
    """Exactly: LIKE does not tell capitals apart everywhere."""
    return func.substr(dead_letters.c.contract, 1, len(contract) + 1) == f"{contract}/"


def _values(row: LetterRow) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in LetterRow.__slots__},
        "payload": json.dumps(row.payload, ensure_ascii=False),
        "message": json.dumps(row.message, ensure_ascii=False),
    }


def _letter(found: Any) -> LetterRow:
    return LetterRow(
        **{**found, "payload": json.loads(found["payload"]), "message": json.loads(found["message"])}
    )
