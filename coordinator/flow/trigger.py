"""Trigger: the agent that starts a flow on its event. The engine that has it makes it able to start runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from handoffs.contracts.event import Nothing
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.subscription import Subscription


@dataclass(frozen=True, eq=False, kw_only=True)
class Trigger(Agent):
    """The agent ``<flow>.begin``. One message is one run: its key is the event's, so an event that comes twice starts one."""

    flow: Flow


@cache
def trigger_of(flow: Flow) -> Trigger | None:
    """The agent that starts ``flow`` on its event, always the same; None where the flow starts on none."""
    if flow.on is None:
        return None
    return Trigger(
        name=f"{flow.name}.begin",
        function=_unbound,
        accepts=flow.accepts,
        emits=Nothing,
        retry=Retry(attempts=5),
        subscriptions=(Subscription(flow.on.ref().name, flow.accepts),),
        flow=flow,
    )


def agents_of(flow: Flow) -> dict[str, Agent]:
    """The agents of ``flow`` by name, with the one that starts it on an event."""
    trigger = trigger_of(flow)
    own = (trigger,) if trigger is not None else ()
    return {agent.name: agent for agent in (*own, *(place.agent for place in flow.places()))}


def _unbound(*_: Any) -> None:
    raise AgentError(
        "the flow is started by a worker that has its trigger", "nothing was started", "emit its event"
    )
