"""Once: what a call within a step gave is recorded: no later attempt at the same work makes that call again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Context, Contract, Coordinator, Flow, Key, Permanent, Retry, agent, compensate
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store import scripts
from tests.waiting import wait_until

calls: Counter[str] = Counter()
faults: list[BaseException] = []
let_go = threading.Event()


class Question(Contract, name="once.question", version=1):
    number: str = Key()
    text: str = "why?"


class Answer(Contract, name="once.answer", version=1):
    number: str = Key()
    text: str


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    calls.clear()
    faults.clear()
    let_go.clear()
    yield
    let_go.set()


def _model(text: str) -> dict[str, str]:
    calls[text] += 1
    return {"text": f"{text} {calls[text]}"}


@agent("once.ask", retry=Retry(attempts=3, backoff=timedelta(milliseconds=1)))
def ask(question: Question, context: Context) -> Answer:
    draft = context.once("draft", lambda: _model(f"{question.text} draft"))
    final = context.once("final", lambda: _model(f"{draft['text']} final"))
    if faults:
        raise faults.pop()
    return Answer(number=question.number, text=final["text"])


@agent("once.ask-async", retry=Retry(attempts=3, backoff=timedelta(milliseconds=1)))
async def ask_async(question: Question, context: Context) -> Answer:
    async def model() -> dict[str, str]:
        return _model(question.text)

    answer = await context.aonce("answer", model)
    if faults:
        raise faults.pop()
    return Answer(number=question.number, text=answer["text"])


@agent("once.fails")
def fails(answer: Answer) -> Answer:
    raise Permanent(answer.text)


@agent("once.forget")
def forget(answer: Answer) -> Answer:
    calls["undone"] += 1
    return answer


ONE, ASYNC = Flow("once.flow", ask), Flow("once.async", ask_async)


@pytest.mark.parametrize(("flow", "each"), [(ONE, ["why? draft", "why? draft 1 final"]), (ASYNC, ["why?"])])
def test_attempts(anywhere: Coordinator, flow: Flow, each: list[str]) -> None:
    """However often the step fails after them, each of its calls is made once."""
    faults[:] = [ValueError("1"), ValueError("2")]
    run = anywhere.start(flow, Question(number="1"))
    assert run.wait(10) == "completed"
    assert len([entry for entry in run.history() if entry["kind"] == "retried"]) == 2
    assert dict(calls) == dict.fromkeys(each, 1)


@pytest.mark.parametrize("flow", [ONE, ASYNC])
def test_a_replay(anywhere: Coordinator, flow: Flow) -> None:
    """A letter that is replayed goes on with what was paid for."""
    faults[:] = [ValueError("no")] * 3
    run = anywhere.start(flow, Question(number="1"))
    assert run.wait(10) == "parked"
    before = dict(calls)
    [letter] = run.letters()
    letter.replay()
    assert run.wait(10) == "completed"
    assert dict(calls) == before


def test_an_edit(anywhere: Coordinator) -> None:
    """Another input is other work: its calls are made."""
    faults[:] = [ValueError("no")] * 3
    run = anywhere.start(ONE, Question(number="1"))
    assert run.wait(10) == "parked"
    run.edit("1", {"number": "1", "text": "how?"})
    assert run.wait(10) == "completed"
    assert run.result(5).text.startswith("how? draft 1")


def test_runs_of_one_key(anywhere: Coordinator) -> None:
    """Two runs of other flows that come to the same work share what was paid for, as they share its outcome."""
    faults[:] = [ValueError("no")] * 3
    assert anywhere.start(ONE, Question(number="1")).wait(10) == "parked"
    other = anywhere.start(Flow("once.other", ask), Question(number="1"))
    assert other.wait(10) == "completed"
    assert dict(calls) == {"why? draft": 1, "why? draft 1 final": 1}


def test_work_that_was_undone(anywhere: Coordinator) -> None:
    """What is done again after it was undone makes its calls again."""
    run = anywhere.start(Flow("once.undone", compensate(ask, by=forget) >> fails), Question(number="1"))
    assert run.wait(10) == "parked"
    run.cancel(compensate=True)
    wait_until(lambda: calls["undone"], description="it is undone")
    again = anywhere.start(ONE, Question(number="1"))
    assert again.wait(10) == "completed"
    assert calls["why? draft"] == 2


def test_nothing_is_left(anywhere: Coordinator) -> None:
    """Once the step has its outcome, its subresults go with the next claim of its worker."""
    redis = anywhere.engine.store.redis
    faults[:] = [ValueError("1")]
    assert anywhere.start(ONE, Question(number="1")).wait(10) == "completed"
    assert anywhere.start(ONE, Question(number="2")).wait(10) == "completed"
    left = [name for name in redis.scan_iter(f"{anywhere.settings.prefix}subresults:*") if redis.exists(name)]
    assert len(left) <= 1
    for name in left:
        assert redis.pttl(name) > 0


@pytest.mark.parametrize("flow", [ONE, ASYNC])
@pytest.mark.parametrize("lost", ["HGET", "HSETNX"])
def test_redis_is_away(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, flow: Flow, lost: str
) -> None:
    """It is waited for, which is no attempt, and no call is made twice for it."""
    monkeypatch.setattr("handoffs.coordinator.handoff.subresults._PAUSE", 0.01)
    ask_redis, failed = scripts.run, [0]

    def away(redis: Any, *asked: Any) -> list[Any]:
        if any(call[0] == lost and "subresults" in str(call[1]) for call in asked) and failed[0] < 5:
            failed[0] += 1
            raise ServerError("Redis cannot be used", "nobody knows")
        return ask_redis(redis, *asked)

    monkeypatch.setattr(scripts, "run", away)
    run = live_coordinator.start(flow, Question(number="1"))
    assert run.wait(20) == "completed"
    assert failed[0] == 5
    assert set(calls.values()) == {1}
    assert not [entry for entry in run.history() if entry["kind"] == "retried"]


@agent("once.waits")
def waits(question: Question, context: Context) -> Answer:
    text = context.once("x", lambda: "paid")
    return Answer(number=question.number, text=text)


def test_told_to_end_while_redis_is_away(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for Redis ends with its run: it has not failed, and nothing is parked."""
    monkeypatch.setattr("handoffs.coordinator.handoff.subresults._PAUSE", 0.01)
    ask_redis, asked_for = scripts.run, threading.Event()

    def away(redis: Any, *asked: Any) -> list[Any]:
        if any("subresults" in str(call[1:2]) for call in asked):
            asked_for.set()
            raise ServerError("Redis cannot be used", "nobody knows")
        return ask_redis(redis, *asked)

    monkeypatch.setattr(scripts, "run", away)
    run = live_coordinator.start(Flow("once.waits", waits), Question(number="1"))
    assert asked_for.wait(10)
    run.cancel()
    assert run.wait(10) == "cancelled"
    assert not live_coordinator.dead_letters()
