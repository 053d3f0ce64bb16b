"""Every kind of step on real servers, with workers in processes of their own, one of them stopped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from handoffs.coordinator.client.run import Run
from tests.integration import steps
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, Worker, open_installation

_OTHERS = ("basket.pack", "basket.insure", "basket.guess", "basket.price", "basket.receipt")


@pytest.fixture(scope="module")
def installation(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("steps")
    with open_installation(
        servers, folder, AGENTS="tests.integration.steps", CONTRACTS_ENFORCED="false"
    ) as opened:
        opened.worker(*_OTHERS, pool="threads", wait=False)
        opened.coordinator_process()
        yield opened


@pytest.fixture
def locating(installation: Installation) -> Iterator[Worker]:
    """The worker of the agent that the tests stop."""
    worker = installation.worker("basket.locate", pool="threads", concurrency=2)
    yield worker
    worker.kill()


def basket(lines: int = 7, rounds: int = 0) -> steps.Basket:
    return steps.Basket(
        basket=secrets.token_hex(6),
        rounds=rounds,
        lines=[steps.Line(sku=f"s{number}", pieces=1) for number in range(lines)],
    )


def test_every_step(installation: Installation, locating: Worker) -> None:
    """A flow of every kind of step ends as it should, twenty times at once; with a worker stopped, on its fallback."""
    packed = ["pack", "pack", "pack", "insure"]
    with installation.client() as client:
        for stopped, located in ((False, "locate"), (True, "guess")):
            if stopped:
                locating.stop()
            runs = [client.start(steps.everything, basket()) for _ in range(20)]
            for run in runs:
                done = run.result(timeout=60)
                assert done == steps.Receipt(cents=700, trail=[*packed, located]), installation.logs()[-5000:]
        wait_until(
            lambda: ("basket.locate", "basket.basket/1") in client.engine.outstanding.counts(),
            description="what the stopped worker has not done is still there",
        )
        assert client.dead_letters() == []
        back = installation.worker("basket.locate", pool="threads")
        wait_until(lambda: _late(runs), description=f"late work counts for nothing\n{back.last_words()}")
        back.stop()


def _late(runs: list[Run]) -> bool:
    """Whether the worker that came back has found every step closed."""
    counts = runs[0]._access.services.outstanding.counts()
    return ("basket.locate", "basket.basket/1") not in counts


def test_last_good_outcome(installation: Installation, locating: Worker) -> None:
    """With its worker stopped, a step's last good outcome for the same fields stands in; for others, the constant."""
    with installation.client() as client:
        good = basket(rounds=7)
        assert client.start(steps.remembered, good).result(timeout=60).trail == ["locate"]
        locating.stop()
        run = client.start(steps.remembered, basket(rounds=7))
        assert run.result(timeout=60).basket == good.basket
        assert client.start(steps.remembered, basket(rounds=8)).result(timeout=60) == steps.fixed
        [entry] = [entry for entry in run.history() if entry["kind"] == "fallback"]
        assert entry["fallback"].startswith("cache age=")
