"""Usage: what agents use up of models is summed for run and flow; a run that has used up more than it may goes no further."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import pytest

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Run,
    Spending,
    Transient,
    Usage,
    agent,
    budget,
    compensate,
    constant,
    on,
)
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import FlowError, OverBudget, UnknownRun
from tests.eager.command import Command
from tests.waiting import wait_until

TIMEOUT = 20.0
_number = count()
calls: list[str] = []
fails: list[str] = []
_lock = threading.Lock()


class Job(Contract, name="usage.job", version=1):
    number: str = Key()
    text: str = ""


@pytest.fixture(autouse=True)
def _fresh() -> None:
    calls.clear()
    fails.clear()


AGAIN = Retry(attempts=3, backoff=timedelta(milliseconds=1))


def _model(context: Context, name: str, tokens: int = 100) -> str:
    """A call of a model, which says what it has used up."""
    with _lock:
        calls.append(name)
    context.usage(tokens=tokens, cost=0.25, searches=1)
    return name


@agent("usage.plain", retry=AGAIN)
def plain(job: Job, context: Context) -> Job:
    _model(context, "plain")
    _model(context, "plain")
    if fails:
        raise OSError(fails.pop())
    return job


@agent("usage.async", retry=AGAIN)
async def waits(job: Job, context: Context) -> Job:
    context.usage(tokens=100, cost=Decimal("0.25"), searches=1)
    await context.ausage(tokens=100, cost=Decimal("0.25"), searches=1)
    if fails:
        raise OSError(fails.pop())
    return job


@agent("usage.once", retry=AGAIN)
def once(job: Job, context: Context) -> Job:
    context.once("draft", lambda: _model(context, "draft"))
    found = context.once("final", lambda: 100)
    context.usage(tokens=found, of="final")
    context.usage(tokens=found, of="final")
    if fails:
        raise OSError(fails.pop())
    return job


@agent("usage.pages", retry=AGAIN)
def pages(job: Job, context: Context) -> Job:
    for number in range(5):
        context.once(f"page {number}", partial(_model, context, f"page {number}"))
    return job


@agent("usage.pages-async", retry=AGAIN)
async def pages_async(job: Job, context: Context) -> Job:
    async def model(name: str) -> str:
        calls.append(name)
        context.usage(tokens=100, cost=0.25, searches=1)
        return name

    for number in range(5):
        await context.aonce(f"page {number}", partial(model, f"page {number}"))
    return job


@agent("usage.waits", retry=AGAIN)
def asked_to_wait(job: Job, context: Context) -> Job:
    context.usage(tokens=10)
    if fails:
        raise Transient(fails.pop(), retry_after=0.01)
    return job


@agent("usage.free")
def free(job: Job) -> Job:
    calls.append("free")
    return job


@agent("usage.undo")
def undo(job: Job, context: Context) -> Job:
    calls.append("undo")
    context.usage(tokens=1)
    return job


def _flow(step: Any, **options: Any) -> Flow:
    return Flow(f"usage.flow-{next(_number)}", step, **options)


def _start(coordinator: Coordinator, flow: Flow, ends: str = "completed") -> Run:
    run = coordinator.start(flow, Job(number=str(next(_number))))
    assert run.wait(TIMEOUT) == ends
    return run


def _parked(run: Run) -> str:
    [letter] = wait_until(run.letters, description="there is a letter")
    return str(letter.row.kind)


@pytest.mark.parametrize("who", [plain, waits], ids=["plain", "async"])
def test_summed(anywhere: Coordinator, command: Command, who: Any) -> None:
    """What each attempt says is summed for its run, failed ones too, and for all runs of its flow; commands show it."""
    flow = _flow(who >> free)
    fails.append("not now")
    run = _start(anywhere, flow)
    assert run.usage() == Usage(400, Decimal(1), {"searches": 4})
    _start(anywhere, flow)
    assert anywhere.usage(flow) == anywhere.usage(flow.name, 1) == Usage(600, Decimal("1.5"), {"searches": 6})
    said = {"tokens": 400, "cost": "1", "searches": 4}
    assert command.json(anywhere, "runs", "show", run.id)["usage"] == said
    assert "usage: 400 tokens, cost 1, 4 searches" in command(anywhere, "runs", "show", run.id)[1]
    assert command.json(anywhere, "flows", "usage", flow.name)["usage"]["tokens"] == 600
    assert "600" in command(anywhere, "flows", "usage", flow.name)[1]
    store = anywhere.engine.store
    keys = [*store.redis.keys(f"{store.keys.prefix}usage:*"), *store.redis.keys(f"{store.keys.prefix}used:*")]
    assert keys
    assert all(store.redis.pttl(key) > 0 for key in keys)


def test_what_was_paid_for_counts_once(anywhere: Coordinator) -> None:
    """What is said within a call that is recorded is said by whoever makes the call; what is said of one counts once."""
    fails.extend(["not now", "nor now"])
    assert _start(anywhere, _flow(once)).usage() == Usage(200, Decimal("0.25"), {"searches": 1})
    assert calls == ["draft"]


def test_waits_count(anywhere: Coordinator) -> None:
    """Each try counts, also where an API had no time for it, which is no attempt more."""
    fails.extend(["429", "429"])
    assert _start(anywhere, _flow(asked_to_wait)).usage().tokens == 30


@pytest.mark.parametrize("who", [pages, pages_async], ids=["plain", "async"])
def test_over_budget(anywhere: Coordinator, command: Command, who: Any) -> None:
    """The call by which a run goes over its limit is recorded, and none is made after it; allowed more and replayed, the run goes on,
    and pays for no call twice."""
    run = _start(anywhere, _flow(who >> free, spending=Spending(tokens=250)), "parked")
    assert _parked(run) == "over-budget"
    assert calls == ["page 0", "page 1", "page 2"]
    [parked] = [entry for entry in run.history() if entry["kind"] == "parked"]
    assert "has used up 300 tokens where 250 are allowed" in parked["error"]
    assert command.json(anywhere, "runs", "show", run.id)["spending"] == {"tokens": 250, "cost": None}
    [letter] = run.letters()
    letter.replay()
    assert run.wait(TIMEOUT) == "parked"
    assert len(calls) == 3
    status, out, _ = command(anywhere, "runs", "allow", run.id, "--tokens", "1000", "--by", "ann")
    assert (status, out) == (0, f"run {run.id}: it may use up 1,000 tokens\n")
    [letter] = wait_until(run.letters, description="there is a letter")
    letter.replay()
    assert run.wait(TIMEOUT) == "completed"
    assert calls == [*(f"page {number}" for number in range(5)), "free"]
    assert run.usage().tokens == 500
    [allowed] = [entry for entry in run.history() if entry["kind"] == "allowed"]
    assert (allowed["output"], allowed["by"]) == ({"tokens": 1000}, "ann")


def test_the_next_step_does_not_begin(anywhere: Coordinator) -> None:
    """An agent that returns all the same has its outcome; the step after it does not begin."""

    @agent(f"usage.careless-{next(_number)}", retry=AGAIN)
    def careless(job: Job, context: Context) -> Job:
        try:
            context.usage(cost=2.5)
        except OverBudget:
            return job
        raise AssertionError("it is over its budget")

    run = _start(anywhere, _flow(careless >> free, spending=Spending(cost=2)), "parked")
    assert _parked(run) == "over-budget"
    assert "a cost of 2.5 where 2 is allowed" in run.history()[-1]["error"]
    assert calls == []


def test_up_to_the_limit(anywhere: Coordinator) -> None:
    """A run may use up all that it may."""
    assert (
        _start(anywhere, _flow(plain >> free, spending=Spending(200, Decimal("0.5")))).usage().tokens == 200
    )


@pytest.mark.parametrize(
    "fallback", [constant(Job(number="0", text="instead")), free], ids=["constant", "agent"]
)
def test_the_fallback_takes_its_place(anywhere: Coordinator, fallback: Any) -> None:
    """In a budget with a fallback that takes the place of what goes over, and an agent that is one may begin."""
    step = budget(pages, within=timedelta(seconds=2), fallback=fallback)
    run = _start(anywhere, _flow(step, spending=Spending(tokens=150)))
    assert ("fallback" in {entry["kind"] for entry in run.history()}) is (fallback is not free)
    assert (calls[-1] == "free") is (fallback is free)
    assert calls[:2] == ["page 0", "page 1"]


def test_what_was_done_is_undone(anywhere: Coordinator) -> None:
    """What undoes the steps of a run does it, whatever the run has used up."""
    run = _start(anywhere, _flow(compensate(free, by=undo) >> pages, spending=Spending(tokens=50)), "parked")
    assert _parked(run) == "over-budget"
    run.give_up()
    assert run.wait(TIMEOUT) == "cancelled"
    assert calls[-1] == "undo"


def test_of_a_story(coordinator: Coordinator, command: Command) -> None:
    """What hears an event without a flow is counted for its story."""

    class Heard(Contract, name=f"usage.heard-{next(_number)}", version=1):
        number: str = Key()

    @on(Heard)
    @agent(f"usage.hears-{next(_number)}")
    def hears(heard: Heard, context: Context) -> None:
        context.usage(tokens=7)

    coordinator.work([hears])
    run = coordinator.emit(Heard(number="1"))
    assert run.usage().tokens == 7
    assert "usage: 7 tokens" in command(coordinator, "runs", "show", run.id)[1]


@pytest.mark.parametrize(
    "amounts",
    [
        {"tokens": -1}, {"tokens": 1.5}, {"tokens": True}, {"tokens": "9"}, {"tokens": 10**13}, {"cost": -0.1},
        {"cost": float("nan")}, {"cost": Decimal("Infinity")}, {"cost": "1"}, {"cost": 100_001}, {"searches": -1},
        {"no name": 1}, {"x" * 41: 1}, {f"c{n}": 1 for n in range(21)}, {"tokens": 1, "of": "\n"}, {"tokens": 1, "of": 5},
    ],
)  # fmt: skip
def test_nonsense(coordinator: Coordinator, amounts: dict[str, Any]) -> None:
    """What is no amount is the agent's error, and counts nothing."""

    @agent(f"usage.nonsense-{next(_number)}", retry=Retry(attempts=1))
    def nonsense(job: Job, context: Context) -> Job:
        context.usage(**amounts)
        return job

    run = _start(coordinator, _flow(nonsense), "parked")
    assert _parked(run) == "error"
    assert "AgentError" in run.history()[-1]["error"]
    assert not run.usage()


