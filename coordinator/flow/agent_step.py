"""AgentStep: an agent as it stands in a flow, with what is written around it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.step import Compensate, Retrying, Step


@dataclass(frozen=True, slots=True)
class AgentStep:
    """An agent in its place: ``retry`` is the policy that it has there, if not its own; ``undo`` is the agent that undoes what it
    did."""

    agent: Agent
    retry: Retry | None = None
    undo: AgentStep | None = None


def agent_step(part: Step) -> AgentStep | None:
    """The agent that a step is; None where it is something else.

    Raises :class:`FlowError` where :func:`~handoffs.coordinator.flow.step.compensate` or :func:`~handoffs.coordinator.flow.step.retrying` is around
    something that is no agent, or twice around one.
    """
    if isinstance(part, Agent):
        return AgentStep(part)
    if isinstance(part, Retrying):
        inner = agent_step(part.step)
        if inner is None:
            raise FlowError(
                "retrying() is around something that is no agent",
                remedy="give each agent a policy of its own: retrying(charge, Retry(...))",
            )
        if inner.retry is not None:
            raise FlowError(f"{inner.agent.name} has two retry policies", remedy="leave one of them out")
        return replace(inner, retry=part.policy)
    if isinstance(part, Compensate):
        inner, undo = agent_step(part.step), agent_step(part.by)
        if inner is None or undo is None or inner.undo or undo.undo:
            raise FlowError(
                "compensate() is around something that is no agent",
                remedy="compensate each agent by itself: compensate(charge, by=refund)",
            )
        return replace(inner, undo=undo)
    return None
