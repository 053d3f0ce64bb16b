"""Canvas: a flow as Celery chains and chords.

``canvas_of`` gives ordinary Celery signatures, so a message is what Celery would send: the rest of the chain and the chord
are in it. The pseudo tasks among them (:mod:`handoffs.coordinator.continuation.signature`) are never sent. So a run keeps the
composition, decisions included, that it was started with.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from functools import cache
from typing import Any

from celery.canvas import Signature, chain, chord

from handoffs.coordinator.continuation.signature import (
    BUDGET,
    CHOICE,
    DELAY,
    EACH,
    EMIT,
    JOIN,
    REPEAT,
    WAIT,
    Sig,
)
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.agent_step import AgentStep, agent_step
from handoffs.coordinator.flow.budget import Budget, Cached, Constant, Fallback
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import Choice, Delay, Each, Emit, Parallel, Repeat, Step, positions


def canvas_of(flow: Flow) -> Signature:
    """The flow as a Celery signature."""
    return _Composer(flow).composed(flow.step, "", "")


@cache
def composed(flow: Flow) -> Sig:
    """The same as plain JSON values."""
    plain: Sig = json.loads(json.dumps(canvas_of(flow)))
    return plain


class _Composer:
    """Composes one flow; counts how often an agent stands in it."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._seen: Counter[str] = Counter()

    def composed(self, step: Step, prefix: str, turning: str) -> Signature:
        """A sequence. ``turning`` is the path up to the last each or repeat around it: agents there run more than once."""
        signatures = [self._signature(part, path, turning) for path, part in positions(step, prefix)]
        return signatures[0] if len(signatures) == 1 else chain(*signatures)

    def _signature(self, part: Step, path: str, turning: str) -> Signature:
        done = agent_step(part)
        if done is not None:
            return self._agent(done, path, turning)
        if isinstance(part, Flow):
            return self.composed(part.step, f"{path}.", turning)
        if isinstance(part, Parallel):
            header = [self.composed(branch, f"{path}.{name}.", turning) for name, branch in part.branches]
            names = [name for name, _ in part.branches]
            return chord(header, Signature(JOIN, kwargs={"join": path, "branches": names}))
        return Signature(*self._control(part, path, turning))

    def _control(self, part: Step, path: str, turning: str) -> tuple[str, tuple[()], dict[str, Any]]:
        """The task that decides, and what it needs for that."""
        kwargs: dict[str, Any] = {"step": path}
        if isinstance(part, Choice):
            kwargs["cases"] = [
                [condition.to_json(), self.composed(step, f"{path}.{ways.case(number)}.", turning)]
                for number, (condition, step) in enumerate(part.cases, 1)
            ]
            otherwise = part.otherwise
            kwargs["otherwise"] = otherwise and self.composed(otherwise, f"{path}.{ways.OTHERWISE}.", turning)
            return CHOICE, (), kwargs
        if isinstance(part, Each):
            kwargs |= {"field": part.field, "into": part.into, "limit": part.limit}
            kwargs["item"] = self._flow.items[path].ref().uri
            kwargs["body"] = self.composed(part.step, f"{path}.{ways.ITEM}.", f"{path}.{ways.ITEM}")
            return EACH, (), kwargs
        if isinstance(part, Repeat):
            kwargs |= {"until": part.until.to_json(), "at_most": part.at_most, "round": 0}
            kwargs["body"] = self.composed(part.step, f"{path}.{ways.ROUND}.", f"{path}.{ways.ROUND}")
            return REPEAT, (), kwargs
        if isinstance(part, Budget):
            kwargs |= {"flow": self._flow.name, "site": path, "ms": _ms(part.within)}
            kwargs["body"] = self.composed(part.step, f"{path}.{ways.WITHIN}.", turning)
            kwargs["fallback"] = self._fallback(part.fallback, path, turning)
            return BUDGET, (), kwargs
        return self._passing(part, path, turning, kwargs)

    def _passing(
        self, part: Step, path: str, turning: str, kwargs: dict[str, Any]
    ) -> tuple[str, tuple[()], dict[str, Any]]:
        """The same for what has no steps of its own to go through."""
        if isinstance(part, WaitFor):
            kwargs |= {"flow": self._flow.name, "signal": part.name, "schema": part.contract.ref().uri}
            kwargs |= {"keep": part.keep, "ms": _ms(part.timeout) if part.timeout else 0}
            kwargs["otherwise"] = part.otherwise and self._fallback(part.otherwise, path, turning)
            return WAIT, (), kwargs
        if isinstance(part, Emit):
            return EMIT, (), {**kwargs, "flow": self._flow.name, "schema": self._flow.events[path].ref().uri}
        assert isinstance(part, Delay)
        return DELAY, (), {**kwargs, "ms": _ms(part.wait)}

    def _fallback(self, fallback: Fallback, path: str, turning: str) -> dict[str, Any]:
        if isinstance(fallback, Constant):
            payload = fallback.payload
            return {"constant": payload.to_data(), "schema": payload.ref().uri}
        if isinstance(fallback, Cached):
            otherwise = self._fallback(fallback.otherwise, path, turning)
            return {"by": list(fallback.by), "max_age_ms": _ms(fallback.max_age), "otherwise": otherwise}
        return {"body": self.composed(fallback, f"{path}.{ways.FALLBACK}.", turning)}

    def _agent(self, done: AgentStep, path: str, turning: str) -> Signature:
        agent, undo = done.agent, done.undo
        self._seen[agent.name] += 1
        kwargs: dict[str, Any] = {"flow": self._flow.name, "step": path, "accepts": agent.accepts.ref().uri}
        kwargs |= _retry(done)
        if undo is not None:
            accepts = undo.agent.accepts.ref().uri
            kwargs["undo"] = {"agent": undo.agent.name, "accepts": accepts, **_retry(undo)}
        turn = str(self._seen[agent.name]) if self._seen[agent.name] > 1 else ""
        if (
            turn or turning
        ):  # the same agent once more in a run is other work: its idempotency keys are its own
            kwargs["turn"] = f"{turn}@{turning}" if turning else turn
        return Signature(agent.name, kwargs=kwargs)


def _retry(done: AgentStep) -> dict[str, Any]:
    """The policy that a step has in its flow, as it travels; nothing where it is the agent's own."""
    return {"retry": done.retry.to_json()} if done.retry is not None else {}


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