@pytest.mark.parametrize(
    "limits",
    [{}, {"tokens": 0}, {"cost": 0}, {"tokens": -5}, {"tokens": "5"}, {"cost": float("inf")}, {"cost": "2"}],
)
def test_no_limit(coordinator: Coordinator, command: Command, limits: dict[str, Any]) -> None:
    """What is no limit is refused where it is declared, and where it is allowed."""
    with pytest.raises(FlowError, match="Spending"):
        Spending(**limits)
    run = _start(coordinator, _flow(free))
    with pytest.raises(FlowError, match="Spending"):
        run.allow(**limits)
    assert command(coordinator, "runs", "allow", run.id)[0] not in (0, None)


def test_refused(coordinator: Coordinator) -> None:
    """A flow within another has no limit of its own, a run that nobody knows is allowed nothing, and days are a whole number."""
    inner = _flow(free, spending=Spending(tokens=5))
    with pytest.raises(FlowError, match="the flow that is started"):
        _flow(plain >> inner)
    with pytest.raises(FlowError, match="spending"):
        _flow(free, spending=5)
    with pytest.raises(UnknownRun):
        coordinator.run("nobody").allow(tokens=5)
    for days in (0, 367, 1.5, "x", True):
        with pytest.raises(InvalidData, match="days"):
            coordinator.usage(inner, days)  # type: ignore[arg-type]


def test_another_start_changes_nothing(coordinator: Coordinator) -> None:
    """A run keeps the limit that it was accepted with, whatever its flow says when it is started again."""
    name = f"usage.flow-{next(_number)}"
    job = Job(number="same")
    run = coordinator.start(Flow(name, free, spending=Spending(tokens=5)), job)
    again = coordinator.start(Flow(name, free, spending=Spending(tokens=9, cost=1)), job)
    assert again.id == run.id
    assert run.spending() == Spending(tokens=5)
