"""Tombstones: what is left of the history of a run that was removed by policy: an operator action, with how long its chain was."""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlalchemy import Connection, select

from handoffs.coordinator.journal.chain import Head
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import actions

PRUNE = "prune"
"""What the action is called."""

_AT_ONCE = 500
_WORDS = re.compile(
    r"([0-9]{1,10}) entries of its history, the last ([0-9a-f]{64}|of an older release)(: .*)?", re.DOTALL
)
_OLDER = "of an older release"


def words(head: Head, why: str) -> str:
    """What the action says: how many entries there were, the digest of the last, and why they were removed."""
    return f"{head.sequence} entries of its history, the last {head.digest or _OLDER}: {why}"


def read(note: str) -> Head | None:
    """Where the chain ended that was removed; None where an action does not say so."""
    found = _WORDS.fullmatch(note)
    return Head(int(found[1]), "" if found[2] == _OLDER else found[2]) if found else None


def tombstones(connection: Connection, namespace: Namespace, runs: Collection[str]) -> dict[str, list[Head]]:
    """The ends of the chains of those of these runs that were removed, the oldest first: what comes late begins another."""
    wanted, found = list(runs), dict[str, list[Head]]()
    for first in range(0, len(wanted), _AT_ONCE):
        query = select(actions.c.run, actions.c.note).where(
            (actions.c.namespace == namespace.name)
            & (actions.c.action == PRUNE)
            & actions.c.run.in_(wanted[first : first + _AT_ONCE])
        )
        for run, note in connection.execute(query.order_by(actions.c.id)):
            head = read(str(note))
            if head is not None:
                found.setdefault(str(run), []).append(head)
    return found
