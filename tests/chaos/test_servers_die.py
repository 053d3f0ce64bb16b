"""Whatever dies while work is under way: what was accepted is completed, each step settled once, and nothing is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.flow import Flow
from tests.integration import shop
from tests.integration.bench import new_order
from tests.servers import Control, Servers
from tests.waiting import wait_until
from tests.workers import CoordinatorProcess, Installation, depth, open_installation

_CHAINS, _JOINS = 200, 40
"""How many runs a load starts without a pause."""
_PAUSE = 0.05
"""Seconds between two starts, once these are started."""
_TIMEOUT = 90.0


class Plant:
    """An installation with two workers and a coordinator process, and a client that does not give up."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.workers = [
            installation.worker(*shop.AGENTS, concurrency=4, wait=False),
            installation.worker(*shop.UNLIMITED, concurrency=4, wait=False, pool="threads"),
        ]
        self.process: CoordinatorProcess = installation.coordinator_process()
        for worker in self.workers:
            worker.wait_ready()
        self.client: Coordinator = installation.client()

    def close(self) -> None:
        self.client.close()

    def load(self, flows: Sequence[Flow] = (shop.chain, shop.header), **behaviour: str) -> Load:
        """Begin to start runs: many of the first flow, some of the last, and more of the first until the test has had its way."""
        return Load(self.client, behaviour, flows)

    def wait_some_completed(self, load: Load, number: int) -> None:
        """Wait until some runs of the load are through, so that the next thing happens in the middle of it."""
        wait_until(
            lambda: load.count("completed") >= number,
            description=f"the first runs are completed\n{self.installation.logs()[-3000:]}",
            timeout=30,
        )

    def replay_overrun(self, load: Load) -> None:
        """Replay what is parked by a hard time limit, which counts the wait for a server that is away; nothing else is parked."""
        runs = load.started()

        def through() -> bool:
            for letter in self.client.dead_letters():
                assert letter.kind == "time-limit", letter
                letter.replay()
            return load.count("completed") == len(runs)

        wait_until(through, description="all are completed or replayed", timeout=_TIMEOUT, interval=0.2)

    def check(self, load: Load) -> None:
        """Every run is completed, each of its steps settled once, and the queues are empty."""
        runs = load.started()
        wait_until(
            lambda: load.count("completed") == len(runs),
            description=f"all runs are completed\n{self.installation.logs()[-6000:]}",
            timeout=_TIMEOUT,
            interval=0.2,
        )
        wait_until(self._quiet, description="nothing is left in queues or in the history stream", timeout=30)
        assert not self.client.dead_letters()
        for run in runs:
            _check_story(run)

    def _quiet(self) -> bool:
        engine = self.client.engine
        names = [self.installation.queue_name(agent) for agent in shop.AGENTS]
        with engine.app.connection_for_read() as connection:
            queued = [depth(connection, name)[0] for name in (*names, engine.topology.dead_letters.name)]
        entries, shards = engine.entries, range(engine.settings.shards)
        return not any(queued) and not any(entries.oldest(shard, count=1) for shard in shards)


class Load:
    """Runs that a thread starts, each as often as it takes under the same key.

    It ends when it is asked what it started, so that whatever a test does before then is in the middle of it, however long it takes.
    """

    def __init__(self, client: Coordinator, behaviour: dict[str, str], flows: Sequence[Flow]) -> None:
        self._client = client
        self._flows = flows
        self._behaviour = behaviour
        self._runs: list[Run] = []
        self._error: BaseException | None = None
        self.refused = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._start_all, daemon=True)
        self._thread.start()

    def started(self) -> list[Run]:
        """All runs, once all are accepted; none is started from now on."""
        self._enough.set()
        self._thread.join(_TIMEOUT)
        assert not self._thread.is_alive(), "not all runs were accepted"
        assert self._error is None, self._error
        return self._runs

    def count(self, status: str) -> int:
        """How many runs have that status by now."""
        assert self._error is None, self._error
        try:
            return self._client.statuses(list(self._runs)).count(status)  # type: ignore[arg-type]
        except ServerError:
            return 0

    def _start_all(self) -> None:
        try:
            flows = [self._flows[0]] * _CHAINS + [self._flows[-1]] * _JOINS
            for flow in flows[::2] + flows[1::2]:
                self._runs.append(self._start(flow, new_order()))
            deadline = time.monotonic() + _TIMEOUT
            while not self._enough.wait(_PAUSE) and time.monotonic() < deadline:
                self._runs.append(self._start(self._flows[0], new_order()))
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            self._error = error

    def _start(self, flow: Flow, order: str) -> Run:
        """Start, again under the same key where a server is away."""

        def attempt() -> Run | None:
            try:
                return self._client.start(flow, {"order": order, "behaviour": self._behaviour})
            except ServerError:
                self.refused += 1
                return None

        run = wait_until(attempt, description="the run is accepted", timeout=60, interval=0.1)
        assert run is not None
        return run


