"""A reading: an installation in numbers, each server with what it says, and None where it says nothing."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Coordinator
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.reading import Reading
from tests.eager.office import AGENT, PRICES, Office, Order
from tests.waiting import wait_until


def test_what_there_is_is_counted(office: Office) -> None:
    """Runs by status, letters by kind, what happens a second, and what each agent has: all of it from one call."""
    found = office.coordinator.reading()
    assert [(server.name, server.reachable) for server in found.servers] == [
        ("broker", True), ("redis", True), ("journal", True),
    ]  # fmt: skip
    assert found.runs is not None
    assert found.runs.complete
    assert found.runs.by_status == {"waiting": 1, "parked": 1}
    assert found.scheduled == 0
    assert found.letters is not None
    assert [(one.kind, one.count) for one in found.letters.by_kind] == [("error", 1)]
    assert found.letters.oldest is not None
    assert (found.letters.oldest.id, found.letters.oldest.agent) == (office.letter.id, AGENT)
    assert found.letters.unheard == 1
    price = found.agent(AGENT)
    assert price is not None
    assert (price.workers, price.outstanding, price.parked, price.oldest) == (1, 1, 1, None)
    assert not price.unattended
    assert found.drain is not None
    assert found.drain.entries > 0


def test_runs_that_begin_later_are_counted_apart(office: Office) -> None:
    """By Redis, which has them until they are due."""
    office.coordinator.hold_time()
    office.coordinator.start(PRICES, Order(number="later"), at=timedelta(hours=1))
    found = office.coordinator.reading()
    assert found.scheduled == 1
    assert found.runs is not None
    assert found.runs.by_status["scheduled"] == 1


def test_a_reading_is_told_to_programs(office: Office) -> None:
    """As JSON, with moments in UTC; what is derived is there as well."""
    found = office.coordinator.reading().to_json()
    assert found["at"].endswith("+00:00")
    assert found["runs"]["waiting"] == 1
    assert found["letters"]["oldest"]["letter"] == office.letter.id
    [price] = [one for one in found["agents"] if one["agent"] == AGENT]
    assert price["workers"] == 1
    assert {one["for"] for one in found["queues"]} == {"dead letters", "events that nobody hears", "timers"}


def test_many_who_ask_at_once_ask_the_servers_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are given the same reading."""
    readings = office.coordinator._readings
    asked: list[int] = []
    real = readings._in_redis

    def counted() -> Any:
        asked.append(1)
        return real()

    monkeypatch.setattr(readings, "_in_redis", counted)
    found: list[Reading] = []
    threads = [threading.Thread(target=lambda: found.append(office.coordinator.reading())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(asked) < 8


def _refuses(*_: Any, **__: Any) -> Any:
    raise ServerError("it is away", "nothing", "start it")


def _again(coordinator: Coordinator) -> Reading:
    coordinator._readings._last = None
    return coordinator.reading()


@pytest.mark.parametrize(
    ("server", "method", "unknown"),
    [
        ("broker", "_queues.depths", {"coordinators"}),
        ("redis", "_pulse.shards", {"drain", "scheduled", "runs", "rates"}),
        ("journal", "_journal.letters.by_reason", {"letters", "runs", "rates"}),
    ],
)
def test_a_server_that_is_away_is_said_to_be_and_since_when(
    office: Office, monkeypatch: pytest.MonkeyPatch, server: str, method: str, unknown: set[str]
) -> None:
    """What only it could say is None and not 0; since when stays as it is until it answers again; the others still answer."""
    *path, name = method.split(".")
    owner: Any = office.coordinator._readings
    for part in path:
        owner = getattr(owner, part)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, _refuses)
        first, second = office.coordinator.reading(), _again(office.coordinator)
    for found in (first, second):
        assert [one.name for one in found.unreachable] == [server]
        parts = ("runs", "rates", "letters", "drain", "scheduled", "coordinators")
        assert {part for part in parts if getattr(found, part) is None} == unknown
    assert first.unreachable[0].error == "it is away"
    assert first.unreachable[0].since == second.unreachable[0].since is not None
    assert _again(office.coordinator).unreachable == ()


def test_a_server_that_is_silent_is_waited_for_no_longer_than_said(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is looked at meanwhile, one thread waits for it."""
    silent, asked = threading.Event(), []

    def hangs() -> Any:
        asked.append(1)
        silent.wait(30)
        return _refuses()

    monkeypatch.setattr(office.coordinator._readings._pulse, "shards", hangs)
    began = time.monotonic()
    for _ in range(3):
        office.coordinator._readings._last = None
        [redis] = office.coordinator.reading(0.2).unreachable
        assert redis.error == "TimeoutError: there was no answer within 0.1 s"
    assert time.monotonic() - began < 5
    silent.set()
    assert asked == [1]


def test_a_live_coordinator_serves_itself(live_coordinator: Coordinator) -> None:
    """Embedded: its broker has the queues, its coordinator process is counted, and the journal is up to date in the end."""
    run = live_coordinator.start(PRICES, Order(number="good"))
    assert run.wait(20) == "completed"

    def drained() -> Any:
        found = _again(live_coordinator)
        return (
            found
            if found.drain and not found.drain.entries and found.rates and found.rates.total.started
            else None
        )

    found = wait_until(drained, description="the journal has it all")
    assert found.coordinators == 1
    assert found.rates is not None
    assert found.rates.flows["office.prices"].handoffs > 0
    price = found.agent(AGENT)
    assert price is not None
    assert (price.depth, price.consumers, price.workers) == (0, 1, 1)


@pytest.mark.parametrize("within", ["soon", True, float("nan")])
def test_a_time_that_is_none_is_refused(office: Office, within: Any) -> None:
    """With a line, before anything is asked."""
    with pytest.raises(InvalidData, match="the timeout is"):
        office.coordinator.reading(within)
