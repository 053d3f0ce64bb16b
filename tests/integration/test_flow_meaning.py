"""A flow means the same on RabbitMQ, Redis and PostgreSQL: see tests/flows/test_meaning.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from handoffs import Coordinator
from handoffs.coordinator.runtime.embedded.pool import EmbeddedPool
from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker
from handoffs.coordinator.runtime.service import Service
from tests.flows.generated import scenarios
from tests.flows.judging import in_hand, judge
from tests.flows.scenario import Scenario
from tests.flows.universe import AGENTS, LIMIT
from tests.servers import Servers
from tests.workers import open_installation

FLOWS = int(os.environ.get("FLOWS", "300")) // 20
"""How many flows are run in each way, beside those without servers."""
_TIMEOUT = 30.0  # seconds


class _Each(EmbeddedPool):
    """As in a worker of processes: each handoff is performed alone."""

    def _reacting(self, _task: Any) -> None:
        return None


@pytest.fixture(scope="module", params=[_Each, EmbeddedPool], ids=["each", "together"])
def serving(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Coordinator]:
    """A client with a worker and a coordinator process beside it, in this process: the agents are nowhere else."""
    with (
        open_installation(
            servers,
            tmp_path_factory.mktemp("flows"),
            AGENTS="tests.flows.universe",
            MAX_MESSAGE_BYTES=str(LIMIT),
        ) as opened,
        opened.client() as client,
    ):
        engine = client.engine
        client.work(AGENTS)
        queues = [engine.topology.queue(agent.name, agent.intake) for agent in AGENTS]
        for agent, queue in zip(AGENTS, queues, strict=True):
            engine.publisher.subscribe(agent.name, agent.intake)
            engine.app.amqp.queues.add(queue)
            engine.announcements.announce(engine.manifest(agent).to_json(), "here", timedelta(hours=1))
        service = Service(engine, client.journal)
        worker = EmbeddedWorker(
            engine.app, [queue.name for queue in queues], concurrency=8, pool=request.param
        )
        service.start()
        worker.start()
        try:
            yield client
            pool: Any = worker.pool
            assert (request.param is EmbeddedPool) == (pool._reactor is not None), "each is performed alone"
        finally:
            worker.stop()
            service.stop()
            with engine.app.connection_for_write() as connection, connection.channel() as channel:
                for queue in queues:
                    channel.queue_delete(queue.name)


@pytest.mark.timeout(120 + FLOWS)
@settings(max_examples=FLOWS, phases=[Phase.explicit, Phase.generate])
@given(scenario=scenarios())
def test_on_servers(serving: Coordinator, scenario: Scenario) -> None:
    """On real servers: the same status, result, steps, attempts, parked steps, events and effects as the interpreter says."""
    judge(serving, scenario, timeout=_TIMEOUT, idle=in_hand)
