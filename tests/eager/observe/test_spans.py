"""The spans of runs, in eager mode and with worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    Key,
    Permanent,
    Retry,
    Transient,
    agent,
    budget,
    compensate,
    constant,
    emit,
    on,
    parallel,
    wait_for,
)
from handoffs.contracts.envelope import trace_of
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import RunTimeout
from tests.spans import Recorded, attempts, connected, ids, linked, parent, recording, told
from tests.waiting import wait_until

TIMEOUT = 20.0
_AT_ONCE = Retry(attempts=2, backoff=timedelta(milliseconds=1))


class Job(Contract, name="traced.job", version=1):
    number: str = Key()
    fails: bool = False


class Two(Contract, name="traced.two", version=1):
    left: Job
    right: Job


class Heard(Contract, name="traced.heard", version=1):
    number: str = Key()


@agent("traced.plain")
def plain(job: Job) -> Job:
    return job


@agent("traced.later")
async def later(job: Job, context: Context) -> Job:
    await context.ausage(tokens=12, cost=0.25, model="large", input_tokens=9, output_tokens=3)
    return job


@agent("traced.join", key=lambda two: two.left.number)
def join(two: Two) -> Job:
    return two.left


@agent("traced.flaky", retry=_AT_ONCE)
def flaky(job: Job, context: Context) -> Job:
    context.usage(tokens=5, searches=context.attempt)
    if context.attempt == 1:
        raise Transient("s3cret")
    return job


_mended: set[str] = set()


@agent("traced.broken")
def broken(job: Job) -> Job:
    if job.number not in _mended:
        raise Permanent("s3cret")
    return job


@agent("traced.tells", events=(Heard,))
def tells(job: Job, context: Context) -> Job:
    context.emit(Heard(number=job.number))
    return job


@on(Heard)
@agent("traced.hears")
def hears(heard: Heard) -> None:
    """It hears."""


@agent("traced.undoes")
def undoes(job: Job) -> Job:
    return job


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    with recording(monkeypatch) as found:
        yield found


def _whole(spans: Recorded, count: int) -> None:
    """Wait until so many handoffs have ended: their last spans end a moment after their run."""

    def ended() -> bool:
        return sum(span.name.startswith("handoff ") for span in spans.spans) >= count

    wait_until(ended, description=f"{count} handoffs have ended")


def _ended(run: Run, spans: Recorded, handoffs: int, status: str = "completed") -> None:
    assert run.wait(TIMEOUT) == status
    _whole(spans, handoffs)
    name = run.flow.name if run.flow else ""
    connected(spans.spans, f"start {name}")
    attempts(run.history(), spans.spans)


def test_a_chain(anywhere: Coordinator, spans: Recorded) -> None:
    """A run is below the span of its start, each handoff below the span that published its message, the work of its agent within it, and who
    waits for the run beside them."""
    run = anywhere.start(Flow("traced.chain", plain >> later), Job(number="1"))
    _ended(run, spans, 2)
    spans_of_wait = spans.only("wait")
    assert told(spans_of_wait) == {"handoff.run": run.id, "handoff.status": "completed"}
    assert [line for line in spans.tree() if "wait" not in line] == [
        "start traced.chain",
        "  handoff traced.plain (settled)",
        "    agent traced.plain",
        "    publish traced.later",
        "      handoff traced.later (settled)",
        "        agent traced.later",
    ]
    kinds = {span.name.split(" ")[0]: span.kind.name for span in spans.spans}
    assert kinds == {
        "start": "PRODUCER",
        "handoff": "CONSUMER",
        "agent": "INTERNAL",
        "publish": "PRODUCER",
        "wait": "CLIENT",
    }
    assert dict(told(spans.only("start traced.chain"))) == {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "send",
        "messaging.message.conversation_id": run.id,
        "handoff.flow": "traced.chain",
        "handoff.run": run.id,
        "handoff.created": True,
    }


def test_branches(anywhere: Coordinator, spans: Recorded) -> None:
    """What joins branches comes after the one that arrived last, and links to the others."""
    flow = Flow("traced.branches", plain >> parallel(left=flaky, right=later) >> join)
    _ended(anywhere.start(flow, Job(number="1")), spans, 5)
    joining, known = spans.only("handoff traced.join"), {ids(span)[1]: span for span in spans.spans}
    last = known[parent(known[parent(joining)])]
    [other] = {"handoff traced.flaky", "handoff traced.later"} - {last.name}
    [of_other] = [span for span in spans.named(other) if told(span)["handoff.outcome"] == "settled"]
    assert linked(joining) == {ids(of_other)[1]}


def test_an_attempt_that_failed(anywhere: Coordinator, spans: Recorded) -> None:
    """Each attempt has a handoff of its own, which links to the one before; the error is told by its name."""
    _ended(anywhere.start(Flow("traced.retried", flaky), Job(number="1")), spans, 2)
    first, second = spans.named("handoff traced.flaky")
    assert [told(span)["handoff.attempt"] for span in (first, second)] == [1, 2]
    assert [told(span)["handoff.outcome"] for span in (first, second)] == ["retried", "settled"]
    assert (linked(first), linked(second)) == (set(), {ids(first)[1]})
    assert parent(first) == parent(second)
    assert told(first)["error.type"] == "Transient"
    assert "s3cret" not in "".join(span.to_json() for span in spans.spans)


def test_a_replay(anywhere: Coordinator, spans: Recorded) -> None:
    """A step that is parked has failed; replayed, it links to that, in the same trace."""
    _mended.discard("9")
    run = anywhere.start(Flow("traced.parked", broken >> plain), Job(number="9"))
    _ended(run, spans, 1, "parked")
    _mended.add("9")
    for letter in run.letters():
        letter.replay()
    wait_until(lambda: run.status() == "completed", description="it goes on")
    _whole(spans, 3)
    connected(spans.spans, "start traced.parked")
    first, second = spans.named("handoff traced.broken")
    assert [told(span)["handoff.outcome"] for span in (first, second)] == ["parked", "settled"]
    assert first.status.description == "error: Permanent"
    assert linked(second) == {ids(first)[1]}
    assert told(second)["handoff.replays"] == 1


def test_events(anywhere: Coordinator, spans: Recorded) -> None:
    """Who hears an event is below the span that published it, whether an agent emits it, a flow, or somebody from outside."""
    anywhere.work([hears])
    _ended(anywhere.start(Flow("traced.events", tells), Job(number="1")), spans, 2)
    heard = spans.only("handoff traced.hears")
    assert parent(heard) == ids(spans.only("publish traced.heard"))[1]
    spans.clear()
    story = anywhere.emit(Heard(number="7"))
    assert story.wait(TIMEOUT) == "completed"
    _whole(spans, 1)
    connected(spans.spans, "emit traced.heard")
    spans.clear()
    flow = Flow("traced.said", plain >> emit())
    _ended(anywhere.start(flow, Job(number="3")), spans, 1)
    assert told(spans.only("publish traced.job"))["messaging.destination.name"] == "traced.job"


def test_a_fallback(anywhere: Coordinator, spans: Recorded) -> None:
    """Where a budget is spent, the fallback has a span of its own, below the span that published the timer, and what follows is below that."""
    spent = budget(broken, within=timedelta(milliseconds=50), fallback=constant(Job(number="2")))
    run = anywhere.start(Flow("traced.fallback", spent >> plain), Job(number="8"))
    _ended(run, spans, 2)
    fallback = spans.only("fallback traced.fallback")
    assert parent(fallback) == ids(spans.only("start traced.fallback"))[1]
    assert parent(spans.only("handoff traced.plain")) == ids(fallback)[1]
    assert told(fallback)["handoff.step"] == "1"


def test_what_people_do(anywhere: Coordinator, spans: Recorded) -> None:
    """What a signal leads to, and what undoes a run that is cancelled, is in the trace in which the run began, whoever sends it."""
    flow = Flow("traced.waits", compensate(plain, by=undoes) >> wait_for("ok", Job) >> later)
    run, other = (anywhere.start(flow, Job(number=number)) for number in ("1", "2"))
    wait_until(lambda: run.waiting() and other.waiting(), description="they wait")
    tracer = recorded_by(spans)
    with tracer.start_as_current_span("an operator's"):
        run.signal("ok", Job(number="1"))
        other.cancel(compensate=True)
    wait_until(lambda: run.status() == "completed", description="it goes on")
    wait_until(lambda: other.status() == "cancelled", description="it is undone")
    _whole(spans, 4)
    for one in (run, other):
        of_run = [span for span in spans.spans if told(span).get("handoff.run") == one.id]
        connected(of_run, "start traced.waits")
        attempts(one.history(), of_run)


def recorded_by(spans: Recorded) -> trace.Tracer:
    """A tracer of the test's own."""
    return spans.provider.get_tracer("tests")


