"""Heads: where each chain of the journal ends, and the turn of who may add to one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, func, select, update

from handoffs.coordinator.journal.bulk import insert_all
from handoffs.coordinator.journal.chain import STARTS, Head
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import chains

_AT_ONCE = 500


def alone(connection: Connection, namespace: Namespace, kind: str) -> None:
    """Wait until nobody else adds to the chains of this kind, to the end of the transaction.

    Whoever needs both takes the turn of the runs before that of the actions, and the latter last of all locks.
    """
    if connection.dialect.name == "postgresql":
        name = hashlib.sha256(f"handoffs chain {kind} {namespace.name}".encode()).digest()
        number = int.from_bytes(name[:8], "big", signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(number)))
        return
    raw = connection.connection.dbapi_connection
    if not getattr(raw, "in_transaction", False):  # else it has written already, and nobody else can
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def heads_of(
    connection: Connection, namespace: Namespace, kind: str, names: Collection[str]
) -> dict[str, Head]:
    """The heads of those of these chains that have begun."""
    wanted, found = list(names), dict[str, Head]()
    for first in range(0, len(wanted), _AT_ONCE):
        query = select(chains.c.name, chains.c.sequence, chains.c.digest).where(
            (chains.c.namespace == namespace.name)
            & (chains.c.kind == kind)
            & chains.c.name.in_(wanted[first : first + _AT_ONCE])
        )
        found |= {name: Head(*head) for name, *head in connection.execute(query)}
    return found


def move(
    connection: Connection, namespace: Namespace, kind: str, known: Collection[str], heads: Mapping[str, Head]
) -> None:
    """Write down new heads; ``known`` are the names of the chains that had one."""
    rows = [
        {"namespace": namespace.name, "kind": kind, "name": name, **head._asdict()}
        for name, head in heads.items()
    ]
    new = [row for row in rows if row["name"] not in known]
    insert_all(connection, chains, new)
    moved = [{f"_{name}": value for name, value in row.items()} for row in rows if row["name"] in known]
    if moved:
        connection.execute(_MOVE, moved)


def starts(connection: Connection) -> dict[str, int]:
    """After which number the entries are chained, by the kind of their chains; from the first on where nothing is said."""
    query = select(chains.c.name, chains.c.sequence).where(
        (chains.c.namespace == "") & (chains.c.kind == STARTS)
    )
    return {str(name): int(number) for name, number in connection.execute(query)}


_MOVE = (
    update(chains)
    .where(
        (chains.c.namespace == bindparam("_namespace"))
        & (chains.c.kind == bindparam("_kind"))
        & (chains.c.name == bindparam("_name"))
    )
    .values(sequence=bindparam("_sequence"), digest=bindparam("_digest"))
)
