"""A reading of an installation on real servers: cheap, and by a deadline also where a server is away."""

from __future__ import annotations

import time
from typing import Any

from handoffs.coordinator.observe.reading import Reading
from tests.integration import shop
from tests.integration.bench import Bench, new_order
from tests.waiting import wait_until


def _again(bench: Bench) -> Reading:
    bench.client._readings._last = None
    return bench.client.reading()


def test_what_is_at_work_and_what_waits_is_counted(bench: Bench) -> None:
    """Workers, queues, letters, runs and rates; what is parked is told apart from what is under way."""
    parked = bench.start(shop.chain, new_order(), two="fail")
    bench.letter(parked)
    bench.completed(bench.start(shop.chain))

    def told() -> Any:
        found = _again(bench)
        return (
            found
            if found.rates and found.rates.total.handoffs and found.drain and not found.drain.entries
            else None
        )

    found = wait_until(told, description="the journal has the runs")
    assert found.unreachable == ()
    assert found.coordinators == 1
    two = found.agent("shop.two")
    assert two is not None
    assert (two.workers, two.depth, two.consumers, two.in_hand) == (1, 0, 1, 0)
    assert two.parked is not None
    assert two.outstanding == two.parked >= 1
    assert two.oldest is None
    assert found.runs is not None
    assert found.runs.by_status["parked"] >= 1
    assert found.letters is not None
    assert found.letters.waiting >= 1


def test_a_reading_costs_a_few_round_trips(bench: Bench) -> None:
    """Half of them take less than 150 ms on a machine with all of it on two cores; the connections are kept."""
    took = []
    for _ in range(15):
        began = time.monotonic()
        assert _again(bench).unreachable == ()
        took.append(time.monotonic() - began)
    assert sorted(took)[7] < 0.15, took
