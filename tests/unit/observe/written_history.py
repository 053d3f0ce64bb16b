"""Histories of stories, as workers would tell them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handoffs.contracts.envelope import message_id
from handoffs.coordinator.continuation.path import event_of, hearing
from handoffs.coordinator.observe.chronicle import chronicle
from handoffs.coordinator.observe.trace import Trace, TraceNode
from handoffs.coordinator.observe.tracing import TraceFacts, traced

RUN = "story-1"


class WrittenHistory:
    """A history that grows. Whatever happens, happens ten milliseconds after what happened before."""

    def __init__(self, run: str = RUN, flow: str = "on:news.filed") -> None:
        self.run = run
        self.flow = flow
        self.entries: list[dict[str, Any]] = []

    def entry(self, kind: str, step: str = "", **more: Any) -> None:
        """Something that happened."""
        number = len(self.entries)
        at = f"2026-01-05T10:{number // 6000:02d}:{number // 100 % 60:02d}.{number % 100 * 10:03d}+00:00"
        fields = {"kind": kind, "run": self.run, "flow": self.flow, "at": at, "step": step, **more}
        self.entries.append({name: value for name, value in fields.items() if value not in ("", None)})

    def emitted(self, contract: str, *agents: str) -> str:
        """The event that begins it; gives its place."""
        self.entry("emitted", wrote=contract, emitted=[self.event("", 0, contract, agents)])
        return event_of("", 0)

    def event(self, step: str, number: int, contract: str, agents: Sequence[str]) -> dict[str, Any]:
        """An event, as it is told by whoever emits it."""
        number_of = message_id(self.run, event_of(step, number))
        return {"contract": contract, "id": number_of, "heard": list(agents)}

    def hears(
        self,
        agent: str,
        place: str,
        *events: tuple[str, Sequence[str]],
        kind: str = "settled",
        **more: Any,
    ) -> list[str]:
        """An agent hears the event of ``place`` and emits others; gives their places."""
        step = hearing(agent, place)
        emitted = [self.event(step, number, *event) for number, event in enumerate(events)]
        self.entry(
            kind,
            step,
            agent=agent,
            event=message_id(self.run, place),
            emitted=emitted or None,
            attempt=1,
            **more,
        )
        return [event_of(step, number) for number in range(len(events))]


def trace_of(
    told: WrittenHistory, outstanding: dict[str, str] | None = None, known: TraceFacts | None = None
) -> Trace:
    """The trace of one history."""
    return traced(told.run, told.run, {told.run: chronicle(told.run, told.entries, outstanding)}, known)


def named(trace: Trace, name: str) -> list[TraceNode]:
    """The nodes of that name."""
    return [node for node in trace.nodes if node.name == name]


def only(trace: Trace, name: str) -> TraceNode:
    """The one node of that name."""
    [found] = named(trace, name)
    return found
