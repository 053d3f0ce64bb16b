"""A failure is parked, not spread: every shape of flow, every way to fail, and the messages that nobody can read."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from handoffs.contracts.envelope import message_id
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import RunParked
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.step import retrying
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Advance
from tests.integration import shop
from tests.integration.bench import Bench, new_order, open_bench
from tests.servers import Servers
from tests.waiting import wait_until


@dataclass(frozen=True)
class Shape:
    """A flow, the agent in it that fails, its step, the steps beside it, and the agents that must not run."""

    flow: Flow
    agent: str
    step: str
    siblings: tuple[str, ...]
    downstream: tuple[str, ...]


SHAPES = {
    "chain": Shape(shop.chain, "two", "2", (), ("three",)),
    "header": Shape(shop.header, "left", "2.left.1", ("2.right.1",), ("join",)),
    "branch": Shape(shop.branch, "left", "2.left.1", ("2.right.1",), ("more", "join")),
    "nested": Shape(
        shop.nested,
        "inner",
        "2.left.2.left.1",
        ("2.left.2.right.1", "2.right.1"),
        ("innerjoin", "join", "three"),
    ),
    "trailing": Shape(shop.trailing, "left", "2.left.1", ("2.right.1",), ()),
}

FAILURES = {  # behaviour, or none for a message that is changed on its way; kind, error, a word of the text (patterns)
    "exception": ("fail", "error", "Broken", "is broken"),
    "invalid-input": ("", "invalid-input", "InvalidData", "ValueError in with_trail"),
    "invalid-output": ("invalid-output", "invalid-output", "InvalidData", "order"),
    "time-limit": ("sleep", "time-limit", "TimeLimitExceeded", "longer than 2 s"),
    # Celery notices a dead child at once or within five seconds; if the time limit ends first, that is what it reports.
    "child-killed": (
        "kill-child",
        "worker-lost|time-limit",
        "WorkerLostError|TimeLimitExceeded",
        "SIGKILL|killed",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_failed_step_is_parked_alone_and_replayed_once(bench: Bench, shape: str, failure: str) -> None:
    """Whatever fails wherever: the run is parked with the error, siblings finish, a replay completes it, once."""
    form, (behaviour, kind, error, word) = SHAPES[shape], FAILURES[failure]
    order = new_order()
    run = _start(bench, form, order, behaviour)

    with pytest.raises(RunParked, match=f"step {form.step} .*({kind}): ({error}): .*({word})"):
        run.result(timeout=20)
    bench.settled(run, "1", *form.siblings)
    letter = bench.letter(run)
    _check_letter(letter.row, run, form, kind, error)
    assert letter.row.attempt == (2 if behaviour == "fail" else 1)
    effects = bench.effects(run)
    assert [effects[agent] for agent in (form.agent, *form.downstream)] == [0] * (1 + len(form.downstream))
    assert not _keys_of_celery(bench)

    bench.mend(order)
    letter.replay(by="ada")
    letter.replay(by="ada")
    bench.completed(run)
    bench.wait_idle()
    assert set(bench.effects(run).values()) == {1}
    assert not run.letters()
    assert [entry["by"] for entry in run.history() if entry["kind"] == "replayed"] == ["ada", "ada"]


def _start(bench: Bench, form: Shape, order: str, behaviour: str) -> Run:
    if behaviour:
        return bench.start(form.flow, order, **{form.agent: behaviour})
    with bench.intercepted(f"shop.{form.agent}", _written_by_an_old_agent):
        return bench.start(form.flow, order)


def _written_by_an_old_agent(event: dict[str, Any]) -> None:
    event["dataschema"] = shop.ItemV1.ref().uri
    del event["data"]["trail"]


def _check_letter(row: Any, run: Run, form: Shape, kind: str, error: str) -> None:
    expected = (run.id, form.flow.name, form.step, f"shop.{form.agent}", 1)
    assert (row.run, row.flow, row.step, row.agent, row.times) == expected
    assert re.fullmatch(kind, row.kind)
    assert re.fullmatch(error, row.error)
    assert row.contract in {"shop.item/2", "shop.item/1", ""}
    assert row.first_failed_at == row.last_failed_at


def _keys_of_celery(bench: Bench) -> list[str]:
    redis = bench.client.engine.store.redis
    words = ("celery", "chord", "unacked")
    keys = [key for key in redis.scan_iter(count=1000) if any(word in key for word in words)]
    return [key for key in keys if not key.startswith("bench-")]  # of durable Celery, which others measure


def test_a_letter_knows_its_first_and_its_last_failure(bench: Bench) -> None:
    """A step that fails again after a replay is the same letter, parked twice."""
    run = bench.start(shop.chain, order := new_order(), two="fail")
    first = bench.letter(run)
    first.replay()
    again = bench.letter(run, times=2)
    assert again.row.id == first.row.id
    assert again.row.first_failed_at == first.row.first_failed_at < again.row.last_failed_at
    assert (again.row.times, again.row.replays, again.row.text) == (2, 1, "two is broken")
    assert run.status() == "parked"
    bench.mend(order)
    again.replay()
    bench.completed(run)


def test_a_transient_failure_is_retried(bench: Bench) -> None:
    """An exception before the last attempt parks nothing."""
    run = bench.start(shop.chain, two="fail-once")
    bench.completed(run)
    assert [entry["kind"] for entry in run.history() if entry.get("step") == "2"] == ["retried", "settled"]
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}


def test_a_flow_says_how_often_a_step_is_tried(bench: Bench) -> None:
    """A step's own policy travels with it: it is tried five times where its agent's policy has two attempts; malformed in a
    message, the step is parked and its agent does not run."""
    run = bench.start(shop.retried, order := new_order(), two="fail-four-times")
    bench.completed(run)
    told = [(entry["kind"], entry["attempt"]) for entry in run.history() if entry.get("step") == "2"]
    assert told == [*(("retried", attempt) for attempt in range(1, 5)), ("settled", 5)]
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1, "other": 0}
    message = bench.first_message(
        Flow("shop.wrong", retrying(shop.one, shop.patiently)), "r", {"order": order}
    )
    [envelope], kwargs, continuation = json.loads(message.body)
    wrong = json.dumps(
        [[envelope], {**kwargs, "retry": {**kwargs["retry"], "attempts": "many"}}, continuation]
    )
    bench.publish(message, body=wrong)
    [letter] = bench.letters(flow="shop.wrong")
    assert (letter.row.kind, letter.row.text) == (
        "invalid-input",
        "the continuation of the message is malformed: arguments.retry is no retry policy",
    )


def test_an_agent_that_exits_is_parked(bench: Bench) -> None:
    """``sys.exit`` in an agent is its failure, not the worker's end."""
    run = bench.start(shop.chain, two="exit")
    with pytest.raises(RunParked, match="error: SystemExit: 3"):
        run.result(timeout=20)
    assert bench.letter(run).row.kind == "error"


