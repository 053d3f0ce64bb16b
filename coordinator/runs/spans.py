"""Spans of runs: where one starts, where an event begins a story, and where a fallback takes a step's place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from handoffs.contracts.envelope import Envelope
from handoffs.coordinator.dispatch.recording import started
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.messaging import spans
from handoffs.coordinator.messaging.spans import recorder
from handoffs.coordinator.messaging.trace_context import TraceContext, current, goes_on
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.run_state import RunState


@dataclass(frozen=True, slots=True)
class Accepted:
    """A run that was accepted. ``created`` is False where its key already had it; ``span`` is the one in which it was started, as a W3C
    ``traceparent``, empty where none was recorded."""

    run_id: str
    created: bool
    span: str = ""


def starting(asking: Asking[Accepted], flow: str, *, event: str = "") -> Asking[Accepted]:
    """What is asked for so that a run of ``flow`` starts, or the story that an ``event`` begins, in a span of that: the first of the
    run's, a child of what is current in the caller, and the parent of the handoffs to which the first messages lead."""
    found = recorder()
    if found is None:
        return (yield from asking)
    told = {
        spans.SYSTEM: spans.RABBITMQ,
        spans.OPERATION: "send",
        spans.DESTINATION: event,
        spans.FLOW: flow,
    }
    span = found.begin(f"emit {event}" if event else f"start {flow}", found.kinds.PRODUCER, told)

    def telling() -> Asking[Accepted]:
        accepted = yield from asking
        span.set_attribute(spans.RUN, accepted.run_id)
        span.set_attribute(spans.CONVERSATION, accepted.run_id)
        span.set_attribute(spans.CREATED, accepted.created)
        return replace(accepted, span=spans.parent_of(span))

    return (yield from started(found, span, telling()))


@contextmanager
def standing_in(place: StepRef, envelope: Envelope) -> Iterator[None]:
    """A span in which a fallback takes the place of a step, as the message of its budget's timer says, which brought ``envelope``."""
    found = recorder()
    if found is None:
        yield
        return
    told: dict[str, Any] = {
        spans.SYSTEM: spans.RABBITMQ,
        spans.OPERATION: "process",
        spans.CONVERSATION: place.run,
        spans.RUN: place.run,
        spans.FLOW: place.flow,
        spans.STEP: place.step,
    }
    parent = found.remote(envelope.trace_parent, envelope.trace_state or "")
    span = found.begin(f"fallback {place.flow}", found.kinds.CONSUMER, told, parent)
    token = found.attach(found.with_span(span))
    try:
        yield
    except Exception as error:
        found.fail(span, type(error).__name__)
        raise
    finally:
        found.detach(token)
        span.end()


def trace_of_run(state: RunState | None) -> TraceContext:
    """The trace that a message of a run has to which no other has led: what somebody does to it goes on in the trace in which it
    began."""
    return goes_on(current(), TraceContext(state.trace if state is not None else ""))