def test_a_trace_that_is_there(anywhere: Coordinator, spans: Recorded) -> None:
    """A run that is started in a span of the caller's goes on in its trace, and so does the wait for it."""
    flow = Flow("traced.request", plain >> parallel(left=plain, right=later) >> join)
    with recorded_by(spans).start_as_current_span("request"):
        run = anywhere.start(flow, Job(number="1"))
        assert run.result(TIMEOUT) == Job(number="1")
    _whole(spans, 4)
    connected(spans.spans, "request")
    request, started, waited = (spans.only(name) for name in ("request", "start traced.request", "wait"))
    assert parent(started) == parent(waited) == ids(request)[1]
    assert linked(waited) == {ids(started)[1]}


def test_many(anywhere: Coordinator, spans: Recorded) -> None:
    """Runs that are started many at once have a trace each."""
    flow = Flow("traced.many", plain)
    runs = [one.get() for one in anywhere.start_many(flow, [Job(number=str(number)) for number in range(3)])]
    for run in runs:
        assert run.wait(TIMEOUT) == "completed"
    _whole(spans, 3)
    assert len({ids(span)[0] for span in spans.spans}) == 3
    for run in runs:
        connected([span for span in spans.spans if told(span)["handoff.run"] == run.id], "start traced.many")


def test_a_start_that_fails(anywhere: Coordinator, spans: Recorded) -> None:
    """What was not accepted has failed, by the name of its error; started again under its key, a run is found and not created."""
    flow = Flow("traced.again", plain)
    first = anywhere.start(flow, Job(number="1"))
    assert first.wait(TIMEOUT) == "completed"
    assert anywhere.start(flow, Job(number="1")).id == first.id
    with pytest.raises(Exception, match="another input"):
        anywhere.start(flow, Job(number="1", fails=True))
    found, again, failed = spans.named("start traced.again")
    assert [told(span).get("handoff.created") for span in (found, again, failed)] == [True, False, None]
    assert told(failed)["error.type"] == "Conflict"


