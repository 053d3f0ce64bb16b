"""The shop at work: what the tests of parking and of idempotency ask of it."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handoffs import Letters
from handoffs.contracts.envelope import message_id
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.messaging.message import Message
from tests.deliveries import start
from tests.integration import shop
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, Worker, depth, open_installation


@dataclass
class Bench:
    """An installation of the shop, its worker of all agents, and a client."""

    installation: Installation
    worker: Worker
    client: Coordinator

    @property
    def folder(self) -> Path:
        return self.installation.folder

    def start(self, flow: Flow, order: str = "", **behaviour: str) -> Run:
        """Start an order whose agents behave so."""
        return self.client.start(flow, {"order": order or new_order(), "behaviour": behaviour})

    def mend(self, order: str) -> None:
        """Take the cause of an order's trouble away."""
        shop.flag(order, "mended", self.folder).touch()

    def wait_flag(self, order: str, name: str) -> Path:
        """Wait until an agent has set a flag."""
        path = shop.flag(order, name, self.folder)
        wait_until(path.exists, description=f"{path.name} is there\n{self.worker.last_words()}")
        return path

    def letter(self, run: Run, *, times: int = 1) -> Letter:
        """Wait for the run's dead letter, parked that many times."""

        def waiting() -> list[Letter]:
            return [letter for letter in run.letters() if letter.row.times >= times]

        found = wait_until(waiting, description=f"there is a dead letter\n{self.installation.logs()[-4000:]}")
        assert len(found) == 1, found
        return found[0]

    def letters(self, **filters: Any) -> Letters:
        """Wait for dead letters of a kind."""
        return wait_until(
            lambda: self.client.dead_letters(**filters),
            description=f"there is a dead letter with {filters}\n{self.worker.last_words()}",
        )

    def effects(self, run: Run) -> dict[str, int]:
        """How often each agent of a run's flow has taken effect for it."""
        record = self.client.engine.runs.get(run.id)
        assert record is not None
        assert run.flow is not None
        return {
            place.agent.name.removeprefix("shop."): sum(
                len(tokens)
                for key, tokens in shop.effects(self.folder, place.agent.name.removeprefix("shop.")).items()
                if key in {record.key, message_id(run.id, place.path)}
            )
            for place in run.flow.places()
        }

    def completed(self, run: Run, timeout: float = 20.0) -> Any:
        """Wait for a run's result."""
        status = run.wait(timeout)
        assert status == "completed", f"{status} {run.history()}\n{self.worker.last_words()}"
        return run.result(0)

    def settled(self, run: Run, *steps: str) -> None:
        """Wait until steps of a run are settled."""

        def done() -> bool:
            record = self.client.engine.runs.get(run.id)
            return record is not None and set(steps) <= set(record.settled)

        wait_until(done, description=f"steps {steps} are settled\n{self.worker.last_words()}")

    def publish(self, message: Message, *, queue: str = "", **changes: Any) -> None:
        """Publish a message as anybody could: to ``queue``, with another body, headers or content type."""
        topology = self.client.engine.topology
        properties = {
            "body": message.body,
            "headers": message.headers,
            "content_type": "application/json",
            "content_encoding": "utf-8",
            **changes,
        }
        with self.client.engine.app.producer_pool.acquire(block=True) as producer:
            producer.publish(
                properties.pop("body"),
                exchange=topology.agents.name,
                routing_key=topology.queue_name(queue or message.agent),
                **properties,
            )

    def first_message(self, flow: Flow, run: str, data: dict[str, Any]) -> Message:
        """The first message of a run, as the client would make it."""
        messages = first_messages(flow, run, data)
        return messages[0]

    @contextlib.contextmanager
    def intercepted(self, agent: str, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Change the envelope of the one message that comes for ``agent`` while the block runs."""
        queue = self.installation.queue_name(agent)
        with self.not_consuming(agent):
            yield
            with self.client.engine.app.connection_for_write() as connection:
                wait_until(lambda: depth(connection, queue)[0], description=f"a message for {agent} came")
                self._exchange(connection, queue, agent, change)

    @contextlib.contextmanager
    def not_consuming(self, *agents: str) -> Iterator[None]:
        """The worker takes no new messages for these agents while the block runs."""
        control, node = self.client.engine.app.control, [self.worker.node]
        queues = [self.installation.queue_name(agent) for agent in agents]
        for queue in queues:
            control.cancel_consumer(queue, destination=node, reply=True, timeout=10, limit=1)
        self._wait_consuming(queues, wanted=False)  # it answers before it does it
        try:
            yield
        finally:
            for queue in queues:
                control.add_consumer(queue, destination=node, reply=True, timeout=10, limit=1)
            self._wait_consuming(queues, wanted=True)

    def _wait_consuming(self, queues: list[str], *, wanted: bool) -> None:
        """Ask the worker: the broker counts a cancelled consumer for as long as it has a message."""
        inspect = self.client.engine.app.control.inspect(destination=[self.worker.node], timeout=10, limit=1)

        def so() -> bool:
            consumed = {
                queue["name"] for found in (inspect.active_queues() or {}).values() for queue in found
            }
            return all((queue in consumed) == wanted for queue in queues)

        wait_until(so, description=f"the worker {'consumes' if wanted else 'consumes no more'}: {queues}")

    def _exchange(
        self, connection: Any, queue: str, agent: str, change: Callable[[dict[str, Any]], None]
    ) -> None:
        with connection.channel() as channel:
            taken = channel.basic_get(queue)
            (envelope,), kwargs, continuation = json.loads(taken.body)
            event = json.loads(envelope)
            change(event)
            headers = dict(taken.headers)
            body = json.dumps([[json.dumps(event)], kwargs, continuation])
            self.publish(Message(headers["id"], agent, headers, body))
            channel.basic_ack(taken.delivery_tag)

    def wait_idle(self) -> None:
        """Wait until no message of the installation is queued, and the worker has none in hand."""
        inspect = self.client.engine.app.control.inspect(destination=[self.worker.node], timeout=10, limit=1)

        def idle() -> bool:
            with self.client.engine.app.connection_for_read() as connection:
                queued = [depth(connection, self.installation.queue_name(name))[0] for name in shop.AGENTS]
            held = [*(inspect.active() or {}).values(), *(inspect.reserved() or {}).values()]
            return not any(queued) and held == [[], []]

        wait_until(idle, description=f"nothing is under way\n{self.worker.last_words()}")


def new_order() -> str:
    """An order that no other test has."""
    return f"order-{secrets.token_hex(6)}"


def first_messages(flow: Flow, run: str, data: dict[str, Any]) -> list[Message]:
    """The messages with which a run starts, as the client makes them."""
    return start(flow, flow.accepts.from_data(data), run)


@contextlib.contextmanager
def open_bench(servers: Servers, folder: Path, **settings: str) -> Iterator[Bench]:
    """The shop with one prefork worker of all its agents, a coordinator process and a client."""
    with open_installation(servers, folder, **settings) as installation:
        worker = installation.worker(*shop.AGENTS, wait=False)
        installation.coordinator_process()
        worker.wait_ready()
        with installation.client() as client:
            yield Bench(installation, worker, client)
