"""Many runs started at once, on real servers: whatever happens in the middle, what is accepted is accepted once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from handoffs.coordinator.errors import Conflict, Interrupted, ServerError, Unpublished
from handoffs.coordinator.messaging.message import Message
from tests.integration import shop
from tests.integration.bench import Bench, new_order
from tests.waiting import wait_until

_STARTER = """
import os, sys
from handoffs.coordinator.client.coordinator import Coordinator
from tests.integration import shop

with Coordinator() as coordinator:
    coordinator._many._at_once = 20
    publish = coordinator.engine.publisher.publish
    batches = []
    def dies(messages, **options):
        batches.append(1)
        if len(batches) == 2:
            os._exit(9)
        publish(messages, **options)
    coordinator.engine.publisher.publish = dies
    for _ in coordinator.start_many(shop.chain, ({"order": f"{sys.argv[1]}-{n}"} for n in range(60))):
        pass
"""


def payloads(order: str, count: int) -> list[dict[str, Any]]:
    return [{"order": f"{order}-{number}"} for number in range(count)]


def all_completed(bench: Bench, runs: list[Any]) -> None:
    wait_until(
        lambda: set(bench.client.statuses(runs)) == {"completed"},
        description=f"all are completed\n{bench.worker.last_words()}",
        timeout=60,
    )


def test_each_is_run_once(bench: Bench) -> None:
    """In two batches, with some repeated and one in conflict; started again, all of them are there."""
    order = new_order()
    wanted: list[dict[str, Any]] = payloads(order, 60)
    wanted += [wanted[0], {**wanted[1], "behaviour": {"one": "x"}}, {"order": 5}]
    bench.client._many._at_once = 50
    found = list(bench.client.start_many(shop.chain, wanted))
    runs = [one.get() for one in found[:60]]
    assert all(run.created for run in runs)
    assert (found[60].get().id, found[60].get().created) == (runs[0].id, False)
    assert isinstance(found[61].error, Conflict)
    assert found[62].run is None
    all_completed(bench, runs)
    again = [one.get() for one in bench.client.start_many(shop.chain, wanted[:60])]
    assert [(run.id, run.created) for run in again] == [(run.id, False) for run in runs]
    bench.wait_idle()
    for run in (runs[0], runs[30], runs[59]):
        assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}


def test_a_starter_that_dies_leaves_no_run_in_limbo(bench: Bench) -> None:
    """It dies once Redis has accepted a batch, and before the broker has it: the coordinator process publishes those, nothing was
    taken of the others, and whoever starts the same again gets the same runs."""
    order = new_order()
    done = subprocess.run(
        [sys.executable, "-c", _STARTER, order], env=bench.installation.environment, check=False, timeout=60
    )
    assert done.returncode == 9
    found = [one.get() for one in bench.client.start_many(shop.chain, payloads(order, 60))]
    assert [run.created for run in found] == [False] * 40 + [True] * 20
    all_completed(bench, found)
    bench.wait_idle()
    for run in (found[0], found[25], found[59]):
        assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}


def test_without_a_broker_it_is_said_how_many_are_accepted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the batch is accepted, and begins as soon as the broker takes its messages."""

    def away(messages: Iterable[Message], **_: Any) -> None:
        raise ServerError(f"the broker is away: {len(list(messages))} messages")

    monkeypatch.setattr(bench.client.engine.publisher, "publish", away)
    results = bench.client.start_many(shop.chain, payloads(new_order(), 10))
    found = [next(results) for _ in range(10)]
    with pytest.raises(Interrupted, match="of 10 payloads that were taken 10 are accepted"):
        next(results)
    errors = [one.error for one in found]
    assert {type(error) for error in errors} == {Unpublished}
    all_completed(
        bench, [bench.client.run(error.run_id) for error in errors if isinstance(error, Unpublished)]
    )
