"""What a newer release has sent, with members that this one does not know, waits as a letter until a process of the newer one replays it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent, budget, on
from handoffs.coordinator.continuation import schema
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.messaging.message import Message
from tests.deliveries import start
from tests.waiting import wait_until

TIMEOUT = 20.0
WORKED: list[str] = []


class Word(Contract, name="newer.word", version=1):
    text: str = Key()


class Said(Contract, name="newer.said", version=1):
    text: str = Key()


@agent("newer.one")
def one(word: Word) -> Word:
    WORKED.append("one")
    return word


@agent("newer.two")
def two(word: Word) -> Word:
    WORKED.append("two")
    return word


@agent("newer.away")
def away(word: Word) -> Word:
    return word


@on(Said)
@agent("newer.ear")
def ear(said: Said) -> None:
    WORKED.append("ear")


CHAIN = Flow("newer.chain", one >> two)
BUDGET = Flow("newer.budget", budget(away, within=timedelta(hours=1), fallback=one) >> two)


@pytest.fixture(autouse=True)
def nothing_worked() -> None:
    """No agent has been called yet."""
    WORKED.clear()


def newer(sent: Message, where: str = "arguments") -> Message:
    """A message as a newer release might write it: with a member of the arguments, or of the rest of the flow, more."""
    envelope, kwargs, rest = json.loads(sent.body)
    if where == "arguments":
        kwargs["newer"] = 1
    else:
        rest["chain"][0]["kwargs"]["newer"] = 1
    return replace(sent, body=json.dumps([envelope, kwargs, rest]))


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this process is of the release that knows the member."""
    check = schema.check

    def without(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: without(inner) for name, inner in value.items() if name != "newer"}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    monkeypatch.setattr(
        schema, "check", lambda kwargs, continuation: check(without(kwargs), without(continuation))
    )


def the_letter(coordinator: Coordinator) -> Letter:
    [letter] = wait_until(coordinator.dead_letters, description="the letter is there", timeout=TIMEOUT)
    return letter


@pytest.mark.parametrize("where", ["arguments", "rest"])
def test_a_step_of_a_newer_release_waits_for_its_workers(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A worker of this release parks it at its run and calls nobody; replayed once the workers are upgraded, it runs, once."""
    run = live_coordinator.start(CHAIN, Word(text="x"))
    assert run.wait(TIMEOUT) == "completed"
    WORKED.clear()
    [sent] = start(CHAIN, Word(text="y"), "run-newer")
    live_coordinator.engine.publisher.publish([newer(sent, where)])
    letter = the_letter(live_coordinator)
    assert (letter.kind, letter.run, letter.step, WORKED) == ("invalid-input", "run-newer", "1", [])
    assert live_coordinator.run("run-newer").status() == "parked"
    upgrade(monkeypatch)
    letter.replay()
    assert live_coordinator.run("run-newer").wait(TIMEOUT) == "completed"
    assert WORKED == ["one", "two"]
    assert live_coordinator.dead_letters() == []


def test_a_timer_of_a_newer_release_waits_for_its_coordinator_process(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator process of this release parks it, and the fallback is taken when that of the newer one replays it."""
    live_coordinator.work([one, two])
    live_coordinator.engine.publisher.declare(["newer.away"])
    [timer] = [one for one in start(BUDGET, Word(text="x"), "run-timer") if one.agent == "coordinator.timer"]
    live_coordinator.engine.publisher.publish([newer(timer)])
    letter = the_letter(live_coordinator)
    assert (letter.kind, letter.run, letter.step, WORKED) == ("invalid-input", "run-timer", "1.timer", [])
    upgrade(monkeypatch)
    letter.replay()
    assert live_coordinator.run("run-timer").wait(TIMEOUT) == "completed"
    assert WORKED == ["one", "two"]


def test_an_event_of_a_newer_release_waits_for_who_hears_it(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscriber of this release hears nothing of it; replayed once the workers are upgraded, it is heard, once."""
    live_coordinator.work([ear])
    sent: list[Message] = []
    publish = live_coordinator.engine.publisher.publish
    with monkeypatch.context() as patched:
        patched.setattr(
            live_coordinator.engine.publisher, "publish", lambda messages, **_: sent.extend(messages)
        )
        live_coordinator.emit(Said(text="x"))
    publish([newer(one) for one in sent])
    letter = the_letter(live_coordinator)
    assert (letter.kind, WORKED) == ("invalid-input", [])
    upgrade(monkeypatch)
    letter.replay()
    wait_until(lambda: WORKED, description="it was heard", timeout=TIMEOUT)
    assert WORKED == ["ear"]