def _check_story(run: Run) -> None:
    """One outcome a step, and what came out at the end was made of these outcomes."""
    assert run.flow is not None
    settled = [entry for entry in run.history() if entry["kind"] == "settled"]
    assert sorted(entry["step"] for entry in settled) == sorted(place.path for place in run.flow.places())
    trail = run.result().trail
    for entry in settled:
        name = entry["agent"].removeprefix("shop.")
        assert entry["output"]["trail"][name] == trail[name]


@pytest.fixture(scope="module")
def plant(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with open_installation(
        servers, tmp_path_factory.mktemp("plant"), LEASE="3s", CRASH_LIMIT="20"
    ) as installation:
        opened = Plant(installation)
        yield opened
        opened.close()


def test_workers_are_killed(plant: Plant) -> None:
    """A worker that is killed with its children, and one whose children outlive it, lose nothing."""
    load = plant.load()
    plant.wait_some_completed(load, 20)
    first, second = plant.workers
    first.kill()
    first.start()
    plant.wait_some_completed(load, 60)
    os.kill(second.pid, signal.SIGKILL)
    wait_until(lambda: not second.running, description="the worker is dead")
    second.start()
    plant.check(load)


def test_the_broker_is_restarted(plant: Plant, control: Control) -> None:
    """While RabbitMQ is down nothing is accepted that is lost; once it is up, everything goes on."""
    load = plant.load()
    plant.wait_some_completed(load, 20)
    control.restart("rabbitmq")
    plant.check(load)


def test_the_broker_is_killed(plant: Plant, control: Control) -> None:
    """A RabbitMQ that is killed and started loses nothing that it confirmed."""
    load = plant.load()
    plant.wait_some_completed(load, 20)
    control.kill("rabbitmq")
    control.start("rabbitmq")
    plant.check(load)


def test_redis_is_killed(plant: Plant, control: Control) -> None:
    """A Redis that is killed and started again keeps every outcome that it acknowledged, and messages wait for it. What has a hard time
    limit may be parked by that, and completes when it is replayed."""
    load = plant.load()
    plant.wait_some_completed(load, 20)
    control.kill("redis")
    wait_until(lambda: load.refused, description="a start is refused")
    control.start("redis")
    plant.replay_overrun(load)
    plant.check(load)


def test_the_coordinator_process_is_killed(plant: Plant) -> None:
    """While no coordinator process lives, letters wait in the broker; once one does, each is there, once."""
    plant.process.kill()
    orders = [new_order() for _ in range(50)]
    runs = [
        plant.client.start(shop.chain, {"order": order, "behaviour": {"two": "fail"}}) for order in orders
    ]
    wait_until(
        lambda: all(status == "parked" for status in plant.client.statuses(runs)),
        description="all are parked",
    )
    plant.process.start()
    _wait_letters(plant, runs)
    _replay(plant, runs, orders)


def test_the_journal_is_stopped(plant: Plant, control: Control) -> None:
    """Without its journal work goes on; history and letters wait, and are there once it is back."""
    control.stop("postgres")
    load = plant.load()
    orders = [new_order() for _ in range(20)]
    runs = [
        plant.client.start(shop.chain, {"order": order, "behaviour": {"two": "fail"}}) for order in orders
    ]
    wait_until(
        lambda: all(status == "parked" for status in plant.client.statuses(runs)),
        description="all are parked",
    )
    plant.wait_some_completed(load, _CHAINS)
    control.start("postgres")
    _wait_letters(plant, runs)
    _replay(plant, runs, orders)
    plant.check(load)


def _wait_letters(plant: Plant, runs: list[Run]) -> None:
    def there() -> bool:
        return len(plant.client.dead_letters()) == len(runs)

    wait_until(there, description=f"each has its letter\n{plant.process.last_words()}", timeout=30)
    assert {letter.row.run for letter in plant.client.dead_letters()} == {run.id for run in runs}


def _replay(plant: Plant, runs: list[Run], orders: list[str]) -> None:
    for order in orders:
        shop.flag(order, "mended", plant.installation.folder).touch()
    for letter in plant.client.dead_letters():
        letter.replay()
    for run in runs:
        assert run.wait(_TIMEOUT) == "completed"
        _check_story(run)
