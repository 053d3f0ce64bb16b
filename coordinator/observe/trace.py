"""Trace: a story as a tree, from the event or the flow that it began with to everything that it led to. A plain value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

NodeKind = Literal["story", "run", "step", "event", "hearing", "set"]
_WORK = frozenset({"step", "hearing", "set"})


class TraceNode(NamedTuple):
    """One thing in a story.

    kind
        ``story`` (an event began it), ``run`` (of a flow), ``step`` (of a flow), ``event`` (that was emitted), ``hearing``
        (an agent hears an event), ``set`` (an agent has a set of events).
    parent
        The number of the node that led to it, which comes before it; None for the first.
    name
        The flow, the agent, or of an event the contract version in which it was sent.
    state
        Of an event ``emitted``, or ``unheard``: no agent subscribes to it. Of what an agent does ``settled``,
        ``deduplicated``, ``gathered``, ``skipped``, ``fallback``, ``parked``, ``cancelled``, ``passed over`` (it does not want
        the event), ``open`` (it has still to be done, or is not told of yet), or ``unknown``: the history does not tell and
        Redis has forgotten. Of a story and a run their status, where it is known.
    at_ms, took_ms
        When it began, in milliseconds since the trace did, and how long the agent ran; None where it is not told.
    attempts
        How many there were; 0 where none is told.
    which
        Fields of what it was done with, masked, to tell it from others.
    reason
        Why it is parked. ``notes`` is what else happened: retried, late, replayed.
    size, expected
        Of an event how many hear it; of a set how many events have come, and how many it waits for, where that is known.
    """

    kind: NodeKind
    parent: int | None
    name: str
    state: str
    run: str
    step: str = ""
    message: str = ""
    read: str = ""
    at_ms: float | None = None
    took_ms: float | None = None
    attempts: int = 0
    which: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    size: int = 0
    expected: int | None = None

    def to_json(self, number: int) -> dict[str, Any]:
        """As JSON values, without what is empty; ``node`` is its number."""
        values = {name: getattr(self, name) for name in self._fields if name != "notes"}
        if self.notes:
            values["notes"] = list(self.notes)
        kept = {name: value for name, value in values.items() if value not in ("", None)}
        return {"node": number, "parent": None, **kept}


@dataclass(frozen=True)
class Trace:
    """A whole story. ``asked`` is the id that was asked for, ``nodes`` come after those that led to them.

    It is flat, since there is no limit to how deep a story may be.
    """

    asked: str
    began: str
    nodes: tuple[TraceNode, ...]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """What each node led to, by number."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            if node.parent is not None:
                found[node.parent].append(number)
        return tuple(map(tuple, found))

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many steps, hearings and sets are in each state, and how many events were emitted and ``unheard``."""
        states = Counter(node.state for node in self.nodes if node.kind in _WORK)
        events = [node for node in self.nodes if node.kind == "event"]
        unheard = sum(node.state == "unheard" for node in events)
        return {
            "events": len(events),
            **({"unheard": unheard} if unheard else {}),
            **dict(sorted(states.items())),
        }

    def to_json(self) -> dict[str, Any]:
        """As JSON values: ``id``, ``began`` (ISO 8601), ``counts``, and ``nodes``, a list of objects of which each names the
        number of its ``parent``."""
        return {
            "id": self.asked,
            "began": self.began,
            "counts": self.counts,
            "nodes": [node.to_json(number) for number, node in enumerate(self.nodes)],
        }
