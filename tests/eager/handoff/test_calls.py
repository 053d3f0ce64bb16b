"""Calls: what agents ask of systems outside, with headers of their own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handoffs import Context, Contract, Coordinator, Flow, Key, agent
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.messaging.trace_context import TraceContext, entered
from tests.defaults import default_settings
from tests.spans import connected, ids, parent, recording
from tests.waiting import wait_until

TIMEOUT = 20.0
TRACE, SPAN = "1234567890abcdef1234567890abcdef", "1234567890abcdef"
PARENT = f"00-{TRACE}-{SPAN}-01"
GIVEN: list[dict[str, str]] = []


class Job(Contract, name="calls.job", version=1):
    number: str = Key()


def _call(context: Context, name: str) -> None:
    with context.calling(name) as headers:
        GIVEN.append(headers)


@agent("calls.plain")
def plain(job: Job, context: Context) -> Job:
    _call(context, "first")
    _call(context, "second")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_call, context, "in a thread").result()
    return job


@agent("calls.async")
async def awaits(job: Job, context: Context) -> Job:
    async def call(name: str) -> None:
        with context.calling(name) as headers:
            GIVEN.append(headers)
            await asyncio.sleep(0)

    await asyncio.gather(*(call(f"at once {number}") for number in range(3)))
    return job


FLOW = Flow("calls.flow", plain >> awaits)


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    GIVEN.clear()


def _run(coordinator: Coordinator, brought: TraceContext) -> str:
    with entered(brought):
        run = coordinator.start(FLOW, Job(number="1"))
    assert run.wait(TIMEOUT) == "completed"
    return run.id


def _spans() -> set[str]:
    return {headers["traceparent"][36:52] for headers in GIVEN}


def test_calls_go_on_in_the_trace(anywhere: Coordinator) -> None:
    """Plain and async, one after the other, at once, and in threads of the agent's own: each call goes on in the trace that the run was
    started in, with its state and baggage, and has another id."""
    _run(anywhere, TraceContext(PARENT, "1foo=1", "tenant=7"))
    assert {headers["traceparent"][:36] for headers in GIVEN} == {PARENT[:36]}
    assert {(headers["tracestate"], headers["baggage"]) for headers in GIVEN} == {("1foo=1", "tenant=7")}
    assert len(_spans() | {SPAN}) == len(GIVEN) + 1 == 7


def test_calls_of_a_run_without_a_trace(anywhere: Coordinator) -> None:
    """They are in the trace that is named after the run."""
    run = _run(anywhere, TraceContext())
    assert {headers["traceparent"][3:35] for headers in GIVEN} == {run.replace("-", "")}
    assert len(_spans()) == len(GIVEN) == 6


def test_calls_are_spans(anywhere: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spans are recorded, each call is one below the work of its agent; in a thread of the agent's own, which knows nothing of
    that, below the handoff. All is one trace."""
    with recording(monkeypatch) as recorded:
        _run(anywhere, TraceContext())
        wait_until(
            lambda: len(recorded.named("handoff calls.async")) == 1, description="the last handoff has ended"
        )
        names: Any = ["first", "second", "in a thread", *(f"at once {number}" for number in range(3))]
        calls = {name: recorded.only(name) for name in names}
        assert _spans() == {f"{ids(span)[1]:016x}" for span in calls.values()}
        above = {ids(span)[1]: span.name for span in recorded.spans}
        assert {name: above[parent(span)] for name, span in calls.items()} == {
            "first": "agent calls.plain", "second": "agent calls.plain", "in a thread": "handoff calls.plain",
            **{f"at once {number}": "agent calls.async" for number in range(3)},
        }  # fmt: skip
        connected(recorded.spans, "start calls.flow")


def _alone() -> Context:
    names: Any = dict.fromkeys(("run_id", "flow", "step", "agent", "idempotency_key"), "x")
    return Context(**names, attempt=1, deadline=None, settings=default_settings(), logger=None)  # type: ignore[arg-type]


def test_a_function_alone_is_given_none() -> None:
    """Without an engine there is no trace to go on in, and no headers."""
    with _alone().calling("POST /score") as headers:
        assert headers == {}


@pytest.mark.parametrize("name", ["", " ", " padded ", "x" * 201, "a\nb", None, 7])
def test_a_name_that_is_none(name: Any) -> None:
    """It is refused before the call is made."""
    with pytest.raises(AgentError, match=r"calling\(\) is given the name") as found:
        _alone().calling(name)
    assert found.value.consequence == "the call was not made"