def test_two_branches_that_fail_are_two_letters(bench: Bench) -> None:
    """Each failed branch waits by itself, and the run goes on when both have been replayed."""
    run = bench.start(shop.header, order := new_order(), left="fail", right="fail")
    wait_until(lambda: len(run.letters()) == 2, description="both branches are parked")
    bench.mend(order)
    one, two = run.letters()
    one.replay()
    bench.settled(run, one.row.step)
    assert run.status() == "parked"
    two.replay()
    bench.completed(run)
    assert set(bench.effects(run).values()) == {1}


def test_a_past_deadline_is_parked(bench: Bench) -> None:
    """Work that is not wanted any more is not begun."""
    run = bench.client.start(shop.chain, {"order": new_order()}, deadline=timedelta(microseconds=1))
    with pytest.raises(RunParked, match="expired"):
        run.result(timeout=20)
    assert bench.letter(run).row.kind == "expired"
    assert bench.effects(run) == {"one": 0, "two": 0, "three": 0}
    assert run.cancel() == "cancelled"
    assert not run.letters()


def test_a_task_revoked_before_it_runs_is_parked(bench: Bench) -> None:
    """A revoked task waits as a dead letter, and the replay overrules the revocation."""
    order, node = new_order(), [bench.worker.node]
    with bench.not_consuming("shop.two"):
        run = bench.start(shop.chain, order)
        bench.settled(run, "1")
        revoke = bench.client.engine.app.control.revoke
        revoke(message_id(run.id, "2"), terminate=True, destination=node, reply=True, timeout=10, limit=1)
    with pytest.raises(RunParked, match="revoked: TaskRevoked"):
        run.result(timeout=20)
    bench.letter(run).replay()
    bench.completed(run)
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}


def test_a_task_revoked_while_it_runs_is_parked(bench: Bench) -> None:
    """A terminated task is parked as revoked, whatever its dying process says, and can be replayed."""
    run = bench.start(shop.single, order := new_order(), patient="hold")
    bench.wait_flag(order, "patient.began")
    bench.client.engine.app.control.revoke(message_id(run.id, "1"), terminate=True)
    with pytest.raises(RunParked, match="revoked: TaskRevoked"):
        run.result(timeout=20)
    letter = bench.letter(run)
    assert letter.row.kind == "revoked"
    bench.mend(order)
    letter.replay()
    bench.completed(run)
    assert bench.effects(run) == {"patient": 1, "three": 1}


