"""Calls of an agent: each has a span of its own where this process records spans, and an id of its own in any case."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from handoffs.coordinator.handoff.spans import told_of
from handoffs.coordinator.messaging.spans import Recorder, recorder
from handoffs.coordinator.messaging.trace_context import TraceContext, current
from handoffs.coordinator.store.record import StepRef

if TYPE_CHECKING:
    from opentelemetry.context import Context


class StepCalls:
    """The calls of one attempt. Safe for threads, also for those that its agent has begun itself.

    Each call is given another ``parent-id``, as W3C Trace Context wants it: who is called tells one call from the other by it."""

    def __init__(self, within: TraceContext, place: StepRef, agent: str, attempt: int) -> None:
        """``within``: the trace, and the span, in which the attempt begins."""
        self._within = within
        self._who = place, agent, attempt

    @contextmanager
    def calling(self, name: str) -> Iterator[dict[str, str]]:
        """See :meth:`~handoffs.coordinator.flow.context.Context.calling`."""
        found = recorder()
        if found is None:
            here = self._here()
            parent = f"{here.parent[:36]}{_new_id()}{here.parent[52:]}"
            yield TraceContext(parent, here.state, here.baggage).headers()
            return
        span = found.begin(name, found.kinds.CLIENT, told_of(*self._who), self._above(found))
        token = found.attach(found.with_span(span))
        try:
            made = current()
            yield TraceContext(made.parent, made.state, made.baggage or self._within.baggage).headers()
        except BaseException as error:
            found.fail(span, type(error).__name__)
            raise
        finally:
            found.detach(token)
            span.end()

    def _here(self) -> TraceContext:
        """What is current in this trace: a thread that the agent has begun knows of none."""
        here, within = current(), self._within
        if here.trace != within.trace:
            return within
        return TraceContext(here.parent, here.state, here.baggage or within.baggage)

    def _above(self, recorder: Recorder) -> Context | None:
        """The context of the span that is above a call."""
        within = self._within
        return None if current().trace == within.trace else recorder.remote(within.parent, within.state)


def _new_id() -> str:
    """A span's id of its own: 16 hexadecimal digits, one of which is not 0."""
    return f"{secrets.randbelow(2**64 - 1) + 1:016x}"
