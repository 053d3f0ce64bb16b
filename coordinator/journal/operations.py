"""Operations in the journal: what is done with many letters, which letters those are, and how far it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, literal, select, update

from handoffs.contracts.text import printable
from handoffs.coordinator.history import now
from handoffs.coordinator.journal import actions
from handoffs.coordinator.journal.columns import fitted, json_text, json_value
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.letters import LetterFilter, chosen_by
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import dead_letters, operation_letters, operations

RUNNING, STOPPED, CANCELLED, DONE = "running", "stopped", "cancelled", "done"
"""The states of an operation. One whose process has died is ``running`` until somebody resumes it."""

PENDING, CLAIMED, REFUSED, GONE = "pending", "claimed", "refused", "gone"
"""The states of its letters, beside :data:`DONE`: ``gone`` is one that something else has moved meanwhile."""

AGAIN, ELSEWISE = "again", "otherwise"
"""What came of a letter that parked once more: for the same cause, or for another."""

_PAGE = 1_000
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, and how. ``kind`` is ``replay``, ``archive`` or ``restore``; ``selection`` says in words what was chosen, ``options`` how
    it is done, as JSON values."""

    kind: str
    selection: str
    who: str
    why: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation. ``turn`` counts who has it: only the last one who took it goes on with it. ``counts`` has the numbers of its
    letters by state, and under ``again`` and ``otherwise`` those that parked once more. Times are ISO 8601 in UTC."""

    id: str
    kind: str
    state: str
    at: str
    who: str
    why: str
    selection: str
    options: Mapping[str, Any]
    turn: int
    changed_at: str
    told: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OperationLetter:
    """A letter of an operation: ``was`` and ``failed_at`` are its state, and when it failed last, when it was chosen; ``replays`` is how
    often it had been replayed when it was claimed."""

    position: int
    letter: str
    was: str
    fingerprint: str
    state: str
    replays: int
    failed_at: str
    claimed_at: str
    came: str
    told: str


_LETTER = tuple(OperationLetter.__slots__)


class OperationTable:
    """The operations of one installation. A letter is claimed here before anything is done with it, and concluded afterwards.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._own = operations.c.namespace == namespace.name

    # Beginning and ending

    def begin(self, order: Order, chosen: LetterFilter | Iterable[str]) -> str:
        """Write down an operation with the letters that are ``chosen`` now, by a filter or by their ids, and that somebody began it.
        Gives its id."""
        operation, at = str(uuid.uuid4()), now()
        values = {
            "id": operation, "namespace": self._namespace.name, "kind": order.kind, "state": RUNNING, "at": at,
            "who": printable(order.who, 200), "why": printable(order.why, _LONGEST), "selection": printable(order.selection, _LONGEST),
            "options": json_text(dict(order.options)), "turn": 1, "changed_at": at, "told": "",
        }  # fmt: skip
        with self._database.begin() as connection:
            connection.execute(insert(operations).values(fitted(operations, values)))
            if isinstance(chosen, Mapping):
                self._choose(connection, operation, cast("LetterFilter", chosen))
            else:
                self._name(connection, operation, chosen)
            self._record(
                connection, f"begin-{order.kind}", operation, order.who, f"{order.selection}: {order.why}"
            )
        return operation

    def take(self, operation: str, *, by: str, why: str = "", **options: Any) -> int | None:
        """Take an operation that is not over, from whoever has it, with these ``options`` beside its own, and record that, with the reason;
        gives the turn with which it goes on, or None where it is over."""
        row = self.get(operation)
        if row is None:
            return None
        values = {
            "state": RUNNING,
            "told": "",
            "changed_at": now(),
            "options": json_text({**row.options, **options}),
        }
        open_ = self._is(operation) & operations.c.state.in_([RUNNING, STOPPED])
        taken = update(operations).where(open_).values(turn=operations.c.turn + 1, **values)
        with self._database.begin() as connection:
            turn = connection.scalar(taken.returning(operations.c.turn))
            if turn is not None:
                self._record(
                    connection, "resume-operation", operation, by, f"{row.selection}: {why}".rstrip(": ")
                )
        return None if turn is None else int(turn)

    def end(self, operation: str, turn: int, state: str, told: str = "") -> bool:
        """Put an operation of that turn into another state; False where somebody else has it, or has cancelled it."""
        mine = self._is(operation) & (operations.c.turn == turn) & (operations.c.state == RUNNING)
        values = {"state": state, "told": printable(told, _LONGEST), "changed_at": now()}
        with self._database.begin() as connection:
            return bool(connection.execute(update(operations).where(mine).values(**values)).rowcount)

    def allow(self, operation: str, turn: int, **options: Any) -> None:
        """Add to the options of an operation of that turn."""
        row = self.get(operation)
        if row is not None:
            mine = self._is(operation) & (operations.c.turn == turn)
            text = json_text({**row.options, **options})
            with self._database.begin() as connection:
                connection.execute(update(operations).where(mine).values(options=text))

    def cancel(self, operation: str, *, by: str, why: str = "") -> bool:
        """End an operation that is not over, and record who did; False where it is over. No letter is claimed for it from then on."""
        open_ = self._is(operation) & operations.c.state.in_([RUNNING, STOPPED])
        values = {"state": CANCELLED, "told": printable(why, _LONGEST), "changed_at": now()}
        with self._database.begin() as connection:
            done = bool(connection.execute(update(operations).where(open_).values(**values)).rowcount)
            if done:
                self._record(connection, "cancel-operation", operation, by, why)
        return done

    # Its letters

    def claim(self, operation: str, turn: int) -> OperationLetter | None:
        """Claim its next letter that still is what it was when it was chosen; those that are not are marked as ``gone``. None where no
        letter is left, or where the operation is not this turn's any more."""
        one, column = operation_letters.c, dead_letters.c
        mine = self._is(operation) & (operations.c.turn == turn) & (operations.c.state == RUNNING)
        following = (
            select(
                operation_letters,
                column.state.label("is"),
                column.last_failed_at,
                column.replays.label("by_now"),
            )
            .outerjoin(dead_letters, (column.id == one.letter) & (column.namespace == self._namespace.name))
            .where(one.operation == operation, one.state == PENDING)
            .order_by(one.position)
            .limit(1)
        )
        while True:
            with self._database.begin() as connection:
                # First, so that whoever takes or cancels the operation waits for this, or is seen by it.
                if not connection.execute(update(operations).where(mine).values(changed_at=now())).rowcount:
                    return None
                found = connection.execute(following).mappings().first()
                if found is None:
                    return None
                if (found["is"], found["last_failed_at"]) == (found["was"], found["failed_at"]):
                    claimed = {"state": CLAIMED, "replays": found["by_now"], "claimed_at": now()}
                    self._set(connection, operation, found["position"], claimed)
                    return self._letter({**found, **claimed})
                told = f"it is {found['is'] or 'not there'} by now"
                if found["is"] == found["was"]:
                    told = "it was parked once more meanwhile"
                self._set(connection, operation, found["position"], {"state": GONE, "told": told})

    def conclude(self, operation: str, position: int, state: str, *, came: str = "", told: str = "") -> None:
        """Write down what was done with a letter that was claimed."""
        with self._database.begin() as connection:
            self._set(
                connection,
                operation,
                position,
                {"state": state, "came": came, "told": printable(told, _LONGEST)},
            )

    def letters(
        self, operation: str, *, state: str = "", again: bool = False, after: int = -1, limit: int = _PAGE
    ) -> list[OperationLetter]:
        """Its letters in their order, of one state or of all, whose position is above ``after``, at most ``limit``; with ``again`` those
        that parked once more."""
        one = operation_letters.c
        query = select(operation_letters).where(one.operation == operation, one.position > after)
        query = query.where(one.state == state) if state else query
        query = query.where(one.came != "") if again else query
        with self._database.begin() as connection:
            rows = connection.execute(query.order_by(one.position).limit(limit)).mappings()
            return [self._letter(row) for row in rows]

    def note_parked(self, operation: str) -> list[tuple[str, bool]]:
        """Write down which of its letters have parked once more since they were sent; gives those that were not known yet, each with
        whether that was for the same cause."""
        one, column = operation_letters.c, dead_letters.c
        query = (
            select(one.position, one.letter, one.fingerprint, column.fingerprint.label("now"))
            .join(dead_letters, column.id == one.letter)
            .where(one.operation == operation, one.state == DONE, one.came == "")
            .where(column.state == "waiting", column.last_failed_at != one.failed_at)
            .where(column.namespace == self._namespace.name)
            .order_by(one.position)
        )
        same = (one.operation == operation) & (one.position == bindparam("place"))
        mark = update(operation_letters).where(same).values(came=bindparam("what"))
        with self._database.begin() as connection:
            found = connection.execute(query).all()
            if found:
                marks = [
                    {"place": row.position, "what": AGAIN if row.now == row.fingerprint else ELSEWISE}
                    for row in found
                ]
                connection.execute(mark, marks)
        return [(self._namespace.plain(row.letter), row.now == row.fingerprint) for row in found]

    # Reading

    def get(self, operation: str) -> OperationRow | None:
        """The operation of that id."""
        return next(iter(self._rows(self._is(operation), 1)), None)

    def find(self, limit: int | None = None, *, after: str = "") -> list[OperationRow]:
        """The operations, the newest first: all of them, or the first ``limit``; those after the one of an id."""
        column, condition = operations.c, self._own
        if after:
            at = select(column.at).where(self._is(after)).scalar_subquery()
            condition &= (column.at < at) | ((column.at == at) & (column.id > after))
        return self._rows(condition, limit)

    def beginning_with(self, prefix: str, limit: int) -> list[str]:
        """The ids of operations that begin with ``prefix``, sorted, at most ``limit``."""
        query = select(operations.c.id).where(self._own, self._database.begins(operations.c.id, prefix))
        with self._database.begin() as connection:
            return [str(found) for found in connection.scalars(query.order_by(operations.c.id).limit(limit))]

    def _rows(self, condition: ColumnElement[bool], limit: int | None) -> list[OperationRow]:
        query = select(operations).where(condition).order_by(operations.c.at.desc(), operations.c.id)
        one = operation_letters.c
        with self._database.begin() as connection:
            rows = connection.execute(query if limit is None else query.limit(limit)).mappings().all()
            counted: dict[str, dict[str, int]] = {row["id"]: {} for row in rows}
            for some in _pages(counted):
                sums = select(one.operation, one.state, one.came, func.count()).where(one.operation.in_(some))
                for operation, state, came, number in connection.execute(
                    sums.group_by(one.operation, one.state, one.came)
                ):
                    counts = counted[operation]
                    for name in filter(None, (state, came)):
                        counts[name] = counts.get(name, 0) + number
        return [_operation(row, counted[row["id"]]) for row in rows]

    def _letter(self, row: Mapping[Any, Any]) -> OperationLetter:
        values = {name: row[name] for name in _LETTER}
        return OperationLetter(**{**values, "letter": self._namespace.plain(values["letter"])})

    def _is(self, operation: str) -> ColumnElement[bool]:
        return self._own & (operations.c.id == operation)

    def _set(self, connection: Connection, operation: str, position: int, values: Mapping[str, Any]) -> None:
        one = operation_letters.c
        same = (one.operation == operation) & (one.position == position)
        connection.execute(update(operation_letters).where(same).values(**values))

    def _choose(self, connection: Connection, operation: str, chosen: LetterFilter) -> None:
        """Copy the ids of the chosen letters, the oldest first: one statement, so that it is one moment's."""
        letter = dead_letters.c
        place = func.row_number().over(order_by=(letter.first_failed_at, letter.id))
        empty = literal("")
        query = select(
            literal(operation), place, letter.id, letter.state, letter.fingerprint, literal(PENDING), literal(0),
            letter.last_failed_at, empty, empty, empty,
        ).where((letter.namespace == self._namespace.name) & chosen_by(chosen, self._database))  # fmt: skip
        connection.execute(insert(operation_letters).from_select(["operation", "position", *_COPIED], query))

    def _name(self, connection: Connection, operation: str, letters: Iterable[str]) -> None:
        numbers = count(1)
        for some in _pages(dict.fromkeys(letters)):
            keys = [self._namespace.key(letter) for letter in some]
            column = dead_letters.c
            query = select(column.id, column.state, column.fingerprint, column.last_failed_at).where(
                (column.namespace == self._namespace.name) & column.id.in_(keys)
            )
            known = {row.id: row for row in connection.execute(query)}
            values = [
                {
                    "operation": operation, "position": next(numbers), "letter": key, "was": known[key].state, "fingerprint": known[key].fingerprint,
                    "state": PENDING, "replays": 0, "failed_at": known[key].last_failed_at, "claimed_at": "", "came": "", "told": "",
                }
                for key in keys
                if key in known
            ]  # fmt: skip
            if values:
                connection.execute(insert(operation_letters), values)

    def _record(self, connection: Connection, action: str, operation: str, who: str, why: str) -> None:
        actions.record(
            connection, self._namespace, action, who=who, note=f"operation {operation}: {why}".rstrip(": ")
        )


_COPIED = ("letter", "was", "fingerprint", "state", "replays", "failed_at", "claimed_at", "came", "told")


def _pages(values: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while some := list(islice(rest, _PAGE)):
        yield some


def _operation(row: Mapping[Any, Any], counts: Mapping[str, int]) -> OperationRow:
    try:
        options = json_value(row["options"])
    except ValueError:  # changed by hand
        options = {}
    values = {name: row[name] for name in OperationRow.__slots__ if name not in {"options", "counts"}}
    return OperationRow(**values, options=options if isinstance(options, dict) else {}, counts=counts)
