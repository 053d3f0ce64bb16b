"""Witness: where each chain ended at a moment, written down to be kept elsewhere, and whether the journal still goes through there.

A chain proves nothing against who may write to all of it: they can make another. They cannot change what somebody else has kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select, tuple_

from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.history import now
from handoffs.coordinator.journal.chain import ACTIONS, RUNS, STARTS, Head
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.faults import Fault
from handoffs.coordinator.journal.heads import heads_of, starts
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import actions, chains, history
from handoffs.coordinator.journal.tombstones import tombstones

_AT_ONCE = 200
_FORM = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a chain ended: its kind (``run``, ``actions``; ``start``: after which row of a table there are chains), the run, and the
    head."""

    chain: str
    name: str
    head: Head

    def fields(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "chain": self.chain,
            "name": self.name,
            "sequence": self.head.sequence,
            "digest": self.head.digest,
        }


class Witness:
    """Writes down the heads of an installation, and compares. Raises :class:`~handoffs.coordinator.errors.ServerError` where the database
    cannot be used."""

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace

    def lines(self) -> Iterator[dict[str, Any]]:
        """What is to be kept, as JSON values: what it is of, and each head. A page of them is held at a time."""
        yield {"heads": _FORM, "namespace": self._namespace.name, "at": now()}
        with self._database.begin() as connection:
            begun = starts(connection)
            acted = heads_of(connection, self._namespace, ACTIONS, [""])
        for name, number in sorted(begun.items()):
            yield Kept(STARTS, name, Head(number)).fields()
        yield from (Kept(ACTIONS, name, head).fields() for name, head in acted.items())
        own = (chains.c.namespace == self._namespace.name) & (chains.c.kind == RUNS)
        query = select(chains.c.name, chains.c.sequence, chains.c.digest).where(own).order_by(chains.c.name)
        after: str | None = None
        while True:
            with self._database.begin() as connection:
                later = query if after is None else query.where(chains.c.name > after)
                page = connection.execute(later.limit(_AT_ONCE)).all()
            yield from (Kept(RUNS, name, Head(*head)).fields() for name, *head in page)
            if len(page) < _AT_ONCE:
                return
            after = page[-1][0]

    def compare(self, lines: Iterable[Any]) -> Iterator[Fault]:
        """The chains that do not go through where they ended when ``lines`` were written.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where they are not what :meth:`lines` gives, or are of another installation.
        """
        rest = iter(lines)
        self._check(next(rest, None))
        kept = map(_kept, rest)
        while some := list(islice(kept, _AT_ONCE)):
            with self._database.begin() as connection:
                faults = [
                    *self._starts(connection, some),
                    *self._acted(connection, some),
                    *self._runs(connection, [one for one in some if one.chain == RUNS]),
                ]
            yield from faults

    def _check(self, first: Any) -> None:
        if not isinstance(first, dict) or first.get("heads") != _FORM:
            raise InvalidData(
                "it does not begin as what coordinator journal seal prints", "nothing was compared"
            )
        if first.get("namespace") != self._namespace.name:
            raise InvalidData(
                "it is of another namespace", "nothing was compared", "set COORDINATOR_NAMESPACE"
            )

    def _starts(self, connection: Connection, kept: Iterable[Kept]) -> Iterator[Fault]:
        now_there = starts(connection)
        for one in kept:
            if one.chain == STARTS and now_there.get(one.name, 0) != one.head.sequence:
                text = f"the chains of the table began after row {one.head.sequence}, and now after another"
                yield Fault(RUNS if one.name == RUNS else one.name, "", 0, "", "changed", text)

    def _acted(self, connection: Connection, kept: Iterable[Kept]) -> Iterator[Fault]:
        for one in kept:
            if one.chain == ACTIONS:
                own = (actions.c.namespace == self._namespace.name) & (
                    actions.c.sequence == one.head.sequence
                )
                yield from _differs(
                    one, connection.execute(select(actions.c.digest, actions.c.at).where(own)).all()
                )

    def _runs(self, connection: Connection, kept: list[Kept]) -> Iterator[Fault]:
        places = [(one.name, one.head.sequence) for one in kept]
        own = (history.c.namespace == self._namespace.name) & tuple_(history.c.run, history.c.sequence).in_(
            places
        )
        query = select(history.c.run, history.c.digest, history.c.at).where(own)
        there: dict[str, list[Any]] = {}
        for run, *found in connection.execute(query):
            there.setdefault(run, []).append(found)
        lost = [one for one in kept if list(_differs(one, there.get(one.name, [])))]
        buried = tombstones(connection, self._namespace, [one.name for one in lost]) if lost else {}
        for one in lost:
            if not any(_covers(end, one.head) for end in buried.get(one.name, [])):
                yield from _differs(one, there.get(one.name, []))


def _covers(end: Head, kept: Head) -> bool:
    """Whether a chain that was removed by policy, and ended there, went through where it ended before."""
    return end.sequence > kept.sequence or end == kept


def _differs(kept: Kept, there: Iterable[Any]) -> Iterator[Fault]:
    """What is wrong with the entries of that place."""
    found, run = list(there), kept.name if kept.chain == RUNS else ""
    if not found:
        yield Fault(
            kept.chain,
            run,
            kept.head.sequence,
            "",
            "removed",
            "it was the last entry when the heads were kept",
        )
    elif all(digest != kept.head.digest for digest, _ in found):
        text = (
            "it is not the entry that was the last when the heads were kept, or does not follow the same ones"
        )
        yield Fault(kept.chain, run, kept.head.sequence, str(found[0][1]), "changed", text)


def _kept(line: Any) -> Kept:
    match line:
        case {"chain": str(chain), "name": str(name), "sequence": int(sequence), "digest": str(digest)}:
            return Kept(chain, name, Head(sequence, digest))
    raise InvalidData(
        "a line is none that coordinator journal seal prints", "the lines before it were compared"
    )
