"""RabbitMQ on three nodes, one of which dies."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.smoke.stack import Stack, Traffic, check_completed, open_stack
from tests.waiting import wait_until


@pytest.fixture
def cluster(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with the profile `cluster`."""
    with open_stack(tmp_path_factory.mktemp("cluster"), profiles="cluster") as stack:
        stack.make_up()
        yield stack


def test_a_node_of_three_is_killed(cluster: Stack) -> None:
    """Every queue has three members; a node that leads some of them is killed under load and comes back: no run is lost,
    none is booked twice."""
    assert _members(cluster) == {3}
    with cluster.client() as client:
        with Traffic(client) as traffic:
            cluster.compose("kill", "rabbitmq-2")
            traffic.wait_for(100)
        check_completed(cluster, client, traffic.runs)
        with Traffic(client) as traffic:
            cluster.compose("start", "rabbitmq-2")
            cluster.wait_healthy()
            traffic.wait_for(50)
        check_completed(cluster, client, traffic.runs)
    wait_until(lambda: _online(cluster) == {3}, description="every queue is whole again", timeout=60)


def _members(stack: Stack) -> set[int]:
    return {len(queue["members"]) for queue in _queues(stack)}


def _online(stack: Stack) -> set[int]:
    return {len(queue["online"]) for queue in _queues(stack)}


def _queues(stack: Stack) -> list[dict[str, list[str]]]:
    said = stack.compose(
        "exec",
        "-T",
        "rabbitmq",
        "rabbitmqctl",
        "--quiet",
        "--formatter",
        "json",
        "list_queues",
        "--online",
        "name",
        "type",
        "members",
        "online",
    ).stdout
    return [queue for queue in json.loads(said) if queue["type"] in {"quorum", "rabbit_quorum_queue"}]
