"""The context that an agent's function is called with."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import MutableMapping
from typing import Any, NamedTuple

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.context import Context
from handoffs.coordinator.handoff.calls import StepCalls
from handoffs.coordinator.handoff.metering import StepMeter
from handoffs.coordinator.handoff.open import Opened
from handoffs.coordinator.handoff.signs import StepSigns
from handoffs.coordinator.handoff.subresults import StepSubresults
from handoffs.coordinator.handoff.told import Told
from handoffs.coordinator.messaging.trace_context import trace_of_work
from handoffs.coordinator.store.store import Store

_log = logging.getLogger("coordinator.agents")


class Voices(NamedTuple):
    """Who hears what an agent says while it is at work: what its calls have given, how far it is, and what it uses up."""

    subresults: StepSubresults
    signs: StepSigns
    meter: StepMeter


def context_of(
    agent: Agent,
    opened: Opened,
    settings: Settings,
    store: Store,
    emitted: list[Contract],
    told: Told,
    voices: Voices,
) -> Context:
    """The context of one call of ``agent``; what the agent emits while it runs is added to ``emitted``, ``told`` knows what
    it is told, and ``voices`` hear what it says.

    Many parameters because they are what a context is made of."""
    place, attempt = opened.place, opened.delivery.attempt
    trace = trace_of_work(opened.envelope)

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
        idempotency_key=effect_of(settings.namespace, agent.name, opened.key, opened.generation),
        attempt=attempt,
        deadline=opened.envelope.expiry_time,
        settings=settings,
        logger=_RunLogger(_log, {"run": place.run, "step": place.step, "agent": agent.name}),
        fallback=opened.envelope.fallback or "",
        given_up=lambda: any(store.closed(place, path) for path in opened.budgets),
        event=opened.envelope.id if opened.event else "",
        emit=emit,
        ending=told.why,
        trace_headers=trace.headers(),
        key=opened.shown_key,
        subresults=voices.subresults,
        signs=voices.signs,
        meter=voices.meter,
        calls=StepCalls(trace, place, agent.name, attempt),
    )


def effect_of(namespace: str, agent: str, key: str, generation: int = 0) -> str:
    """What names an effect to systems outside: the same for the same work, another for any other. A UUID as text.

    ``key`` is the one under which ``agent`` takes the effect once: it says as well at which of its places in a flow the agent
    stands, in which round, and for which item. ``generation`` is how many effects of that key were undone before.
    """
    again = [generation] if generation else []
    named = strictjson.canonical([namespace, agent, key, *again]).encode("utf-8", "surrogatepass")
    return str(uuid.UUID(bytes=hashlib.sha256(named).digest()[:16], version=5))


class _RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts run, step and agent before every line, and into the record for structured handlers."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        names = dict(self.extra or {})
        kwargs["extra"] = {**names, **kwargs.get("extra", {})}
        return f"run={names['run']} step={names['step']} agent={names['agent']} {msg}", kwargs
