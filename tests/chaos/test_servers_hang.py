"""A server that is there and does not answer, or takes nothing, in the middle of the work: all goes on by itself afterwards.

Of agents without a hard time limit: it counts what the step waits for its servers, and a step that overran it is parked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handoffs.coordinator.errors import ServerError
from tests.chaos.test_servers_die import Plant
from tests.integration import shop
from tests.servers import Control, Servers
from tests.waiting import wait_until
from tests.workers import open_installation


@pytest.fixture(scope="module")
def plant(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with open_installation(
        servers, tmp_path_factory.mktemp("hung"), LEASE="3s", CRASH_LIMIT="20", SERVER_TIMEOUT="2s"
    ) as installation:
        opened = Plant(installation)
        yield opened
        opened.close()


def wait_refused(call: Callable[[], Any], description: str) -> None:
    """Wait until a call fails with our own error."""

    def refused() -> bool:
        try:
            call()
        except ServerError:
            return True
        return False

    wait_until(refused, description=description, timeout=30)


def test_an_alarm(plant: Plant, control: Control) -> None:
    """Under a memory alarm of RabbitMQ clients get an error in time and workers keep what they have in hand; once it is over
    everything is completed, each step settled once, and nothing is parked."""
    load = plant.load([shop.single])
    plant.wait_some_completed(load, 20)
    with control.alarm():
        wait_refused(lambda: plant.client.engine.publisher.probe(1.0), "the alarm is noticed")
        wait_until(lambda: load.refused, description="a start is not confirmed", timeout=30)
    plant.check(load)


@pytest.mark.parametrize("name", ["redis", "postgres", "rabbitmq"])
def test_a_frozen_server(plant: Plant, control: Control, name: Any) -> None:
    """A server that answers nothing for some seconds costs time, and nothing else."""
    load = plant.load([shop.single])
    plant.wait_some_completed(load, 20)
    asked = {
        "redis": plant.client.engine.server.now,
        "postgres": plant.client.journal.ping,
        "rabbitmq": lambda: plant.client.engine.publisher.probe(1.0),
    }
    with control.frozen(name):
        for _ in range(2):
            wait_refused(asked[name], "nobody answers")
    plant.check(load)
