"""Calls of an agent: what they are given as headers, made by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context, trace

from handoffs.coordinator.console.tracing import brought_by
from handoffs.coordinator.handoff.calls import StepCalls
from handoffs.coordinator.messaging.trace_context import NONE, TraceContext, current, entered
from handoffs.coordinator.store.record import StepRef
from tests.spans import Recorded, ids, parent, recording, told

PLACE = StepRef("run-1", "called.flow", "1")

hexadecimal = st.sampled_from("0123456789abcdef")


def _id(length: int) -> st.SearchStrategy[str]:
    return st.text(hexadecimal, min_size=length, max_size=length).filter(lambda text: text.strip("0") != "")


traces = st.builds(
    lambda trace, span, flags, state, baggage: TraceContext(f"00-{trace}-{span}-{flags:02x}", state, baggage),
    _id(32), _id(16), st.integers(0, 3), st.sampled_from(["", "foo=1", "1foo@@=1,bar=2"]), st.sampled_from(["", "tenant=7"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    with pytest.MonkeyPatch.context() as patched, recording(patched) as found:
        yield found


def _read(headers: dict[str, str]) -> TraceContext:
    return brought_by((name.encode(), value.encode()) for name, value in headers.items())


def _check(within: TraceContext, given: list[TraceContext]) -> None:
    assert {one.trace for one in given} == {within.trace}
    assert {(one.state, one.baggage) for one in given} == {(within.state, within.baggage)}
    assert len({one.span for one in given} | {within.span}) == len(given) + 1


@given(within=traces, count=st.integers(1, 5), inside=st.booleans())
def test_each_call_has_an_id_of_its_own(within: TraceContext, count: int, inside: bool) -> None:
    """Whatever the trace is, and whether it is current or its agent is in a thread of its own: each call is given valid headers of that
    trace, with its flags, its state and its baggage, and an id that neither another call nor what was brought has."""
    calls, found = StepCalls(within, PLACE, "called.work", 1), []
    with entered(within if inside else NONE):
        for _ in range(count):
            with calls.calling("POST /score") as headers:
                found.append(_read(headers))
    _check(within, found)
    assert {one.parent[52:] for one in found} == {within.parent[52:]}


@given(within=traces, count=st.integers(1, 5), inside=st.booleans())
def test_each_call_is_a_span(recorded: Recorded, within: TraceContext, count: int, inside: bool) -> None:
    """The same where spans are recorded: the id is that of the call's span, a CLIENT below the span in which its agent works. Where the
    trace is not sampled, there is no span, and the headers are there."""
    recorded.clear()
    calls, found = StepCalls(within, PLACE, "called.work", 2), []
    with entered(within if inside else NONE):
        for number in range(count):
            with calls.calling(f"POST /score/{number}") as headers:
                found.append(_read(headers))
                assert current().parent == headers["traceparent"]
    _check(within, found)
    spans = recorded.spans
    assert [span.name for span in spans] == (
        [f"POST /score/{number}" for number in range(count)] if int(within.parent[-1]) & 1 else []
    )
    for span, one in zip(spans, found, strict=False):
        assert (f"{ids(span)[1]:016x}", f"{parent(span):016x}", span.kind) == (
            one.span,
            within.span,
            trace.SpanKind.CLIENT,
        )
        assert told(span) == {"handoff.run": "run-1", "handoff.flow": "called.flow", "handoff.step": "1", "handoff.agent": "called.work", "handoff.attempt": 2}  # fmt: skip
    assert current() == NONE


def test_a_call_that_fails(recorded: Recorded) -> None:
    """Its span has failed, with the name of the error's type and nothing that the error says; the error goes on."""
    recorded.clear()
    calls = StepCalls(TraceContext(f"00-{'a' * 32}-{'b' * 16}-01"), PLACE, "called.work", 1)
    with pytest.raises(ConnectionError), calls.calling("POST /score"):
        raise ConnectionError("card 4111-1111")
    span = recorded.only("POST /score")
    assert told(span)["error.type"] == span.status.description == "ConnectionError"
    assert span.events == ()


def test_a_call_within_a_span_of_the_agent(recorded: Recorded) -> None:
    """Its span is below the one that is current; in another trace than that of the run it is not."""
    recorded.clear()
    within = TraceContext(f"00-{'a' * 32}-{'b' * 16}-01")
    calls, tracer = StepCalls(within, PLACE, "called.work", 1), trace.get_tracer("tests")
    with entered(within), tracer.start_as_current_span("outer"), calls.calling("inner"):
        pass
    assert parent(recorded.only("inner")) == ids(recorded.only("outer"))[1]
    with tracer.start_as_current_span("elsewhere", context.Context()), calls.calling("ours") as headers:
        assert headers["traceparent"][3:35] == within.trace
    assert parent(recorded.only("ours")) == int(within.span, 16)
