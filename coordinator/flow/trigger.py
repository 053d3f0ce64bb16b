"""Opening: the agent that hears the event on which a flow starts. The engine that has it makes it able to start runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.event import Nothing
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.subscription import Subscription

if TYPE_CHECKING:
    from handoffs.coordinator.flow.flow import Flow


@dataclass(frozen=True, eq=False, kw_only=True)
class Opening(Agent):
    """The agent ``<flow>.begin``. One message is one run: its key is the event's, so an event that comes twice starts one."""

    flow: Flow


def opening(flow: Flow, event: type[Contract]) -> Opening:
    """The agent that starts ``flow`` on ``event``, which the flow accepts."""
    return Opening(
        name=f"{flow.name}.begin",
        function=_unbound,
        accepts=flow.accepts,
        emits=Nothing,
        retry=Retry(attempts=5),
        subscriptions=(Subscription(event.ref().name, flow.accepts),),
        flow=flow,
    )


def _unbound(*_: Any) -> None:
    raise AgentError(
        "the flow is started by a worker that has its opening", "nothing was started", "emit its event"
    )