def test_usage(anywhere: Coordinator, spans: Recorded) -> None:
    """What an agent says that it has used up is told by the span of its work, by the names of OpenTelemetry where it has some: of each
    attempt what that attempt has said. The run has the sum."""
    run = anywhere.start(Flow("traced.used", flaky >> later), Job(number="1"))
    _ended(run, spans, 3)
    said = [
        {name: value for name, value in told(span).items() if "usage" in name or name.startswith("gen_ai")}
        for span in spans.spans
        if span.name.startswith("agent ")
    ]
    assert said == [
        {"gen_ai.usage.total_tokens": 5, "handoff.usage.searches": 1},
        {"gen_ai.usage.total_tokens": 5, "handoff.usage.searches": 2},
        {
            "gen_ai.request.model": "large",
            "gen_ai.usage.total_tokens": 12,
            "gen_ai.usage.cost": 0.25,
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 3,
        },
    ]
    assert run.usage().tokens == anywhere.usage("traced.used", days=1).tokens == 22


def test_nothing_to_wait_for_in(anywhere: Coordinator, spans: Recorded) -> None:
    """Where neither a span is current nor the run's own is known, a wait would stand alone: it has none. One that fails says so."""
    run = anywhere.start(Flow("traced.waited", wait_for("never", Job) >> plain, input=Job), Job(number="1"))
    anywhere.run(run.id).wait(0)
    assert spans.named("wait") == []
    with pytest.raises(RunTimeout):
        run.result(0)
    assert told(spans.only("wait"))["handoff.status"] == "running"


def test_coroutines(anywhere: Coordinator, spans: Recorded) -> None:
    """A run that a coroutine starts and awaits is in the trace of the coroutine."""

    async def request() -> Run:
        with recorded_by(spans).start_as_current_span("request"):
            run = await anywhere.astart(Flow("traced.awaited", later), Job(number="1"))
            assert await run.await_status(TIMEOUT) == "completed"
            return run

    asyncio.run(request())
    _whole(spans, 1)
    connected(spans.spans, "request")


def test_who_began_recorded_nothing(anywhere: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was started where nobody records is one trace all the same where workers do: its own, in all its branches."""
    waiting = wait_for("ok", Job) >> parallel(left=plain, right=later) >> join
    flow = Flow("traced.unseen", waiting, input=Job)
    run = anywhere.start(flow, Job(number="1"))
    with recording(monkeypatch) as spans:
        run.signal("ok", Job(number="1"))
        assert run.wait(TIMEOUT) == "completed"
        _whole(spans, 3)
        of_run = [span for span in spans.spans if span.name != "wait"]
    assert {f"{ids(span)[0]:032x}" for span in of_run} == {trace_of(run.id)}


def test_beside_celerys_instrumentation(anywhere: Coordinator, spans: Recorded) -> None:
    """With the spans of Celery's instrumentation the trace is one still: they are around the handoffs."""
    instrumentor: Any = CeleryInstrumentor()  # type: ignore[no-untyped-call]
    instrumentor.instrument(tracer_provider=spans.provider)
    try:
        flow = Flow("traced.beside", plain >> parallel(left=plain, right=later) >> join)
        _ended(anywhere.start(flow, Job(number="1")), spans, 4)
        known = {ids(span)[1]: span for span in spans.spans}

        def whole() -> bool:
            known.update({ids(span)[1]: span for span in spans.spans})
            return all(parent(span) in known for span in spans.spans if span.name.startswith("handoff "))

        wait_until(whole, description="the spans around the handoffs have ended")
        above = {known[parent(span)].name for span in spans.spans if span.name.startswith("handoff ")}
        assert above == {"run/traced.plain", "run/traced.later", "run/traced.join"}
    finally:
        instrumentor.uninstrument()