def test_a_settled_step_whose_process_died_goes_on(bench: Bench) -> None:
    """A process that is killed between settling and publishing costs nothing: the redelivery passes the outcome on."""
    run = bench.start(shop.single, order := new_order(), patient="hold")
    bench.wait_flag(order, "patient.began")
    _settle_behind_its_back(bench, run, order)
    bench.client.engine.app.control.revoke(message_id(run.id, "1"), terminate=True)
    assert bench.completed(run).trail["patient"] == "by another"


def _settle_behind_its_back(bench: Bench, run: Run, order: str) -> None:
    store = bench.client.engine.store
    record = {"order": order, "behaviour": {}, "trail": {"patient": "by another"}}
    text = Record(shop.Item.ref().uri, json.dumps(record))
    store.settle_known(
        StepRef(run.id, "shop.single", "1"),
        fence=99,
        record=text,
        entry={},
        onward=Advance(sends=(("2", "shop.three", "shop.item/2"),)),
    )


Change = Callable[[Message], dict[str, Any]]


def _without(*names: str) -> Change:
    def change(message: Message) -> dict[str, Any]:
        return {"headers": {name: value for name, value in message.headers.items() if name not in names}}

    return change


def _headers(**values: Any) -> Change:
    return lambda message: {"headers": {**message.headers, **values}}


UNREADABLE: dict[str, Change] = {
    "not JSON": lambda message: {"body": message.body[:-1]},
    "a JSON constant": lambda message: {"body": message.body.replace('"callbacks":null', '"callbacks":NaN')},
    "not UTF-8": lambda message: {"body": b'[["\xff"], {}, {}]'},
    "empty": lambda message: {"body": b""},
    "wrong shape": lambda message: {"body": '{"task": "shop.one", "id": "x", "args": []}'},
    "no envelope": lambda message: {"body": "[[], {}, {}]"},
    "pickle": lambda message: {"body": b"\x80\x04N.", "content_type": "application/x-python-serialize"},
    "no content type": lambda message: {"content_type": "application/data"},
    "another encoding": lambda message: {"content_encoding": "utf-16"},
    "no task": _without("task"),
    "no headers": lambda message: {"headers": {}},
    "no id": _without("id"),
    "an id that is no text": _headers(id=5),
    "an id that is a book": _headers(id="x" * 5_000),
    "an id with a null": _headers(id="a\x00b"),
    "no run": _without("handoff_run"),
    "another step": _headers(handoff_step="7"),
    "retries that are no count": _headers(retries="many"),
    "a limit of its own": _headers(timelimit=["x"]),
    "a time to come": _headers(eta="never"),
    "compressed": _headers(compression="application/x-gzip"),
    "a bomb": lambda message: {
        "headers": {**message.headers, "compression": "application/x-gzip"},
        "body": zlib.compress(b"[" * 100_000_000),
    },
    "a task that is a list": _headers(task=["shop.one"]),
    "a summary that hides": _headers(argsrepr="run=1\u202e"),
}


@pytest.mark.parametrize("change", UNREADABLE)
def test_an_undecodable_message_is_kept(bench: Bench, change: str) -> None:
    """What no worker can read is a dead letter with its raw bytes, and the worker goes on."""
    order = new_order()
    message = bench.first_message(shop.chain, f"run-{order}", {"order": order})
    before = {letter.row.id for letter in bench.client.dead_letters(kind="undecodable")}
    bench.publish(message, **UNREADABLE[change](message))
    found = wait_until(
        lambda: [row for row in bench.client.dead_letters(kind="undecodable") if row.row.id not in before],
        description=f"the message is kept\n{bench.installation.logs()[-3000:]}",
    )
    assert len(found) == 1
    assert found[0].row.message["body_base64"] is not None
    assert found[0].row.id.startswith("sha256:")
    assert bench.worker.running
    bench.completed(bench.start(shop.chain))


def test_an_object_of_a_type_is_parked(bench: Bench) -> None:
    """What Kombu would make another object of beside a sound envelope is refused: its step is parked, and the worker goes on."""
    order = new_order()
    message = bench.first_message(shop.chain, run := f"run-{order}", {"order": order})
    bench.publish(
        message,
        body=message.body.replace('"callbacks":null', '"callbacks":{"__type__":"date","__value__":"x"}'),
    )
    [letter] = bench.letters(run=run)
    assert (letter.row.kind, letter.row.step) == ("invalid-input", "1")
    bench.completed(bench.start(shop.chain))


