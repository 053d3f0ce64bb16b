"""The image as pytest-celery runs it: two workers on a network with RabbitMQ and Redis, told all by their environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from celery import Celery
from pytest_celery import (
    DEFAULT_WORKER_CONTAINER_TIMEOUT,
    RABBITMQ_CONTAINER_TIMEOUT,
    REDIS_CONTAINER_TIMEOUT,
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerCluster,
    CeleryWorkerContainer,
    RabbitMQContainer,
    RabbitMQTestBroker,
    RedisContainer,
    RedisTestBackend,
)
from pytest_docker_tools import container, fxtr, volume

from handoffs import HistoryEntry
from handoffs.config.settings import Settings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.tasks.payments.audit import Audit
from handoffs.tasks.payments.cards import CARD_APPROVED
from handoffs.tasks.payments.flow import payment
from tests.servers.docker import IMAGES
from tests.waiting import wait_until
from tests.workers import depth

pytestmark = pytest.mark.usefixtures("image")  # before the plugin's own, which fail where no engine runs

_FRONT = ("payments.fraud", "payments.authorisation", "payments.notification")
_BOOKS = ("payments.ledger",)
_PAYMENTS, _ENOUGH = 100, 5
_AUDIT = """
from handoffs.config.settings import load
from handoffs.tasks.payments.systems import ledger
print(ledger(load()).audit())
"""


class Worker(CeleryWorkerContainer):
    """A container of our image, with nothing of the plugin's in it."""

    agents: ClassVar[tuple[str, ...]]

    @classmethod
    def command(cls, *args: str, **_options: Any) -> list[str]:
        return ["coordinator", "worker", *cls.agents, "--pool", "threads", *args]

    @classmethod
    def worker_name(cls) -> str:
        return cls.agents[0]


class Front(Worker):
    agents = _FRONT


class Books(Worker):
    agents = _BOOKS


def _container(kind: type[Worker]) -> Any:
    return container(
        image="{image}",
        command=kind.command(),
        environment=fxtr("default_worker_env"),
        network="{default_pytest_celery_network.name}",
        wrapper_class=kind,
        timeout=DEFAULT_WORKER_CONTAINER_TIMEOUT,
    )


front = _container(Front)
books = _container(Books)

# The plugin's servers, but in the versions of the other suites and on loopback only. Their data is in named volumes,
# because the plugin leaves anonymous ones behind.
rabbitmq_data = volume()
default_rabbitmq_broker = container(
    image=IMAGES["rabbitmq"],
    ports={"5672/tcp": ("127.0.0.1",)},
    volumes={"{rabbitmq_data.name}": {"bind": "/var/lib/rabbitmq"}},
    network="{default_pytest_celery_network.name}",
    wrapper_class=RabbitMQContainer,
    timeout=RABBITMQ_CONTAINER_TIMEOUT,
)
redis_data = volume()
default_redis_backend = container(
    image=IMAGES["redis"],
    command=RedisContainer.command("--appendonly", "yes"),
    ports={"6379/tcp": ("127.0.0.1",)},
    volumes={"{redis_data.name}": {"bind": "/data"}},
    network="{default_pytest_celery_network.name}",
    wrapper_class=RedisContainer,
    timeout=REDIS_CONTAINER_TIMEOUT,
)


@pytest.fixture
def celery_broker_cluster(celery_rabbitmq_broker: RabbitMQTestBroker) -> CeleryBrokerCluster:
    """RabbitMQ and no other."""
    return CeleryBrokerCluster(celery_rabbitmq_broker)


@pytest.fixture
def celery_backend_cluster(celery_redis_backend: RedisTestBackend) -> CeleryBackendCluster:
    """Redis, which is our store and nobody's result backend."""
    return CeleryBackendCluster(celery_redis_backend)


@pytest.fixture
def default_worker_env(
    default_rabbitmq_broker: RabbitMQContainer, default_redis_backend: RedisContainer, namespace: str
) -> dict[str, str]:
    """All that a worker is told. The plugin's own CELERY_BROKER_URL would overrule it."""
    return {
        "COORDINATOR_BROKER_URL": default_rabbitmq_broker.url,
        "COORDINATOR_REDIS_URL": default_redis_backend.url,
        "COORDINATOR_NAMESPACE": namespace,
        "COORDINATOR_LOG_LEVEL": "INFO",  # the plugin waits for "ready."
        "COORDINATOR_LEASE": "3s",
        "COORDINATOR_PAYMENTS__GATEWAY_URL": "sqlite:////tmp/gateway.sqlite3",
        "COORDINATOR_PAYMENTS__LEDGER_URL": "sqlite:////tmp/ledger.sqlite3",
    }


