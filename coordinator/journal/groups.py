"""Groups in the journal: the letters that wait, by what they have in common, with what people noted of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    String,
    case,
    column,
    func,
    literal,
    or_,
    select,
    true,
    update,
    values,
)

from handoffs.contracts.text import printable
from handoffs.coordinator.history import now
from handoffs.coordinator.journal import actions
from handoffs.coordinator.journal.columns import fitted
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.fingerprint import RULE, fingerprint, plain_step, plain_text
from handoffs.coordinator.journal.letters import chosen_by
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import dead_letters, deployments, group_notes

PARTS = 20
"""How many numbers tell how letters came over time."""

PAGE = 1_000
"""How many letters are named at once."""

_AT_ONCE = 200
_MOST_WORKERS = 10
_LONGEST_NAME, _LONGEST_NOTE = 200, 2_000
_NAMED_BY = ("kind", "flow", "step", "agent", "contract", "error", "text")
_STATES = ("waiting", "replayed", "settled", "cancelled", "archived")


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Letters that wait at one step for one cause. Times are ISO 8601 in UTC.

    ``step`` and ``text`` are without what differs between them (``3.i*.1``, ``no price for #``); ``kind`` is why they wait. ``first``
    is when the first of those that wait failed first, ``last`` when the last failed the last time, and ``counts`` how many failed in
    each of :data:`PARTS` equal parts of the time in which they did; one number where that was one moment. ``example`` is the id of the one that failed last. ``workers`` are some of
    those that gave them up; ``builds`` the builds of the agent that were recorded as deployed meanwhile, and ``new_since`` the newest
    of them where no letter of the group is known from before it; empty where that is not known.
    """

    id: str
    count: int
    kind: str
    flow: str
    step: str
    agent: str
    contract: str
    error: str
    text: str
    first: str
    last: str
    counts: tuple[int, ...]
    example: str
    workers: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    new_since: str = ""
    owner: str = ""
    note: str = ""
    noted_by: str = ""
    noted_at: str = ""