def test_a_message_that_is_nested_too_deep_is_kept(bench: Bench) -> None:
    """It is a dead letter with its raw bytes, and the worker goes on."""
    order = new_order()
    message = bench.first_message(shop.chain, f"run-{order}", {"order": order})
    bench.publish(message, body="[" * 100_000)
    found = wait_until(
        lambda: [
            letter for letter in bench.client.dead_letters(kind="too-large") if letter.row.id == message.id
        ],
        description="the message is kept",
    )
    assert "[" * 100_000 in str(found[0].row.message)
    assert bench.worker.running
    bench.completed(bench.start(shop.chain))


def test_an_unknown_task_is_parked(bench: Bench) -> None:
    """A message for an agent that the worker does not have is kept, and goes on once there is one."""
    order = new_order()
    message = bench.first_message(shop.chain, run := f"run-{order}", {"order": order})
    stranger = replace(message, agent="shop.stranger", headers={**message.headers, "task": "shop.stranger"})
    bench.publish(stranger, queue="shop.one")
    [letter] = bench.letters(run=run)
    assert (letter.row.kind, letter.row.agent, letter.row.step) == ("unknown-agent", "shop.stranger", "1")
    assert bench.client.run(run).status() == "parked"


def test_an_unroutable_message_is_parked(bench: Bench) -> None:
    """A message without a queue is kept, and its replay declares the queue."""
    order = new_order()
    message = bench.first_message(shop.chain, run := f"run-{order}", {"order": order})
    gone = replace(message, agent="shop.gone", headers={**message.headers, "task": "shop.gone"})
    bench.client.engine.publisher.publish([gone])
    [letter] = bench.letters(run=run)
    assert (letter.row.kind, letter.row.step) == ("unroutable", "1")
    runs = bench.client.engine.runs  # the letter is kept first, then its run is marked
    wait_until(lambda: runs.state(run) is not None, description="the run is known")
    assert bench.client.run(run).status() == "parked"
    letter.replay()
    queue = bench.installation.queue_name("shop.gone")
    with bench.client.engine.app.connection_for_write() as connection, connection.channel() as channel:
        got = wait_until(
            lambda: channel.basic_get(queue, no_ack=True), description="the message is in its queue"
        )
        assert got.headers["handoff_run"] == run
        channel.queue_delete(queue)


def test_a_message_that_is_delivered_too_often_is_parked(bench: Bench) -> None:
    """What the broker gives up on while an agent is at work on it is a dead letter too."""
    order = new_order()
    message = bench.first_message(shop.chain, run := f"run-{order}", {"order": order})
    topology = replace(bench.client.engine.topology, delivery_limit=1)
    queue = topology.queue("shop.limited")
    limited = replace(message, agent="shop.limited", headers={**message.headers, "task": "shop.limited"})
    with bench.client.engine.app.connection_for_write() as connection, connection.channel() as channel:
        queue(channel).declare()
        bench.client.engine.publisher.publish([limited])
        place = StepRef(run, shop.chain.name, "1")
        bench.client.engine.store.claim(
            place, agent="shop.limited", key=order, content="c", owner="w", replays=0
        )
        for _ in range(2):
            got = wait_until(lambda: channel.basic_get(queue.name), description="the message is delivered")
            channel.basic_reject(got.delivery_tag, requeue=True)
        [letter] = bench.letters(run=run)
        channel.queue_delete(queue.name)
    assert (letter.row.kind, letter.row.step) == ("delivery-limit", "1")
    assert bench.client.run(run).status() == "parked"


def test_a_poison_message_is_parked_and_others_go_on(servers: Servers, tmp_path: Any) -> None:
    """A step that kills its whole worker each time is parked after the limit; what is beside it goes on, and what died
    with it each time goes on when it is replayed."""
    with open_bench(servers, tmp_path, LEASE="1s", CRASH_LIMIT="2") as bench:
        bench.worker.supervise()
        poison = bench.start(shop.chain, order := new_order(), two="kill-worker")
        others = [bench.start(shop.chain) for _ in range(5)]
        with pytest.raises(RunParked, match=r"poison|delivery-limit"):
            poison.result(timeout=60)
        for run in others:
            if run.wait(60) == "parked":
                bench.letter(run).replay()
            bench.completed(run, timeout=60)
        assert 2 <= bench.worker.restarts <= 3
        letter = bench.letter(poison)
        bench.mend(order)
        letter.replay()
        bench.completed(poison)
        assert bench.effects(poison) == {"one": 1, "two": 1, "three": 1}
