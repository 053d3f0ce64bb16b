"""Asks RabbitMQ what the doctor wants to know. Nothing that it declares for that stays."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, NotFound, PreconditionFailed
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError

from handoffs.config.topology import Topology
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging.lines import opened
from handoffs.coordinator.observe.doctor.rabbitmq import DeclaredFacts, RabbitFacts
from handoffs.coordinator.services import Services

_PAUSE = 0.005  # seconds
_COMES_WITHIN = 1.0  # seconds, in which a message that was confirmed is there


@contextmanager
def asked(services: Services, seconds: float) -> Iterator[tuple[Connection, float]]:
    """A connection for a block, and in how many seconds it was made. Raises :class:`~handoffs.coordinator.errors.ServerError` where the
    broker cannot be reached, and where it ends the connection within the block."""
    began = time.monotonic()
    try:
        with opened(services.app, seconds) as connection:
            yield connection, time.monotonic() - began
    except (OperationalError, OSError, AMQPError) as error:
        raise ServerError(
            f"the broker cannot be reached: {type(error).__name__}: {printable(error, 200)}",
            "messages wait, and nothing can be started",
            "check COORDINATOR_BROKER_URL, its user and its virtual host, and that the server is up",
        ) from error


def rabbit_facts(connection: Connection, connected: float, topology: Topology, seconds: float) -> RabbitFacts:
    """What it says of itself, and whether a message goes there and back, within ``seconds``."""
    bare: Any = connection.connection
    properties = getattr(bare, "server_properties", None) or {}
    refused: dict[str, str] = {}
    blocked, took = "", None
    try:
        took = _there_and_back(connection, topology, seconds)
    except AccessRefused as error:
        refused["a private queue, bound to the agents' exchange"] = str(error.reply_text)
    except NotFound:
        took = _there_and_back(connection, topology, seconds, bound=False)
    except TimeoutError:
        blocked = "it takes no messages: it has too little memory or disk by its own account"
    return RabbitFacts(
        server=f"{properties.get('product', 'broker')} {properties.get('version', '')}".strip(),
        cluster=str(properties.get("cluster_name", "")),
        frame_max=int(getattr(bare, "frame_max", 0) or 0),
        connected=connected,
        took=took,
        refused=refused,
        blocked=blocked,
    )


def _there_and_back(
    connection: Connection, topology: Topology, seconds: float, *, bound: bool = True
) -> float | None:
    """How long a message took by a queue of our own, which ends with the connection; by way of the agents' exchange where that is there.
    None where it did not come."""
    name = f"{topology.prefix}handoff.doctor.{uuid.uuid4().hex}"
    channel = connection.channel()
    channel.queue_declare(queue=name, exclusive=True, auto_delete=True, durable=False)
    exchange = topology.agents.name if bound else ""
    if bound:
        channel.queue_bind(queue=name, exchange=exchange, routing_key=name)
    began = time.monotonic()
    message = channel.prepare_message("[]", content_type="application/json", content_encoding="utf-8")
    channel.basic_publish_confirm(message, exchange=exchange, routing_key=name, confirm_timeout=seconds)
    until = min(began + seconds, time.monotonic() + _COMES_WITHIN)
    while time.monotonic() < until:
        if channel.basic_get(queue=name, no_ack=True) is not None:
            return time.monotonic() - began
        time.sleep(_PAUSE)
    return None


def queues_declared(connection: Connection, queues: Iterable[Queue]) -> dict[str, DeclaredFacts]:
    """How queues are that are there, by their names. None that is not is made."""
    found = {}
    for queue in queues:
        there, size = _attempt(connection, queue, passive=True)
        if there is not None or size is None:
            found[queue.name] = there or DeclaredFacts(there=False)
            continue
        otherwise, _ = _attempt(connection, queue, passive=False)
        _, ready, consumers = size
        found[queue.name] = DeclaredFacts(
            there=True,
            ready=int(ready),
            consumers=int(consumers),
            difference=otherwise.difference if otherwise else "",
            refused=otherwise.refused if otherwise else "",
        )
    return found


def exchanges_declared(connection: Connection, exchanges: Iterable[Exchange]) -> dict[str, DeclaredFacts]:
    """The same of exchanges."""
    found = {}
    for exchange in exchanges:
        there, answer = _attempt(connection, exchange, passive=True)
        if there is not None or answer is None:
            found[exchange.name] = there or DeclaredFacts(there=False)
            continue
        otherwise, _ = _attempt(connection, exchange, passive=False)
        found[exchange.name] = otherwise or DeclaredFacts(there=True)
    return found


def _attempt(
    connection: Connection, entity: Queue | Exchange, *, passive: bool
) -> tuple[DeclaredFacts | None, Any]:
    """Declare a queue or an exchange, which changes nothing where it is there: what is wrong with it, and what the broker answers."""
    channel = connection.channel()
    try:
        if isinstance(entity, Queue):
            answer = entity(channel).queue_declare(passive=passive)
            size = channel.queue_declare(queue=entity.name, passive=True) if passive else answer
            channel.close()
            return None, size
        entity(channel).declare(passive=passive)
        channel.close()
    except NotFound:
        return DeclaredFacts(there=False), None
    except PreconditionFailed as error:
        return DeclaredFacts(there=True, difference=str(error.reply_text)), None
    except AccessRefused as error:
        return DeclaredFacts(there=True, refused=str(error.reply_text)), None
    return None, True
