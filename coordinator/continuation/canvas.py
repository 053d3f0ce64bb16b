"""Canvas: a flow as Celery chains and chords.

``canvas_of`` gives ordinary Celery signatures, so a message is what Celery would send: the rest of the chain and the chord
are in it. The pseudo tasks among them (:mod:`handoffs.coordinator.continuation.signature`) are never sent. So a run keeps the
composition, decisions included, that it was started with.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from functools import cache, lru_cache, singledispatch
from typing import Any

from celery.canvas import Signature, chain, chord

from handoffs.coordinator.continuation.packed import packed
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
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.agent_step import AgentStep, agent_step
from handoffs.coordinator.flow.budget import Budget, Cached, Constant, Fallback
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.places import inside, places
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import (
    Choice,
    Compensate,
    Delay,
    Each,
    Emit,
    Parallel,
    Repeat,
    Retrying,
    Step,
    positions,
)

AT_HAND = 12
"""Of a sequence that is more than twice as long, so many steps are in a message as they are. The others are packed, in parts of so many."""


def canvas_of(flow: Flow) -> Signature:
    """The flow as a Celery signature."""
    return _Composer(flow).composed(flow.step, "", "")


@cache
def composed(flow: Flow) -> Sig:
    """The same as plain JSON values."""
    return _plain(canvas_of(flow))


@lru_cache(maxsize=100)
def composed_from(flow: Flow, path: str) -> Sig:
    """The rest of it, from the step at ``path`` on (:func:`~handoffs.coordinator.flow.middle.middle_of` says which may be). Paths and
    idempotency keys are those that the steps have in the whole flow."""
    return _plain(_Composer(flow, path).composed(flow.step, "", ""))


def _plain(signature: Signature) -> Sig:
    plain: Sig = json.loads(json.dumps(signature))
    return plain


def _members(signature: Signature) -> list[Signature]:
    """The members of a chain, as Celery makes one of chains in a chain; what is none is a chain of one."""
    return list(signature.kwargs["tasks"]) if signature.subtask_type == "chain" else [signature]


class _Composer:
    """Composes one flow; counts how often an agent stands in it. With ``begin`` the path of a step, what comes before that is left out."""

    def __init__(self, flow: Flow, begin: str = "") -> None:
        self.flow = flow
        self._begin = begin
        self._seen: Counter[str] = Counter()

    def composed(self, step: Step, prefix: str, turning: str) -> Signature:
        """A sequence. ``turning`` is the path up to the last each or repeat around it: agents there run more than once."""
        signatures: list[Signature] = []
        for path, part in positions(step, prefix):
            within = self._begin.startswith(f"{path}.")
            signature = self._case(part, path, turning) if within else None
            signature = signature or _signature(part, self, path, turning)
            signatures = [signature] if within or path == self._begin else [*signatures, signature]
        if len(signatures) == 1:
            return signatures[0]
        members = [one for part in signatures for one in _members(part)]
        if len(members) > 2 * AT_HAND:
            far = packed([_plain(one) for one in members[AT_HAND:]], AT_HAND)
            signatures = [*members[:AT_HAND], *map(Signature, far)]
        return chain(*signatures)

    def _case(self, part: Step, path: str, turning: str) -> Signature | None:
        """Of a choice in which the run begins the case that it begins in; None of a flow within the flow."""
        if not isinstance(part, Choice):
            return None
        return self.inner(part, path, turning)[self._begin[len(path) + 1 :].partition(".")[0]]

    def inner(self, part: Step, path: str, turning: str) -> dict[str, Signature]:
        """The steps inside a step, by the way to them."""
        return {way: self.composed(step, inside(path, way), turning) for way, step in part.inner()}

    def turn(self, agent: Agent, turning: str) -> dict[str, str]:
        """The same agent once more in a run is other work: its idempotency keys are its own."""
        self._seen[agent.name] += 1
        turn = str(self._seen[agent.name]) if self._seen[agent.name] > 1 else ""
        if turning:
            return {"turn": f"{turn}@{turning}"}
        return {"turn": turn} if turn else {}


# Each kind of step, at its path; a control is the task that decides, with what it needs for that


@singledispatch
def _signature(part: Step, composer: _Composer, path: str, turning: str) -> Signature:
    """A flow within the flow is its steps."""
    [signature] = composer.inner(part, path, turning).values()
    return signature


@_signature.register(Agent)
@_signature.register(Retrying)
@_signature.register(Compensate)
def _agent(part: Step, composer: _Composer, path: str, turning: str) -> Signature:
    stands = agent_step(part)
    assert stands is not None
    agent, undo = stands.agent, stands.undo
    kwargs: dict[str, Any] = {"flow": composer.flow.name, "step": path, "accepts": agent.accepts.ref().uri}
    kwargs |= _retry(stands)
    if undo is not None:
        accepts = undo.agent.accepts.ref().uri
        kwargs["undo"] = {"agent": undo.agent.name, "accepts": accepts, **_retry(undo)}
    return Signature(agent.name, kwargs={**kwargs, **composer.turn(agent, turning)})


@_signature.register(Parallel)
def _parallel(part: Parallel, composer: _Composer, path: str, turning: str) -> Signature:
    branches = composer.inner(part, path, turning)
    join = Signature(JOIN, kwargs={"join": path, "branches": list(branches)})
    return chord(list(branches.values()), join)


@_signature.register(Choice)
def _choice(part: Choice, composer: _Composer, path: str, turning: str) -> Signature:
    bodies = composer.inner(part, path, turning)
    cases = [
        [condition.to_json(), bodies[ways.case(number)]]
        for number, (condition, _) in enumerate(part.cases, 1)
    ]
    return _control(CHOICE, path, cases=cases, otherwise=bodies.get(ways.OTHERWISE))


@_signature.register(Each)
def _each(part: Each, composer: _Composer, path: str, turning: str) -> Signature:  # noqa: ARG001 - one signature for all kinds
    return _control(
        EACH, path, field=part.field, into=part.into, limit=part.limit,
        item=composer.flow.items[path].ref().uri,
        body=composer.inner(part, path, f"{path}.{ways.ITEM}")[ways.ITEM],
    )  # fmt: skip


@_signature.register(Repeat)
def _repeat(part: Repeat, composer: _Composer, path: str, turning: str) -> Signature:  # noqa: ARG001 - one signature for all kinds
    body = composer.inner(part, path, f"{path}.{ways.ROUND}")[ways.ROUND]
    return _control(REPEAT, path, until=part.until.to_json(), at_most=part.at_most, round=0, body=body)


@_signature.register(Budget)
def _budget(part: Budget, composer: _Composer, path: str, turning: str) -> Signature:
    bodies = composer.inner(part, path, turning)
    return _control(
        BUDGET, path, flow=composer.flow.name, site=path, ms=_ms(part.within), body=bodies[ways.WITHIN],
        fallback=_fallback(part.fallback, bodies.get(ways.FALLBACK)) | _cached_of(part),
    )  # fmt: skip


@_signature.register(WaitFor)
def _wait(part: WaitFor, composer: _Composer, path: str, turning: str) -> Signature:  # noqa: ARG001 - one signature for all kinds
    return _control(
        WAIT, path, flow=composer.flow.name, signal=part.name, schema=part.contract.ref().uri, keep=part.keep,
        ms=_ms(part.timeout) if part.timeout else 0,
        otherwise=_fallback(part.otherwise, None) if part.otherwise else None,
    )  # fmt: skip


@_signature.register(Emit)
def _emit(part: Emit, composer: _Composer, path: str, turning: str) -> Signature:  # noqa: ARG001 - one signature for all kinds
    return _control(EMIT, path, flow=composer.flow.name, schema=composer.flow.events[path].ref().uri)


@_signature.register(Delay)
def _delay(part: Delay, composer: _Composer, path: str, turning: str) -> Signature:  # noqa: ARG001 - one signature for all kinds
    return _control(DELAY, path, flow=composer.flow.name, ms=_ms(part.wait))


def _control(task: str, path: str, **kwargs: Any) -> Signature:
    return Signature(task, kwargs={"step": path, **kwargs})


def _fallback(fallback: Fallback, body: Signature | None) -> dict[str, Any]:
    """What takes a step's place, as it travels; ``body`` is the step that does it, if one does."""
    if isinstance(fallback, Constant):
        payload = fallback.payload
        return {"constant": payload.to_data(), "schema": payload.ref().uri}
    if isinstance(fallback, Cached):
        otherwise = _fallback(fallback.otherwise, body)
        return {"by": list(fallback.by), "max_age_ms": _ms(fallback.max_age), "otherwise": otherwise}
    return {"body": body}


def _cached_of(part: Budget) -> dict[str, Any]:
    """What makes the outcomes that are kept: where others stand in its place one day, theirs are others."""
    if not isinstance(part.fallback, Cached):
        return {}
    return {"of": [f"{place.agent.name} {place.agent.emits.ref().uri}" for place in places(part.step)]}


def _retry(stands: AgentStep) -> dict[str, Any]:
    """The policy that a step has in its flow, as it travels; nothing where it is the agent's own."""
    return {"retry": stands.retry.to_json()} if stands.retry is not None else {}


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
