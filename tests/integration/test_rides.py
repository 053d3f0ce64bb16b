"""Rides on real servers: a dispatch does without the ETA fleet, and knows that it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from handoffs.contracts.reference.rides import RideRequested
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.tasks.rides import ride, systems
from handoffs.tasks.rides.requests import make_requests
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, open_installation

_OTHERS = ("rides.pricing", "rides.dispatcher", "rides.no-driver", "rides.flat-fare", "rides.straight-line")


@pytest.fixture
def installation(servers: Servers, tmp_path: Path) -> Iterator[Installation]:
    """Rides, with contracts as they are published."""
    with open_installation(servers, tmp_path, AGENTS="handoffs.tasks.rides") as opened:
        yield opened


def _request(number: int) -> RideRequested:
    """The same trip for everybody."""
    [request] = make_requests(systems.city(), 1, 7)
    return request.model_copy(update={"ride_id": f"ride-{number}"})


def _in_time(client: Coordinator, numbers: Iterator[int]) -> Run:
    """A ride whose ETA was in time; workers that have only begun, and busy machines, get several attempts."""

    def routed() -> Run | None:
        run = client.start(ride, _request(next(numbers)))
        return run if run.result(60).basis == "routed" else None

    found = wait_until(routed, description="an ETA is in time", timeout=60)
    assert found is not None
    return found


def _fallback(run: Run) -> str:
    """What the dispatch was told of its input."""
    [entry] = [entry for entry in run.history() if entry["kind"] == "settled" and entry["step"] == "2"]
    return str(entry.get("fallback", ""))


def test_without_the_eta_fleet(installation: Installation) -> None:
    """Without an ETA fleet the ETA is as the crow flies; while it is there, routed; once it is killed, that of the last
    trip like it."""
    numbers = iter(range(1, 1000))
    others = installation.worker("rides.matching", *_OTHERS, pool="threads", wait=False)
    installation.coordinator_process()
    others.wait_ready()
    with installation.client() as client:
        run = client.start(ride, _request(0))
        assert run.result(60).basis == "estimated", installation.logs()[-4000:]
        assert "eta: agent" in _fallback(run)
        fleet = installation.worker("rides.eta", pool="threads", name="eta")
        assert "eta" not in _fallback(_in_time(client, numbers))
        fleet.kill()
        run = client.start(ride, _request(next(numbers)))
        assert run.result(60).basis == "cached"
        assert "eta: cache age=" in _fallback(run)
        fleet.start()
        fleet.wait_ready()
        assert "eta" not in _fallback(_in_time(client, numbers))


def test_the_demo_on_servers(installation: Installation) -> None:
    """The demo starts its own workers on the servers, loses no ride, and does without ETA while it is killed."""
    demo = installation.program(
        "demo", "demo", "rides", "--seconds", "9", "--rate", "4", "--json", LOG_LEVEL="ERROR"
    )
    wait_until(lambda: not demo.running, description="the demo has ended", timeout=110)
    assert demo.status == 0, demo.log()
    figures = json.loads(demo.log()[demo.log().index("{") :])
    assert (figures["lost"], figures["where"]) == (0, "servers")
    assert figures["phases"]["stopped"]["fallback_share"] > 0.5
