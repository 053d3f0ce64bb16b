"""Lives: a run that has ended and is forgotten, and is started anew under its key, shares nothing with what it was."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Run,
    agent,
    budget,
    choice,
    compensate,
    constant,
    delay,
    emit,
    field,
    go_on,
    parallel,
    wait_for,
    when,
)
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.errors import Permanent
from handoffs.coordinator.flow.step import Step
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runtime.service import Service


class Job(Contract, name="lives.job", version=1):
    id: str = Key()
    text: str = ""


class Jobs(Contract, name="lives.jobs", version=1):
    a: Job
    b: Job


DONE: list[str] = []


@agent("lives.passes")
def passes(job: Job) -> Job:
    return job


@agent("lives.works")
def works(job: Job) -> Job:
    DONE.append(job.text)
    return job


@agent("lives.undoes")
def undoes(job: Job) -> Job:
    DONE.append(f"undone {job.text}")
    return job


@agent("lives.joins")
def joins(jobs: Jobs) -> Job:
    return jobs.a


@agent("lives.fails", retry=Retry(attempts=1))
def fails(job: Job) -> Job:
    if job.text == "old":
        raise Permanent("no")
    return job


SAID = wait_for("said", Job)
IDLE = choice(when(field("text") == "never", passes), otherwise=go_on)
INSTEAD = constant(Job(id="instead", text="instead"))
KINDS: dict[str, Step] = {
    "a step": passes >> SAID >> works,
    "a delay": delay(timedelta(hours=1)) >> passes >> SAID >> works,
    "a delay before nothing": passes >> delay(timedelta(hours=1)) >> IDLE >> SAID >> works,
    "a timer": passes >> wait_for("said", Job, timeout=timedelta(hours=1), otherwise=INSTEAD) >> works,
    "a budget": budget(passes >> SAID, within=timedelta(hours=1), fallback=INSTEAD) >> works,
    "a join": parallel(a=passes, b=passes >> SAID) >> joins >> works,
    "a letter": fails >> SAID >> works,
    "undoing": compensate(passes, by=undoes) >> SAID >> works,
    "an event": emit() >> passes >> SAID >> works,
}


class Wire:
    """Remembers what is published, and publishes it once more."""

    def __init__(self, coordinator: Coordinator) -> None:
        publisher: Any = coordinator.engine.publisher
        self._publish, self.sent = publisher.publish, list[Message]()
        publisher.publish = self

    def __call__(self, messages: Iterable[Message], **options: Any) -> None:
        messages = list(messages)
        self.sent += messages
        self._publish(messages, **options)

    def again(self, messages: Iterable[Message]) -> None:
        self._publish(messages)


def life(coordinator: Coordinator, flow: Flow, text: str) -> Run:
    return coordinator.start(flow, Job(id=f"{flow.name}.{text}", text=text), idempotency_key="one")


def forget(coordinator: Coordinator, run: Run) -> None:
    """The time for which a run that has ended is kept is over."""
    store = coordinator.engine.store
    assert store.redis.delete(store.keys.run(run.id)) == 1


@pytest.mark.parametrize("how", ["completed", "cancelled", "compensated"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_nothing_of_the_life_before(coordinator: Coordinator, kind: str, how: str) -> None:
    """Whatever comes late of the first life, at whatever step the second is, changes nothing there: messages, timers, letters,
    signals, what undoes it; and the second is found under the key."""
    flow = Flow(f"lives.{kind.replace(' ', '-')}-{how}", KINDS[kind], input=Job)
    wire = Wire(coordinator)
    old = life(coordinator, flow, "old")
    for letter in old.letters():
        coordinator.skip(letter, Job(id=f"{flow.name}.old", text="old"), why="to go on")
    if how == "completed":
        if old.status() != "completed":
            old.signal("said", Job(id=f"{flow.name}.old-said", text="old"))
    else:
        old.cancel(compensate=how == "compensated")
    assert old.status() in {"completed", "cancelled"}
    forget(coordinator, old)
    late = list(wire.sent)

    DONE.clear()
    run = life(coordinator, flow, "new")
    assert (run.created, run.id != old.id) == (True, True)
    before = run.status(), len(run.history())
    wire.again(late)
    with pytest.raises(CoordinationError):
        old.signal("said", Job(id=f"{flow.name}.late", text="late"))
    for letter in coordinator.dead_letters(state=None, run=old.id):
        with pytest.raises(CoordinationError):
            coordinator.skip(letter, Job(id="late", text="late"), why="late")
    old.cancel(compensate=True)
    assert (run.status(), len(run.history())) == before
    assert life(coordinator, flow, "new").id == run.id
    if run.status() == "running":
        run.signal("said", Job(id=f"{flow.name}.said", text="new"))
    assert run.wait(timeout=20) == "completed"
    wire.again(late)
    assert [text for text in DONE if "old" in text or "late" in text] == []
    assert run.status() == "completed"


def test_one_after_the_other(coordinator: Coordinator) -> None:
    """Any number of lives, each found in one or two tries; and while one lives, the coordinator process keeps it from being forgotten
    that it is not the first."""
    flow, runs = Flow("lives.many", passes >> SAID, input=Job), coordinator.engine.runs
    seen = []
    for number in range(5):
        run = life(coordinator, flow, str(number))
        assert run.created
        assert not life(coordinator, flow, str(number)).created
        seen.append(run.id)
        if number < 4:
            run.cancel()
            forget(coordinator, run)
    assert len(set(seen)) == 5
    assert runs.newest_life(seen[0]) == 4
    store = coordinator.engine.store
    store.redis.delete(store.keys.ended(seen[0]))
    service = Service(coordinator.engine, coordinator.journal)
    service.drain_history()
    service.look_after()
    assert runs.newest_life(seen[0]) == 4
    assert life(coordinator, flow, "4").id == seen[-1]


def test_a_story(coordinator: Coordinator) -> None:
    """The same of a story that an event has begun."""
    job = Job(id="story")
    old = coordinator.emit(job, idempotency_key="story")
    old.cancel()
    forget(coordinator, old)
    run = coordinator.emit(job, idempotency_key="story")
    assert run.id != old.id
    assert coordinator.emit(job, idempotency_key="story").id == run.id
