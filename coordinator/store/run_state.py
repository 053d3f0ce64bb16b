"""RunRecord: a live run as Redis knows it, and how it stands, which is less of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from handoffs.coordinator.continuation.path import follows_event, is_story, is_within
from handoffs.coordinator.store.fields import ONE, Field, Kind
from handoffs.coordinator.store.read import count, members, milliseconds

_UNCLEAR = {
    "kind": "lost",
    "error": "Unreadable",
    "text": "why it is parked cannot be read: Redis was changed by hand",
}

_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

UNCLEAR = "unknown"
"""The status of a run in whose place Redis holds something else."""

ENDED = frozenset({"completed", "cancelled"})
"""The statuses of runs that have ended."""


@dataclass(frozen=True, slots=True)
class RunState:
    """How a live run stands. ``parked`` has the reasons by step. A run of which all of them are in budgets that are not spent
    yet is still running: it goes on by itself. ``paused``: nothing further begins."""

    id: str
    flow: str
    key: str
    status: str
    started: float
    parked: dict[str, dict[str, Any]]
    paused: bool = False
    due: float | None = None
    """When it begins, or was to begin, where that was not at once: seconds since 1970."""
    life: tuple[str, int] | None = None
    """The id of its first life, and the number of this one, where it is another."""
    trace: str = ""
    """The span in which it began, as a W3C ``traceparent``; empty where none was current."""

    @classmethod
    def read(cls, run_id: str, fields: Mapping[str, str]) -> Self:
        """A run by the fields of its hash."""
        return cls(**_state(run_id, fields))


@dataclass(frozen=True, slots=True)
class RunRecord(RunState):
    """A live run with what its steps do, and without what they have made."""

    settled: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    """The signals that it waits for, as ``path name``."""
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The steps that do not begin while it is paused, with what is known of their messages (:meth:`Store.stopped`)."""
    began: dict[str, float] = field(default_factory=dict)
    """When the steps that are not settled or parked were begun the last time, in seconds since 1970."""
    delayed: dict[str, float] = field(default_factory=dict)
    """Until when steps that are not settled are, or were, held back by a delay, in seconds since 1970."""
    awaited: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is known of the signals that it waits for, by path: ``signal``, ``schema``, ``since`` (ms)."""
    lost: dict[str, str] = field(default_factory=dict)
    """The steps whose outcome Redis has lost, and why nobody does them again."""
    alive: float = 0.0
    """When somebody was known to have a message of it in hand the last time, in seconds since 1970."""
    unpublished: bool = False
    """Whether its first messages are still to be published."""
    spent: tuple[str, ...] = ()
    """The paths of the budgets from which something has come back."""

    @classmethod
    def read(cls, run_id: str, fields: Mapping[str, str]) -> Self:
        """A run by the fields of its hash; of outcomes the names are enough."""
        state, awaited = _state(run_id, fields), _awaited(fields)
        goes_on = fields.get(Field.STATUS, "running") == "running"  # also where a step of it is parked
        spent = tuple(path.removesuffix(ONE) for path in Kind.ARRIVED.pick(fields) if path.endswith(ONE))
        waits = (
            f"{path} {follows['signal']}"
            for path, follows in awaited.items()
            if goes_on and not set(spent) & set(follows.get("scopes") or ())
        )
        return cls(
            **state,
            settled=tuple(sorted(Kind.SETTLED.pick(fields))),
            waits=tuple(sorted(waits)),
            held=_values(fields, Kind.HELD, {}),
            began=_times(fields, Kind.BEGUN),
            delayed=_times(fields, Kind.DELAYED),
            awaited=awaited,
            lost=Kind.LOST.pick(fields),
            alive=milliseconds(fields.get(Field.ALIVE)) / 1000,
            unpublished=Field.FIRST in fields,
            spent=spent,
        )


def waits_for_person(step: str, reason: Mapping[str, Any]) -> bool:
    """Whether nothing but a person will end what is parked: no budget that it is in, other than as a fallback."""
    budgets = str(reason.get("budgets") or "").split()
    return not any(is_within(step, path) for path in budgets)


def _state(run_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The values of a :class:`RunState`."""
    parked, flow, status = (
        _values(fields, Kind.PARKED, _UNCLEAR),
        fields.get(Field.FLOW, ""),
        fields.get(Field.STATUS, "running"),
    )
    story = is_story(flow)
    waits = any(
        waits_for_person(step, reason) and (story or not follows_event(step))
        for step, reason in parked.items()
    )
    if story and status == "running" and not waits and count(fields.get(Field.OPEN), 1) <= 0:
        status = "completed"
    return {
        "id": run_id,
        "flow": flow,
        "key": fields.get(Field.KEY, ""),
        "status": "parked" if status in {"running", "compensating"} and waits else status,
        "started": milliseconds(fields.get(Field.STARTED)) / 1000,
        "parked": parked,
        "paused": Field.PAUSED in fields,
        "trace": _traced(fields.get(Field.TRACE, "")),
        "life": _life(fields.get(Field.LIFE, "")),
        "due": milliseconds(fields[Field.DUE]) / 1000 if Field.DUE in fields else None,
    }


def _traced(text: str) -> str:
    return text if _TRACE.fullmatch(text) else ""


def _values(fields: Mapping[str, str], kind: Kind, otherwise: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By path, what is kept as an object; ``otherwise`` where there is something else."""
    found = {path: members(text) for path, text in kind.pick(fields).items()}
    return {path: otherwise if value is None else value for path, value in found.items()}


def _awaited(fields: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What is known of the signals that a run waits for. Without a name and a contract there is none."""
    awaited = _values(fields, Kind.AWAITED, {})
    return {
        path: _mended(follows)
        for path, follows in awaited.items()
        if isinstance(follows.get("signal"), str) and isinstance(follows.get("schema", ""), str)
    }


def _mended(follows: dict[str, Any]) -> dict[str, Any]:
    """What is known of a wait, without a moment and budgets that are none."""
    since, scopes = follows.get("since", 0), follows.get("scopes", [])
    if not isinstance(since, int | float) or milliseconds(str(since)) != since:
        follows = {**follows, "since": 0}
    if not isinstance(scopes, list) or not all(isinstance(one, str) for one in scopes):
        follows = {**follows, "scopes": []}
    return follows


_OF_HELD = {
    "agent": str,
    "key": str,
    "given": str,
    "turn": str,
    "content": str,
    "contract": str,
    "budgets": list,
}


def can_be_edited(held: Mapping[str, Any]) -> bool:
    """Whether all is known of a message that is held, of what an edit of it has to know."""
    return all(isinstance(held.get(name), kind) for name, kind in _OF_HELD.items())


def _life(text: str) -> tuple[str, int] | None:
    first, _, number = text.partition(" ")
    return (first, int(number)) if number.isascii() and number.isdecimal() else None


def _times(fields: Mapping[str, str], kind: Kind) -> dict[str, float]:
    return {path: milliseconds(text) / 1000 for path, text in kind.pick(fields).items()}
