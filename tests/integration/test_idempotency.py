"""One effect per key: whatever is delivered twice, started twice, or wakes up late."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from handoffs.contracts import strictjson
from handoffs.contracts.envelope import message_id
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Advance
from tests.integration import shop
from tests.integration.bench import Bench, first_messages, new_order
from tests.waiting import wait_until


@pytest.mark.parametrize("flow", [shop.chain, shop.nested, shop.trailing], ids=lambda flow: flow.name)
def test_a_message_that_is_delivered_twice_counts_once(bench: Bench, flow: Flow) -> None:
    """The first message of a run may come five times: each step takes effect once."""
    run = bench.start(flow, order := new_order())
    messages = first_messages(flow, run.id, {"order": order})
    for _ in range(4):
        bench.client.engine.publisher.publish(messages)
    bench.completed(run)
    bench.wait_idle()
    assert set(bench.effects(run).values()) == {1}
    settled = [entry["step"] for entry in run.history() if entry["kind"] == "settled"]
    assert sorted(settled) == sorted(place.path for place in flow.places())


def test_a_run_that_many_start_at_once_is_one_run(bench: Bench) -> None:
    """Sixteen threads of two clients that start the same order get the same run, and it runs once."""
    order = new_order()
    with bench.installation.client() as other, ThreadPoolExecutor(16) as pool:
        clients = [bench.client, other] * 8
        runs = list(pool.map(lambda client: client.start(shop.chain, {"order": order}), clients))
    assert len({run.id for run in runs}) == 1
    assert sum(run.created for run in runs) == 1
    bench.completed(runs[0])
    bench.wait_idle()
    assert bench.effects(runs[0]) == {"one": 1, "two": 1, "three": 1}


def test_the_same_key_with_another_input_is_refused(bench: Bench) -> None:
    """A key that is known stands for its first input; another is a conflict, and the first run is unharmed."""
    order = new_order()
    run = bench.start(shop.chain, order)
    with pytest.raises(Conflict):
        bench.start(shop.chain, order, two="fail")
    bench.completed(run)


def test_the_same_key_in_another_run_with_another_input_is_parked(bench: Bench) -> None:
    """An agent that knows its key from another run does not run again: the same content gets its outcome, other is parked."""
    order = new_order()
    first = bench.start(shop.chain, order)
    bench.completed(first)
    same = bench.client.start(shop.chain, {"order": order}, idempotency_key=f"{order}-again")
    assert bench.completed(same).trail == first.result().trail
    other = bench.client.start(
        shop.chain, {"order": order, "behaviour": {"x": "y"}}, idempotency_key=f"{order}-other"
    )
    assert other.wait(20) == "parked"
    letter = bench.letter(other)
    assert (letter.row.kind, letter.row.step) == ("conflict", "1")
    assert bench.effects(first) == {"one": 1, "two": 1, "three": 1}
    other.cancel()


def test_a_frozen_process_that_wakes_up_late_changes_nothing(bench: Bench) -> None:
    """While a process is frozen another takes its step over; what it brings when it wakes is recorded as late."""
    run = bench.start(shop.single, order := new_order(), patient="hold")
    frozen = psutil.Process(int(_text(bench.wait_flag(order, "patient.began"))))
    frozen.suspend()
    try:
        bench.mend(order)
        bench.client.engine.publisher.publish(
            first_messages(shop.single, run.id, _data(order, patient="hold"))
        )
        result = bench.completed(run)
    finally:
        frozen.resume()
    late = wait_until(
        lambda: [entry for entry in run.history() if entry["kind"] == "late"],
        description="the late outcome is noted",
    )
    assert [entry["step"] for entry in late] == ["1"]
    assert late[0]["output"]["trail"] != result.trail
    bench.wait_idle()
    assert run.result().trail == result.trail
    assert bench.effects(run)["three"] == 1


def test_a_frozen_worker_is_taken_over(bench: Bench) -> None:
    """A whole worker that is frozen loses its step to another worker, and its late outcome counts for nothing."""
    agents = ("shop.patient", "shop.three")
    run = bench.start(shop.single, order := new_order(), patient="hold")
    bench.wait_flag(order, "patient.began")
    with bench.not_consuming(
        *agents
    ):  # or the broker would hand it more, to wait until it is given up for dead
        bench.worker.freeze()
        second = bench.installation.worker(*agents, pool="threads", concurrency=2)
        try:
            bench.mend(order)
            bench.client.engine.publisher.publish(
                first_messages(shop.single, run.id, _data(order, patient="hold"))
            )
            result = bench.completed(run)
        finally:
            second.stop()
            bench.worker.thaw()
    wait_until(
        lambda: [entry for entry in run.history() if entry["kind"] == "late"],
        description=f"the late outcome is noted\n{bench.worker.last_words()}",
    )
    bench.wait_idle()
    assert run.result().trail == result.trail
    assert bench.effects(run)["three"] == 1


@pytest.mark.parametrize("known_by", ["step", "key"])
def test_a_crash_between_settling_and_publishing_costs_nothing(bench: Bench, known_by: str) -> None:
    """A message that comes again after its step, or its key alone, was settled goes on with the recorded outcome."""
    order, run_id = new_order(), message_id("crashed", new_order())
    place, record = (
        StepRef(run_id, "shop.chain", "1"),
        {"order": order, "behaviour": {}, "trail": {"one": "before"}},
    )
    store = bench.client.engine.store
    envelope = json.loads(json.loads(first_messages(shop.chain, run_id, {"order": order})[0].body)[0][0])
    content = _digest(envelope["data"])
    claim = store.claim(place, agent="shop.one", key=order, content=content, owner="dead", replays=0)
    assert claim.verdict == "granted"
    elsewhere = place if known_by == "step" else StepRef(message_id("other", order), "shop.chain", "1")
    settled = store.settle(
        elsewhere, agent="shop.one", key=order, content=content, fence=claim.fence,
        record=Record(shop.Item.ref().uri, json.dumps(record)), entry={},
        onward=Advance(sends=(("2", "shop.two", "shop.item/2"),)),
    )  # fmt: skip
    assert settled.verdict == "settled"
    bench.client.engine.publisher.publish(first_messages(shop.chain, run_id, {"order": order}))
    run = bench.client.run(run_id)
    assert bench.completed(run).trail["one"] == "before"
    assert not shop.effects(bench.folder, "one").get(order)


def test_an_accepted_run_that_nobody_published_is_published(bench: Bench) -> None:
    """A client that dies right after its run was accepted loses nothing: the coordinator process publishes it."""
    order, run_id = new_order(), message_id("unpublished", new_order())
    first = json.dumps(
        [message.stored() for message in first_messages(shop.header, run_id, {"order": order})]
    )
    bench.client.engine.runs.start(StepRef(run_id, "shop.header", ""), key=order, content="x", first=first)
    bench.completed(bench.client.run(run_id))
    assert not list(bench.client.engine.runs.unpublished(older_than=timedelta()))


def test_two_coordinator_processes_share_the_work(bench: Bench) -> None:
    """Letters and history are kept once, however many coordinator processes drain them."""
    engine, journal = Engine(bench.client.settings), Journal.of(bench.client.settings)
    second = Service(engine, journal)
    second.start()
    try:
        runs = [bench.start(shop.chain, two="fail") for _ in range(20)]
        wait_until(
            lambda: all(len(run.letters()) == 1 for run in runs), description="each run has its letter"
        )
    finally:
        second.stop()
        engine.close()
        journal.close()
    for run in runs:
        assert [letter.row.times for letter in run.letters()] == [1]
        kinds = [entry["kind"] for entry in run.history()]
        # on a busy machine the sweep may publish a run again that is on its way, so an attempt may be made, and told of, again
        assert sorted(kind for kind in kinds if kind != "retried") == ["parked", "settled", "started"]
        told = [(entry["kind"], entry["at"]) for entry in run.history()]
        assert len(set(told)) == len(told)


def _data(order: str, **behaviour: str) -> dict[str, object]:
    return {"order": order, "behaviour": behaviour}


def _digest(data: dict[str, object]) -> str:
    return hashlib.sha256(strictjson.canonical(data).encode()).hexdigest()


def _text(path: Path) -> str:
    return wait_until(path.read_text, description=f"{path.name} is written")


def test_replays_from_many_threads_have_one_effect(bench: Bench) -> None:
    """Eight people who replay the same letter at once cause one effect."""
    run = bench.start(shop.header, order := new_order(), left="fail")
    letter = bench.letter(run)
    bench.mend(order)
    gate = threading.Barrier(8)

    def replay(number: int) -> None:
        gate.wait()
        letter.replay(by=f"person {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(replay, range(8)))
    bench.completed(run)
    bench.wait_idle()
    assert set(bench.effects(run).values()) == {1}
