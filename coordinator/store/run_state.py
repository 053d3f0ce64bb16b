"""RunRecord: a live run as Redis knows it, and how it stands, which is less of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from handoffs.coordinator.continuation.path import follows_event, is_story, is_within
from handoffs.coordinator.store.fields import ONE, Field, Kind


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
    spent: tuple[str, ...] = ()
    """The paths of the budgets from which something has come back."""

    @classmethod
    def read(cls, run_id: str, fields: Mapping[str, str]) -> Self:
        """A run by the fields of its hash; of outcomes the names are enough."""
        state, awaited = _state(run_id, fields), _values(fields, Kind.AWAITED)
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
            held=_values(fields, Kind.HELD),
            began=_times(fields, Kind.BEGUN),
            delayed=_times(fields, Kind.DELAYED),
            awaited=awaited,
            spent=spent,
        )


def waits_for_person(step: str, reason: Mapping[str, Any]) -> bool:
    """Whether nothing but a person will end what is parked: no budget that it is in, other than as a fallback."""
    budgets: list[str] = reason.get("budgets", "").split()
    return not any(is_within(step, path) for path in budgets)


def _state(run_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The values of a :class:`RunState`."""
    parked, flow, status = (
        _values(fields, Kind.PARKED),
        fields.get(Field.FLOW, ""),
        fields.get(Field.STATUS, "running"),
    )
    story = is_story(flow)
    waits = any(
        waits_for_person(step, reason) and (story or not follows_event(step))
        for step, reason in parked.items()
    )
    if story and status == "running" and not waits and int(fields.get(Field.OPEN, 1)) <= 0:
        status = "completed"
    return {
        "id": run_id,
        "flow": flow,
        "key": fields.get(Field.KEY, ""),
        "status": "parked" if status in {"running", "compensating"} and waits else status,
        "started": float(fields.get(Field.STARTED, 0)) / 1000,
        "parked": parked,
        "paused": Field.PAUSED in fields,
        "due": float(fields[Field.DUE]) / 1000 if Field.DUE in fields else None,
    }


def _values(fields: Mapping[str, str], kind: Kind) -> dict[str, dict[str, Any]]:
    return {path: json.loads(text) for path, text in kind.pick(fields).items()}


def _times(fields: Mapping[str, str], kind: Kind) -> dict[str, float]:
    return {path: float(text) / 1000 for path, text in kind.pick(fields).items()}
