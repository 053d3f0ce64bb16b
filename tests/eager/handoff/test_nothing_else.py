"""What comes over a queue is a step of its agent, as flows compose it, or a letter: nothing else is called, and nothing goes round."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent, budget, constant, delay
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.messaging.message import Message
from tests.deliveries import start
from tests.waiting import wait_until

TIMEOUT = 20.0
WORKED: list[str] = []


class Word(Contract, name="nothing.word", version=1):
    text: str = Key()


@agent("nothing.one")
def one(word: Word) -> Word:
    WORKED.append(f"one {word.text}")
    return word


@agent("nothing.two")
def two(word: Word) -> Word:
    WORKED.append(f"two {word.text}")
    return word


FLOW = Flow("nothing.else", one >> two)
OF_CELERY = [
    "celery.accumulate", "celery.backend_cleanup", "celery.map", "celery.starmap", "celery.chunks", "celery.group",
    "celery.chain", "celery.chord", "celery.chord_unlock",
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_worked() -> None:
    """No agent has been called yet."""
    WORKED.clear()


@pytest.fixture(params=["eager", "embedded"])
def anywhere(request: pytest.FixtureRequest) -> Coordinator:
    """In eager mode and in an embedded worker."""
    found: Coordinator = request.getfixturevalue(
        "coordinator" if request.param == "eager" else "live_coordinator"
    )
    found.work([one, two])
    return found


def message(run: str = "run-1", text: str = "x") -> Message:
    [made] = start(FLOW, Word(text=text), run)
    return made


def with_headers(sent: Message, **headers: Any) -> Message:
    return replace(sent, headers={**sent.headers, **headers})


def with_body(sent: Message, kwargs: dict[str, Any], continuation: dict[str, Any]) -> Message:
    envelope, own, rest = json.loads(sent.body)
    return replace(sent, body=json.dumps([envelope, {**own, **kwargs}, {**rest, **continuation}]))


def the_letter(coordinator: Coordinator) -> Letter:
    [letter] = wait_until(coordinator.dead_letters, description="the letter is there", timeout=TIMEOUT)
    return letter


def a_good_run(coordinator: Coordinator) -> None:
    """Whatever came, the next run completes."""
    run = coordinator.start(FLOW, Word(text="good"))
    assert run.wait(TIMEOUT) == "completed"
    assert WORKED[-2:] == ["one good", "two good"]


@pytest.mark.parametrize("name", OF_CELERY)
def test_no_task_of_celery_is_called(anywhere: Coordinator, name: str) -> None:
    """A message that names a task which every Celery app has is a letter, and nothing is called."""
    anywhere.engine.publisher.publish([with_headers(message(), task=name)])
    assert the_letter(anywhere).kind in {"unknown-agent", "undecodable"}
    assert WORKED == []
    a_good_run(anywhere)


def test_no_task_of_a_user_is_called(anywhere: Coordinator) -> None:
    """Nor is one that somebody has added to the app."""
    called: list[object] = []

    @anywhere.engine.app.task(name="users.own", shared=False)
    def own(*args: object, **kwargs: object) -> None:
        called.append((args, kwargs))

    anywhere.engine.publisher.publish([with_headers(message(), task="users.own")])
    assert the_letter(anywhere).kind == "unknown-agent"
    assert called == []
    a_good_run(anywhere)


def test_an_agent_is_not_called_over_the_queue_of_another(anywhere: Coordinator) -> None:
    """A queue is one agent's: what comes there for another one of the same worker is a letter, and a replay sends it to its own."""
    anywhere.engine.publisher.publish([replace(message(), agent="nothing.two")])
    letter = the_letter(anywhere)
    assert (letter.kind, letter.agent, WORKED) == ("unknown-agent", "nothing.one", [])
    letter.replay()
    wait_until(lambda: WORKED == ["one x", "two x"], description="the step was done", timeout=TIMEOUT)


HEADERS: list[dict[str, Any]] = [
    {"retries": -1}, {"retries": True}, {"retries": "1"}, {"retries": 10**15}, {"handoff_replays": -1},
    {"handoff_replays": 1.5}, {"handoff_looks": True}, {"handoff_looks": 2**60}, {"handoff_looks": "x"}, {"get": 1}, {"update": {}},
    {"hostname": "x"}, {"chain": []}, {"chord": {}}, {"errbacks": []}, {"kwargs": {}}, {"args": []}, {"is_eager": True},
    {"delivery_info": 1}, {"properties": "x"}, {"called_directly": True}, {"as_execution_options": 7}, {"__class__": "x"},
    {"group_index": 1}, {"stamps": {"a": 1}}, {"ignore_result": False}, {"replaced_task_nesting": "x"},
    {"timelimit": [1, 1]}, {"traceparent": ["x"]}, {"baggage": "\x1b"},
]  # fmt: skip


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: "-".join(map(str, *headers.items())))
def test_a_header_takes_the_place_of_nothing(live_coordinator: Coordinator, headers: dict[str, Any]) -> None:
    """A header that would override what was checked, or is no count, makes its message a letter."""
    live_coordinator.work([one, two])
    live_coordinator.engine.publisher.publish([with_headers(message(), **headers)])
    assert the_letter(live_coordinator).kind == "undecodable"
    assert WORKED == []
    a_good_run(live_coordinator)


CONTINUATIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"edit": {"number": True, "supersedes": []}}, {}),
    ({"edit": {"number": 1, "supersedes": "x"}}, {}),
    ({"envelope": "x"}, {}),
    ({"self": 1}, {}),
    ({"turn": 7}, {}),
    ({"undo": {"agent": "celery.map", "accepts": "urn:contract:nothing.word:1"}}, {}),
    ({"retry": {"attempts": True}}, {}),
    ({"step": "1\0"}, {}),
    ({}, {"retries": 7}),
    ({}, {"hostname": "x"}),
    ({}, {"get": 1}),
    ({}, {"update": 1}),
    ({}, {"id": "x"}),
    ({}, {"errbacks": [{"task": "celery.map"}]}),
    ({}, {"chain": [{"task": "coordinator.delay"}]}),
    ({}, {"chord": 7}),
]


@pytest.mark.parametrize("number", range(len(CONTINUATIONS)))
def test_a_continuation_is_what_flows_compose(anywhere: Coordinator, number: int) -> None:
    """Arguments and a continuation that nothing of ours has written make their message a letter before anything goes by them, and
    where its envelope says of which step it is, that is parked."""
    anywhere.engine.publisher.publish([with_body(message(), *CONTINUATIONS[number])])
    letter = the_letter(anywhere)
    assert (letter.kind, letter.error) in {("invalid-input", "InvalidData"), ("undecodable", "Disagreement")}
    assert WORKED == []
    a_good_run(anywhere)


@pytest.mark.parametrize("ms", [10**12, 3_155_760_000_000])
def test_the_longest_delays_wait(live_coordinator: Coordinator, ms: int) -> None:
    """A delay that is within what a flow may declare waits, however long it is, and nothing goes round for it."""
    live_coordinator.work([one, two])
    run = live_coordinator.start(
        Flow("nothing.late", one >> delay(timedelta(milliseconds=ms)) >> two), Word(text="x")
    )
    wait_until(lambda: WORKED == ["one x"], description="the first step is done", timeout=TIMEOUT)
    a_good_run(live_coordinator)
    assert run.status() == "running"
    assert live_coordinator.dead_letters() == []


def test_a_delay_beyond_all_is_a_letter(live_coordinator: Coordinator) -> None:
    """One that is longer than anything may be declared is none of ours."""
    live_coordinator.work([one, two])
    step = {"step": "2", "ms": 10**14}
    sig: dict[str, Any] = {
        "task": "coordinator.delay",
        "args": [],
        "kwargs": step,
        "options": {},
        "subtask_type": None,
        "immutable": False,
    }
    live_coordinator.engine.publisher.publish([with_body(message(), {}, {"chain": [sig]})])
    assert the_letter(live_coordinator).kind == "invalid-input"
    a_good_run(live_coordinator)


def test_a_run_hears_that_its_step_cannot_be_read(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a run whose message cannot be read, for it was written by another release perhaps, is parked at its run, and a replay
    sends it as it was."""
    live_coordinator.work([one, two])
    publisher = live_coordinator.engine.publisher
    with monkeypatch.context() as patched:  # the message as this release writes it would run the step first
        patched.setattr(publisher, "publish", lambda *_, **__: None)
        run = live_coordinator.start(FLOW, Word(text="x"))
    sent = message(run.id)
    publisher.publish([replace(with_body(sent, {"newer": 1}, {}), agent="nothing.one")])
    [letter] = wait_until(run.letters, description="the letter is there", timeout=TIMEOUT)
    assert (letter.kind, letter.step, letter.run) == ("invalid-input", "1", run.id)
    assert "'newer', which is none of ours" in letter.text
    assert letter.message["body"] != sent.body


def test_what_redis_refuses_is_a_letter(anywhere: Coordinator) -> None:
    """Where Redis has something else in the place of a run, its message is kept as a letter, and does not come again and again."""
    store = anywhere.engine.store
    sent = message("run-broken")
    store.redis.set(store.keys.run("run-broken"), "no hash")
    anywhere.engine.publisher.publish([sent])
    letter = the_letter(anywhere)
    assert (letter.run, WORKED) == ("run-broken", [])
    a_good_run(anywhere)
    assert len(anywhere.dead_letters()) == 1


def test_among_the_timers_there_are_timers(live_coordinator: Coordinator) -> None:
    """A step that comes among the timers is a letter, and the timers behind it go on."""
    live_coordinator.work([one, two])
    live_coordinator.engine.publisher.publish([replace(message(), agent="coordinator.timer")])
    assert the_letter(live_coordinator).kind in {"unknown-agent", "invalid-input"}
    assert WORKED == []
    a_good_run(live_coordinator)


@pytest.mark.parametrize("join", [0, {"a": 1}, None])
def test_a_timer_without_the_path_of_its_budget_is_one_letter(
    live_coordinator: Coordinator, join: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, marks its run, and the timers are read on: nothing of it comes again."""
    live_coordinator.work([one, two])
    flow = Flow(
        "nothing.timed", budget(one, within=timedelta(hours=1), fallback=constant(Word(text="y"))) >> two
    )
    _, timer = sorted(start(flow, Word(text="x"), "run-9"), key=lambda made: made.agent == TIMER)
    body = json.loads(timer.body)
    body[2]["chord"]["kwargs"]["join"] = join
    if body[2]["chord"]["subtask_type"] == "chain":
        body[2]["chord"]["kwargs"]["tasks"][0]["kwargs"]["join"] = join
    live_coordinator.engine.publisher.publish([replace(timer, body=json.dumps(body))])
    letter = the_letter(live_coordinator)
    assert (letter.run, letter.kind) == ("run-9", "invalid-input")
    assert not [record for record in caplog.records if record.exc_info]
    a_good_run(live_coordinator)