@pytest.fixture
def client(
    celery_broker_cluster: CeleryBrokerCluster,
    celery_backend_cluster: CeleryBackendCluster,
    namespace: str,
    tmp_path: Path,
) -> Iterator[Coordinator]:
    """A client in the test's own process, on the published ports.

    The plugin's ``host_url`` has the unpublished ones where the tests themselves run in a container.
    """
    broker, redis = celery_broker_cluster[0].container, celery_backend_cluster[0].container
    settings = Settings(
        broker_url=f"amqp://127.0.0.1:{broker.ports['5672/tcp'][0]}//",
        redis_url=f"redis://127.0.0.1:{redis.ports['6379/tcp'][0]}/0",
        journal_url=f"sqlite:///{tmp_path}/journal.sqlite3",
        namespace=namespace,
    )
    with Coordinator(settings) as coordinator:
        yield coordinator


@pytest.fixture
def celery_setup_app(client: Coordinator) -> Celery:
    """The client's app; the plugin would make one that becomes the current app of the whole session."""
    return client.engine.app


@pytest.fixture
def celery_worker_cluster(front: Front, books: Books, celery_setup_app: Celery) -> CeleryWorkerCluster:
    """Two containers that have only the servers in common."""
    return CeleryWorkerCluster(*(CeleryTestWorker(each, celery_setup_app) for each in (front, books)))


def test_a_payment_goes_through_two_containers(celery_setup: CeleryTestSetup, client: Coordinator) -> None:
    """A payment that is started outside completes, and its history says which container took each of the four steps."""
    front, books = (worker.hostname() for worker in celery_setup.worker_cluster)
    run = _pay(client, 1)
    assert run.result(timeout=60).outcome == "booked"
    assert [(entry["step"], entry["agent"], entry["worker"]) for entry in _settled(run)] == [
        ("1", "payments.fraud", front),
        ("2", "payments.authorisation", front),
        ("3", "payments.ledger", books),
        ("4", "payments.notification", front),
    ]


def test_a_worker_is_unprivileged_and_known_by_its_agents(
    celery_setup: CeleryTestSetup, namespace: str
) -> None:
    """A worker runs as an unprivileged user from its image alone; tasks and queues have the names of the agents."""
    front, books = celery_setup.worker_cluster
    for worker in (front, books):
        status, user = worker.container.exec_run("stat --format=%u /proc/1")
        assert (status, int(user) > 0, worker.container.attrs["Mounts"]) == (0, True, [])
    inspect = celery_setup.app.control.inspect([front.hostname(), books.hostname()], timeout=20)
    names = sorted([*_FRONT, *_BOOKS])
    assert inspect.registered() == {front.hostname(): names, books.hostname(): names}
    consumed = {
        node: {queue["name"].removeprefix(f"{namespace}.") for queue in queues}
        for node, queues in inspect.active_queues().items()
    }
    assert consumed == {front.hostname(): set(_FRONT), books.hostname(): set(_BOOKS)}


def test_workers_are_killed_and_started_again(celery_setup: CeleryTestSetup, client: Coordinator) -> None:
    """Containers that are killed with work in hand and started again complete every run, and book each payment once."""
    front, books = celery_setup.worker_cluster
    runs = [_pay(client, number) for number in range(_PAYMENTS)]
    _wait_completed(client, runs, _ENOUGH)

    def stopped_at_work() -> bool:
        for worker in (front, books):
            worker.kill("SIGSTOP")  # so that what follows is looked at in peace
        if _in_hand(client, runs) > 0:
            return True
        for worker in (front, books):
            worker.kill("SIGCONT")
        return False

    wait_until(stopped_at_work, description="a worker has work in hand", timeout=60)
    for worker in (front, books):
        worker.kill()
        assert worker.container.status == "exited"
        worker.container.restart()
    _wait_completed(client, runs, _PAYMENTS)
    for run in runs:
        assert [entry["step"] for entry in _settled(run)] == ["1", "2", "3", "4"]
    audit = books.container.exec_run(["python", "-c", _AUDIT]).output.decode().strip()
    assert audit == repr(Audit(transfers=_PAYMENTS, entries=2 * _PAYMENTS, doubled=0, balanced=True))


def _pay(client: Coordinator, number: int) -> Run:
    payload = {
        "payment_id": f"pay-{number:04}",
        "amount": f"{number + 1}.50",
        "currency": "EUR",
        "card_number": CARD_APPROVED,
        "card_country": "DE",
        "debtor": f"customer-{number % 7}",
        "creditor": "merchant-1",
        "country": "DE",
        "submitted_at": "2026-01-05T08:00:40Z",
    }
    return client.start(payment, payload)


def _settled(run: Run) -> list[HistoryEntry]:
    return [entry for entry in run.history() if entry["kind"] == "settled"]


def _wait_completed(client: Coordinator, runs: list[Run], number: int) -> None:
    def enough() -> bool:
        return client.statuses(runs).count("completed") >= number

    wait_until(enough, description=f"{number} of {len(runs)} runs are completed", timeout=90)


def _in_hand(client: Coordinator, runs: list[Run]) -> int:
    """How many runs go on only with a message that a worker holds: those that run, without those that wait in a queue."""
    queues = [client.engine.topology.queue_name(agent) for agent in (*_FRONT, *_BOOKS)]
    with client.engine.app.connection_for_read() as connection:
        waiting = sum(depth(connection, queue)[0] for queue in queues)
    return client.statuses(runs).count("running") - waiting
