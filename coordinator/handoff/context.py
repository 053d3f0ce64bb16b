"""The context that an agent's function is called with."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from handoffs.config.settings import Settings
from handoffs.contracts.contract import Contract
from handoffs.coordinator.continuation.arrival import budgets_of
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.agent import Agent, Context
from handoffs.coordinator.handoff.open import Opened
from handoffs.coordinator.store.store import Store

_log = logging.getLogger("coordinator.agents")


def context_of(
    agent: Agent, opened: Opened, settings: Settings, store: Store, emitted: list[Contract]
) -> Context:
    """The context of one call of ``agent``; what the agent emits while it runs is added to ``emitted``."""
    place, budgets = opened.place, budgets_of(opened.cursor)

    def emit(event: Contract) -> None:
        if type(event) not in agent.events:
            raise AgentError(
                f"{agent.name} emits {type(event).__name__}, which it does not declare",
                "it was not sent",
                f"declare it: @agent({agent.name!r}, events=({type(event).__name__},))",
            )
        emitted.append(event)

    return Context(
        run_id=place.run,
        flow=place.flow,
        step=place.step,
        agent=agent.name,
        idempotency_key=opened.key,
        attempt=opened.delivery.attempt,
        deadline=opened.envelope.expiry_time,
        settings=settings,
        logger=_RunLogger(_log, {"run": place.run, "step": place.step, "agent": agent.name}),
        fallback=opened.envelope.fallback or "",
        given_up=lambda: any(store.closed(place, path) for path in budgets),
        event=opened.envelope.id if opened.event else "",
        emit=emit,
    )


class _RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts run, step and agent before every line, and into the record for structured handlers."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        names = dict(self.extra or {})
        kwargs["extra"] = {**names, **kwargs.get("extra", {})}
        return f"run={names['run']} step={names['step']} agent={names['agent']} {msg}", kwargs
