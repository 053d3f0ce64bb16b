"""Real workers take nothing but the steps of their agents: whatever else is published is a letter, and no worker ends by it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.messaging.message import Message
from tests.deliveries import start
from tests.integration import edges
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, Worker, open_installation

TIMEOUT = 30.0
OF_CELERY = (
    "celery.accumulate", "celery.backend_cleanup", "celery.map", "celery.starmap", "celery.chunks", "celery.group",
    "celery.chain", "celery.chord", "celery.chord_unlock",
)  # fmt: skip
OVERRIDES: tuple[tuple[str, Any], ...] = (
    ("get", 1), ("update", 1), ("id", "another"), ("retries", 7), ("hostname", "another"), ("is_eager", True), ("delivery_info", None),
    ("args", []), ("kwargs", {}), ("called_directly", True), ("errbacks", []), ("timelimit", [0.001, 0.001]), ("_protected", 1),
)  # fmt: skip


@dataclass
class House:
    """Workers of two pools, and a client."""

    installation: Installation
    workers: dict[str, Worker]
    client: Coordinator

    def message(self, pool: str) -> Message:
        """The message that starts a run which nobody has started."""
        job = edges.Job(number=secrets.token_hex(6))
        [made] = start(edges.FLOWS[f"edges.{pool}"], job, f"run-{secrets.token_hex(6)}")
        return made

    def letters(self, sent: list[Message]) -> dict[str, str]:
        """Wait for a letter of each of these; gives their kinds by the run of the message."""
        runs = {str(one.headers["handoff_run"]) for one in sent}

        def kinds() -> dict[str, str]:
            found: dict[str, str] = {}
            for letter in self.client.dead_letters():
                text = json.dumps(letter.message)
                found |= {run: letter.kind for run in runs if run in text}
            return found

        wait_until(lambda: kinds().keys() == runs, description="each is a letter", timeout=TIMEOUT)
        return kinds()

    def good(self, pool: str) -> None:
        """A run completes, and the worker has not begun anew."""
        run = self.client.start(edges.FLOWS[f"edges.{pool}"], edges.Job(number=secrets.token_hex(6)))
        assert run.wait(TIMEOUT) == "completed", self.workers[pool].last_words()
        assert self.workers[pool].running


@pytest.fixture(scope="module")
def house(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = {"AGENTS": "tests.integration.edges", "CONTRACTS_ENFORCED": "false", "LEASE": "5s"}
    with open_installation(servers, tmp_path_factory.mktemp("nothing"), **settings) as installation:
        installation.coordinator_process(wait=False)
        workers = {
            pool: installation.worker(
                f"edges.{pool}", f"edges.{pool}-async", pool=pool, concurrency=2, wait=False
            )
            for pool in ("prefork", "threads")
        }
        for worker in workers.values():
            worker.wait_ready()
        with installation.client() as client:
            yield House(installation, workers, client)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_nothing_of_celery_is_called(house: House, pool: str) -> None:
    """Each task that every Celery app has is a letter where it comes to an agent's queue; none is acknowledged and lost."""
    sent = [house.message(pool) for _ in OF_CELERY]
    named = [
        replace(one, headers={**one.headers, "task": name}) for one, name in zip(sent, OF_CELERY, strict=True)
    ]
    house.client.engine.publisher.publish(named)
    assert set(house.letters(named).values()) == {"unknown-agent"}
    house.good(pool)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_no_agent_is_called_over_the_queue_of_another(house: House, pool: str) -> None:
    """Also where one worker has both agents."""
    [sent] = [house.message(pool)]
    house.client.engine.publisher.publish([replace(sent, agent=f"edges.{pool}-async")])
    assert set(house.letters([sent]).values()) == {"unknown-agent"}
    house.good(pool)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_nothing_overrides_what_was_checked(house: House, pool: str) -> None:
    """A member of the continuation or a header that Celery would make a part of the request its task sees makes a letter of its
    message."""
    sent = []
    for name, value in OVERRIDES:
        one = house.message(pool)
        envelope, kwargs, rest = json.loads(one.body)
        sent.append(replace(one, body=json.dumps([envelope, kwargs, {**rest, name: value}])))
        if name not in {"id", "retries"}:
            one = house.message(pool)
            sent.append(replace(one, headers={**one.headers, name: value}))
    house.client.engine.publisher.publish(sent)
    assert set(house.letters(sent).values()) <= {"undecodable", "invalid-input"}
    house.good(pool)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_redis_refuses_is_a_letter(house: House, pool: str) -> None:
    """Where Redis has something else in the place of a run, its message is not tried for ever."""
    sent, store = house.message(pool), house.client.engine.store
    run = str(sent.headers["handoff_run"])
    store.redis.set(store.keys.run(run), "no hash")
    try:
        house.client.engine.publisher.publish([sent])
        house.letters([sent])
        house.good(pool)
    finally:
        store.redis.delete(store.keys.run(run))


@pytest.mark.parametrize(
    "change",
    [{"id": "\u6587" * 200}, {"headers": {"count": 2**70}}, {"headers": {"many": "x" * 200_000}}],
    ids=["an id that no property holds", "a number beyond 64 bits", "headers beyond a frame"],
)
def test_what_the_broker_refuses_is_told(house: House, change: dict[str, Any]) -> None:
    """A message that AMQP has no form for, or no frame, is refused at once, and the next one is taken."""
    sent = house.message("threads")
    headers = {**sent.headers, **change.get("headers", {})}
    wrong = replace(sent, id=change.get("id", sent.id), headers=headers)
    with pytest.raises(Refused):
        house.client.engine.publisher.publish([wrong])
    house.good("threads")
