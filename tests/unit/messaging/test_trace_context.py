"""The trace that goes with messages: as it began, and with the span that is current in it."""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider

from handoffs.contracts.envelope import Envelope
from handoffs.coordinator.messaging import trace_context
from handoffs.coordinator.messaging.envelopes import Sending, Written, envelope_for
from handoffs.coordinator.messaging.trace_context import (
    NONE,
    TraceContext,
    carried,
    current,
    entered,
    goes_on,
    traced,
)
from tests.deliveries import deliver, start

RUN = "0b0e6a10-5b5c-5cbb-a1de-0c4f1b8e9a01"
tracer = TracerProvider().get_tracer("tests")


def _parent(trace_id: str, span: str = "1" * 16) -> TraceContext:
    return TraceContext(f"00-{trace_id * 32}-{span}-01")


ONE, OTHER = _parent("a"), _parent("b")


@pytest.mark.parametrize(
    ("here", "before", "found"),
    [
        (NONE, NONE, NONE),
        (ONE, NONE, ONE),
        (NONE, ONE, ONE),
        (OTHER, ONE, ONE),
        (_parent("a", "2" * 16), ONE, _parent("a", "2" * 16)),
        (TraceContext(baggage="k=1"), NONE, TraceContext(baggage="k=1")),
        (NONE, TraceContext(baggage="k=1"), TraceContext(baggage="k=1")),
        (ONE, TraceContext(ONE.parent, "s=1", "k=1"), TraceContext(ONE.parent, "", "k=1")),
        (TraceContext(OTHER.parent, "", "k=2"), TraceContext(ONE.parent, "s=1", "k=1"), TraceContext(ONE.parent, "s=1", "k=1")),
    ],
)  # fmt: skip
def test_goes_on(here: TraceContext, before: TraceContext, found: TraceContext) -> None:
    """A trace goes on as it began, whatever else is current where a message is made; within it the current span is the parent;
    baggage goes with it."""
    assert goes_on(here, before) == found


def _envelope(trace: TraceContext, cause: Envelope | None = None) -> Envelope:
    return envelope_for(
        "1", Written("urn:contract:a.b:1", "{}"), Sending(RUN, cause=cause, trace=trace), key=None
    )


def test_a_run_has_a_trace_of_its_own() -> None:
    """Where no trace was current, the trace of a message is named after its run, and nothing is brought to the agent by it."""
    first = _envelope(NONE)
    assert first.trace_parent[3:35] == RUN.replace("-", "")
    assert carried(first) == carried(_envelope(NONE, first)) == NONE
    assert not {"traceparent", "tracestate", "baggage"} & set(deliver(start(*_flow())[0]).headers)


def _flow() -> tuple[Any, Any]:
    from handoffs import Contract, Flow, Key, agent  # noqa: PLC0415 - contracts of this test alone

    class Job(Contract, name="tracing.job", version=1):
        number: str = Key()

    @agent("tracing.work")
    def work(job: Job) -> Job:
        return job

    return Flow("tracing.flow", work), Job(number="1")


def test_it_is_brought_along() -> None:
    """A trace that is current where a run starts is in its messages, in their envelopes and as headers, also when they are
    tried again; and so is baggage."""
    flow, job = _flow()

    def started() -> Any:
        context.attach(baggage.set_baggage("tenant", "7"))
        with tracer.start_as_current_span("request") as span:
            [message] = start(flow, job)
            return message, f"{span.get_span_context().trace_id:032x}"

    message, trace_id = contextvars.copy_context().run(started)
    delivery = deliver(message)
    envelope = Envelope.decode(delivery.envelope)
    assert envelope.trace_parent[3:35] == trace_id
    assert envelope.baggage == "tenant=7"
    again = delivery.again(attempt=2)
    assert again.headers["traceparent"] == message.headers["traceparent"] == envelope.trace_parent
    assert again.headers["baggage"] == "tenant=7"


def test_it_is_current_in_the_agent() -> None:
    """What a message brings is current in the function, and not after it; a span that is current in the same trace stays."""
    brought = _envelope(TraceContext(ONE.parent, "", "tenant=7"))

    def seen() -> tuple[str, object]:
        found = current()
        return found.parent, baggage.get_baggage("tenant")

    found = contextvars.copy_context().run(traced(brought, seen))
    assert found == (ONE.parent, "7")
    assert current() == NONE

    def within() -> tuple[str, str]:
        with tracer.start_as_current_span("an instrumentation's") as span:
            return contextvars.copy_context().run(traced(brought, seen))[
                0
            ], f"{span.get_span_context().span_id:016x}"

    def in_trace() -> tuple[str, str]:
        trace_context.enter(carried(brought))
        return within()

    parent, span = contextvars.copy_context().run(in_trace)
    assert parent == f"00-{ONE.trace}-{span}-01"
    assert contextvars.copy_context().run(within)[0] == ONE.parent  # a trace of its own is none of this story


@pytest.mark.parametrize("value", ["x" * 9000, "é"])
def test_what_does_not_fit_stays(value: str) -> None:
    """Baggage that is too large for a header stays where it is, and hinders nothing."""

    def found() -> TraceContext:
        context.attach(baggage.set_baggage("k", value))
        return current()

    given = contextvars.copy_context().run(found)
    assert len(_envelope(given).baggage or "") < 8193


def test_a_state_that_does_not_fit_is_shortened() -> None:
    """Of a state of more than 512 characters that is current, as many whole members go with a message as it has room for."""
    state = trace.TraceState([(f"k{number}", "v" * 100) for number in range(9)])
    span = trace.NonRecordingSpan(trace.SpanContext(1, 1, True, trace.TraceFlags(1), state))
    with trace.use_span(span):
        found = current()
    assert found.state == ",".join(f"k{number}={'v' * 100}" for number in range(4))
    assert _envelope(found).trace_state == found.state


@pytest.mark.parametrize("parent", [f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01"])
def test_ids_of_zeros_are_none(parent: str) -> None:
    """A message that names no trace, or no span in it, brings none; its baggage counts."""
    with entered(TraceContext(parent, "foo=1", "tenant=7")):
        assert current() == TraceContext(baggage="tenant=7")


def test_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenTelemetry is not installed, what was brought is passed on all the same, and nothing else happens."""
    monkeypatch.setattr(trace_context, "_installed", lambda: False)
    kept = {name: module for name, module in sys.modules.items() if not name.startswith("opentelemetry")}
    monkeypatch.setattr(sys, "modules", kept)
    first = _envelope(ONE)
    function: Callable[[], TraceContext] = traced(first, current)
    assert contextvars.copy_context().run(function) == NONE
    assert _envelope(current(), first).trace_parent == ONE.parent
    assert trace.get_current_span() is trace.INVALID_SPAN
