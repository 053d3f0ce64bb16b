"""OpenTelemetry: a request's trace reaches the agents of the run that it starts, and their spans are in it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from handoffs import Context, Contract, Coordinator, Flow, Key, Retry, Transient, agent, on, parallel
from tests.waiting import wait_until

TIMEOUT = 20.0


class Job(Contract, name="otel.job", version=1):
    number: str = Key()


class Two(Contract, name="otel.two", version=1):
    left: Job
    right: Job


class Heard(Contract, name="otel.heard", version=1):
    number: str = Key()


exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("tests")
seen: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)


def _note(name: str, given: Context) -> None:
    with tracer.start_as_current_span(f"in {name}"):
        here = trace.get_current_span().get_span_context()
        tenant = str(baggage.get_baggage("tenant") or "")
        seen[name].append((f"{here.trace_id:032x}", given.trace_headers["traceparent"][3:35], tenant))


@agent("otel.plain", retry=Retry(attempts=2, backoff=timedelta(milliseconds=1)))
def plain(job: Job, context: Context) -> Job:
    _note("plain", context)
    if context.attempt == 1:
        raise Transient("again")
    return job


@agent("otel.async")
async def awaits(job: Job, context: Context) -> Job:
    await asyncio.sleep(0)
    _note("async", context)
    return job


@agent("otel.join", events=(Heard,), key=lambda two: two.left.number)
def join(two: Two, context: Context) -> Job:
    _note("join", context)
    context.emit(Heard(number=two.left.number))
    return two.left


@on(Heard)
@agent("otel.hears")
def hears(heard: Heard, context: Context) -> None:
    _note("hears", context)


flow = Flow("otel.flow", plain >> parallel(left=awaits, right=plain) >> join)


@pytest.fixture(params=["alone", "beside Celery's"])
def _instrumented(request: pytest.FixtureRequest) -> Iterator[None]:
    seen.clear()
    exporter.clear()
    if request.param == "alone":
        yield
        return
    instrumentor: Any = CeleryInstrumentor()  # type: ignore[no-untyped-call]
    instrumentor.instrument(tracer_provider=provider)
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("_instrumented")
def test_one_trace_from_the_request_to_the_last_agent(anywhere: Coordinator) -> None:
    """In plain and async agents, in retried attempts, branches, joins and those who hear events, the trace of the request is
    current, with its baggage; their own spans are in it, and so are those of Celery's instrumentation."""
    anywhere.work([hears])
    token = context.attach(baggage.set_baggage("tenant", "7"))
    try:
        with tracer.start_as_current_span("request") as span:
            wanted = f"{span.get_span_context().trace_id:032x}"
            run = anywhere.start(flow, Job(number="1"))
    finally:
        context.detach(token)
    assert run.wait(TIMEOUT) == "completed"
    wait_until(lambda: seen["hears"], description="the event was heard")
    assert {name: len(found) for name, found in seen.items()} == {
        "plain": 4,
        "async": 1,
        "join": 1,
        "hears": 1,
    }
    assert {one for found in seen.values() for one in found} == {(wanted, wanted, "7")}
    wait_until(lambda: _whole({"request"}), description="each span has its parent")
    assert {f"{one.context.trace_id:032x}" for one in exporter.get_finished_spans() if one.context} == {
        wanted
    }


def _whole(roots: set[str]) -> bool:
    """Whether the parent of each span has ended as well, but for those of the roots."""
    spans = exporter.get_finished_spans()
    ids = {one.context.span_id for one in spans if one.context}
    return all(one.parent and one.parent.span_id in ids for one in spans if one.name not in roots)


@pytest.mark.usefixtures("_instrumented")
def test_without_a_trace(anywhere: Coordinator) -> None:
    """A run that starts without a trace has one of its own in its messages, which samples nobody's spans."""
    run = anywhere.start(Flow("otel.alone", awaits), Job(number="2"))
    assert run.wait(TIMEOUT) == "completed"
    [(own, _, tenant)] = seen["async"]
    assert own != run.id.replace("-", "")
    assert tenant == ""