class GroupTable:
    """The groups of one installation's letters. Letters are counted by the database: however many there are, no more than a page of
    them is held.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._own = dead_letters.c.namespace == namespace.name

    def fill(self) -> int:
        """Name the letters that wait and have no name, or one by an older rule; gives how many. They were kept by another release."""
        letter = dead_letters.c
        unnamed = or_(letter.fingerprint < RULE, letter.fingerprint >= chr(ord(RULE[0]) + 1))
        query = select(letter.id, *(letter[name] for name in _NAMED_BY))
        query = query.where(self._own, letter.state == "waiting", unnamed).order_by(letter.id).limit(PAGE)
        after: ColumnElement[bool] = true()
        count = 0
        while True:
            with self._database.begin() as connection:
                page = connection.execute(query.where(after)).mappings().all()
                named: dict[str, list[str]] = {}
                for one in page:
                    named.setdefault(_name(one), []).append(one["id"])
                for name, ids in sorted(named.items()):
                    same = unnamed & letter.id.in_(
                        ids
                    )  # but for what was parked once more, and named, meanwhile
                    connection.execute(update(dead_letters).where(same).values(fingerprint=name))
            count += len(page)
            if len(page) < PAGE:
                return count
            after = letter.id > page[-1]["id"]

    def find(
        self, *, limit: int | None = None, only: str = "", flow: str = "", agent: str = "", kind: str = ""
    ) -> list[LetterGroup]:
        """The groups, the largest first: all of them, or the first ``limit``; the one of that id, or those of a flow, an agent, a kind."""
        letter = dead_letters.c
        number = func.count().label("number")
        begin, end = func.min(letter.last_failed_at), func.max(letter.last_failed_at)
        query = (
            select(letter.fingerprint, number, begin.label("begin"), end.label("end"))
            .where(
                self._own
                & chosen_by({"group": only, "flow": flow, "agent": agent, "kind": kind}, self._database)
            )
            .group_by(letter.fingerprint)
            .order_by(number.desc(), letter.fingerprint)
        )
        with self._database.begin() as connection:
            found = connection.execute(query if limit is None else query.limit(limit)).mappings().all()
            pages = (found[first : first + _AT_ONCE] for first in range(0, len(found), _AT_ONCE))
            return [group for page in pages for group in self._groups(connection, page)]

    def total(self, *, flow: str = "", agent: str = "", kind: str = "") -> int:
        """How many groups there are, of a flow, an agent, a kind where these are given."""
        query = select(func.count(func.distinct(dead_letters.c.fingerprint)))
        with self._database.begin() as connection:
            waiting = self._own & chosen_by({"flow": flow, "agent": agent, "kind": kind}, self._database)
            return int(connection.scalar(query.where(waiting)) or 0)

    def beginning_with(self, prefix: str, limit: int) -> list[str]:
        """The ids of groups that begin with ``prefix``, sorted, at most ``limit``."""
        letter = dead_letters.c
        begins = self._database.begins(letter.fingerprint, prefix)
        query = select(letter.fingerprint).where(self._own, letter.state == "waiting", begins).distinct()
        with self._database.begin() as connection:
            return [str(one) for one in connection.scalars(query.order_by(letter.fingerprint).limit(limit))]

    def note(self, group: str, note: str, owner: str, *, by: str) -> None:
        """Give a group a note and an owner, in place of those that it has, and record who did; either may be empty."""
        values = {
            "namespace": self._namespace.name, "fingerprint": group, "note": printable(note, _LONGEST_NOTE),
            "owner": printable(owner, _LONGEST_NAME), "at": now(), "who": printable(by, _LONGEST_NAME),
        }  # fmt: skip
        statement = self._database.insert(group_notes).values(fitted(group_notes, values))
        told = {name: statement.excluded[name] for name in ("note", "owner", "at", "who")}
        statement = statement.on_conflict_do_update(index_elements=["namespace", "fingerprint"], set_=told)
        said = f"group {group}, owner {owner or 'nobody'}: {note}"
        with self._database.begin() as connection:
            connection.execute(statement)
            actions.record(connection, self._namespace, "note-group", who=by, note=said)

    def _groups(self, connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> Iterator[LetterGroup]:
        """The groups of these rows, however many there are: in as many questions as one takes."""
        letter, builds = dead_letters.c, self._builds(connection)
        named = self._own & letter.fingerprint.in_([row["fingerprint"] for row in rows])
        waiting = named & (letter.state == "waiting")
        by_name = self._counts(connection, rows, waiting)
        seen = self._seen(connection, named) if builds else {}
        workers: dict[str, list[str]] = {}
        at_work = select(letter.fingerprint, letter.worker).where(waiting, letter.worker != "").distinct()
        for name, worker in connection.execute(at_work.order_by(letter.fingerprint, letter.worker)):
            workers.setdefault(name, []).append(worker)
        noted = select(group_notes).where(
            (group_notes.c.namespace == self._namespace.name)
            & group_notes.c.fingerprint.in_([row["fingerprint"] for row in rows])
        )
        notes = {str(note["fingerprint"]): note for note in connection.execute(noted).mappings()}
        examples = self._examples(connection, rows)
        for row in rows:
            group = row["fingerprint"]
            one = examples.get(group) or dict.fromkeys(("id", *_NAMED_BY), "")
            first, counts = by_name.get(group, (row["begin"], (row["number"],)))
            deployed = builds.get(one["agent"], [])
            note: Mapping[Any, Any] = notes.get(group, {})
            since = seen.get(group) or first
            yield LetterGroup(
                id=group, count=row["number"], kind=one["kind"], flow=one["flow"], step=plain_step(one["step"]),
                agent=one["agent"], contract=one["contract"], error=one["error"], text=plain_text(one["text"]),
                first=first, last=row["end"], counts=counts,
                example=self._namespace.plain(one["id"]), workers=tuple(workers.get(group, ())[:_MOST_WORKERS]),
                builds=tuple(b for b, begin, end in deployed if begin <= row["end"] and (not end or end >= since)),
                new_since=deployed[-1][0] if deployed and deployed[-1][1] <= since else "",
                owner=note.get("owner", ""), note=note.get("note", ""), noted_by=note.get("who", ""),
                noted_at=note.get("at", ""),
            )  # fmt: skip

    def _seen(self, connection: Connection, named: ColumnElement[bool]) -> dict[str, str]:
        """By group when the first of its letters failed first that are known, also of those that wait no more."""
        letter = dead_letters.c
        ever = select(letter.fingerprint, func.min(letter.first_failed_at)).group_by(letter.fingerprint)
        oldest = connection.execute(ever.where(named, letter.state.in_(_STATES)))
        return {str(name): str(first) for name, first in oldest}

    def _counts(
        self, connection: Connection, rows: Sequence[Mapping[Any, Any]], waiting: ColumnElement[bool]
    ) -> dict[str, tuple[str, tuple[int, ...]]]:
        """By group when the first of those that wait failed first, and how many failed in each part of the time in which they did."""
        letter, edges = dead_letters.c, {row["fingerprint"]: _edges(row["begin"], row["end"]) for row in rows}
        parted = {name: given for name, given in edges.items() if given}
        part: ColumnElement[int] = literal(0)
        origin: FromClause = dead_letters
        if parted:
            columns = [
                column("name", String),
                *(column(f"edge_{number}", String) for number in range(1, PARTS)),
            ]
            given = (
                values(*columns, name="edges")
                .data([(name, *moments) for name, moments in parted.items()])
                .cte("edges")
            )
            failed = self._database.octets(letter.last_failed_at)
            before = (failed < given.c[one.name] for one in columns[1:])
            part = case(*((one, number) for number, one in enumerate(before)), else_=PARTS - 1)
            origin = dead_letters.outerjoin(given, given.c.name == letter.fingerprint)
        query = select(letter.fingerprint, part, func.count(), func.min(letter.first_failed_at)).select_from(
            origin
        )
        found: dict[str, tuple[str, tuple[int, ...]]] = {}
        for name, at, count, first in connection.execute(
            query.where(waiting).group_by(letter.fingerprint, part)
        ):
            begin, counts = found.get(name, (first, (0,) * (PARTS if name in parted else 1)))
            place = at if name in parted else 0
            found[name] = (min(begin, first), (*counts[:place], counts[place] + count, *counts[place + 1 :]))
        return found

    def _examples(
        self, connection: Connection, rows: Sequence[Mapping[Any, Any]]
    ) -> dict[str, Mapping[Any, Any]]:
        """By group the letter that failed last."""
        letter, of_it = dead_letters.c, dead_letters.alias("of_it")
        names = (
            values(column("name", String), name="names")
            .data([(row["fingerprint"],) for row in rows])
            .cte("names")
        )
        newest = (
            select(of_it.c.id)
            .where(
                of_it.c.namespace == self._namespace.name,
                of_it.c.state == "waiting",
                of_it.c.fingerprint == names.c.name,
            )
            .order_by(of_it.c.last_failed_at.desc(), of_it.c.id)
            .limit(1)
            .scalar_subquery()
        )
        ids = [one for one in connection.scalars(select(newest).select_from(names)) if one is not None]
        shown = select(letter.id, letter.fingerprint, *(letter[name] for name in _NAMED_BY))
        found = connection.execute(shown.where(self._own, letter.id.in_(ids))).mappings()
        return {str(one["fingerprint"]): one for one in found}

    def _builds(self, connection: Connection) -> dict[str, list[tuple[str, str, str]]]:
        """By agent its builds that were recorded, the oldest first, each with when it was recorded and withdrawn."""
        table = deployments.c
        query = select(table.agent, table.build, table.recorded_at, table.withdrawn_at)
        query = query.where(table.namespace == self._namespace.name).order_by(table.recorded_at, table.build)
        found: dict[str, list[tuple[str, str, str]]] = {}
        for agent, build, since, until in connection.execute(query):
            found.setdefault(self._namespace.plain(agent), []).append((build, since, until))
        return found


def _name(row: Mapping[Any, Any]) -> str:
    place = (row["flow"], row["step"], row["agent"])
    return fingerprint(row["kind"], place, row["contract"], row["error"], row["text"])


def _edges(begin: str, end: str) -> Sequence[str]:
    """The moments between the equal parts of a time, as letters have theirs; none where it is none, or too short."""
    try:
        first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
        part = (last - first) / PARTS
    except (ValueError, TypeError, OverflowError):
        return ()
    return tuple(_moments(first, part)) if part >= timedelta(milliseconds=1) else ()


def _moments(first: datetime, part: timedelta) -> Iterator[str]:
    return ((first + part * number).isoformat(timespec="milliseconds") for number in range(1, PARTS))
