"""Now and doctor: the installation in numbers, and whether it is in order; a server that is away is told of, and waited for no longer than a moment."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Coordinator, Flow, agent
from handoffs.config.console import ConsoleSettings
from handoffs.coordinator.errors import ServerError
from tests.eager.command import have_loaded
from tests.eager.console.pages import console
from tests.eager.office import PRICES, Office, Order


@agent("office.limited", time_limit=timedelta(seconds=5))
def limited(order: Order) -> Order:
    return order


def test_each_number_leads_to_its_list(office: Office) -> None:
    """Runs by status, letters by cause, the oldest letter and the fleets; the JSON is that of `coordinator top`."""
    with console(office.coordinator, ConsoleSettings(flower_url="https://flower.example/f")) as browser:
        page = browser.get("/now")
        for link in (
            "/runs?status=parked", "/approvals", "/dead-letters?kind=error", f"/dead-letters/{office.letter.id}",
            "/dead-letters?agent=office.price", "/map#agent-office.price", "https://flower.example/f",
        ):  # fmt: skip
            assert f'href="{link}"' in page, link
        assert "coordinator top --once" in page
        told = browser.json("/api/now")
        assert (told["runs"]["parked"], told["letters"]["waiting"]) == (1, 1)
        assert all(server["reachable"] for server in told["servers"])
        assert browser.client.get("/", follow_redirects=False).headers["location"] == "/now"


def test_agents_that_are_loaded_are_there_before_anything_began(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own nobody has announced a worker of them yet; one that stands for a limit is told of by the doctor."""
    have_loaded(coordinator, monkeypatch, PRICES, Flow("office.limits", limited))
    with console(coordinator) as browser:
        assert {"office.price", "office.limited"} <= {
            one["agent"] for one in browser.json("/api/now")["agents"]
        }
        [found] = [one for one in browser.json("/api/doctor")["checks"] if one["name"] == "time limits"]
        assert found["state"] == "warning"
        assert "office.limited" in found["told"]
        assert "office.price" not in found["told"]
        assert "--pool prefork" in found["remedy"]


def test_a_server_that_is_away_is_said_with_since_when(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number of what only it knows is shown: a question mark, and never a zero."""

    def away() -> Any:
        raise ServerError("Redis cannot be reached: connection refused")

    with console(office.coordinator) as browser:
        monkeypatch.setattr(office.coordinator._readings, "_in_redis", away)
        page = browser.get("/now")
        assert "redis unreachable since" in page
        assert "connection refused" in page
        told = browser.json("/api/now")
        assert told["runs"] is None
        assert {server["server"] for server in told["servers"] if not server["reachable"]} == {"redis"}


def test_a_server_that_hangs_holds_no_page_up(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page is there within its time, and says what is not known."""
    released = threading.Event()

    def hangs() -> Any:
        assert released.wait(60)
        raise ServerError("it was away")

    with console(office.coordinator) as browser:
        monkeypatch.setattr(office.coordinator._readings, "_in_redis", hangs)
        began = time.monotonic()
        assert "redis unreachable since" in browser.get("/now")
        assert time.monotonic() - began < 10
        released.set()


def test_the_doctor_says_what_to_do(office: Office) -> None:
    """Each check with what was found, by server; only what is not in order where that is asked for; the JSON and the command say the same."""
    with console(office.coordinator) as browser:
        page = browser.get("/doctor")
        assert "Settings and modules" in page
        assert "Run again" in page
        assert "coordinator doctor" in page
        told = browser.json("/api/doctor")
        assert {check["area"] for check in told["checks"]} >= {"settings", "journal"}
        faults = browser.json("/doctor.json?faults=true")
        assert all(check["state"] != "ok" for check in faults["checks"])
        assert faults["state"] == told["state"]
        assert "coordinator doctor --faults" in browser.get("/doctor?faults=true")
        browser.json("/api/doctor?faults=perhaps", status=422)
