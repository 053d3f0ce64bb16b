"""Directory: the exchanges and queues of one embedded broker, by name, and the ways between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handoffs.coordinator.runtime.embedded.exchanges import EXCHANGE_TYPES, Exchange
from handoffs.coordinator.runtime.embedded.queues import Inbox, Queue, QueueDepth
from handoffs.coordinator.runtime.embedded.refusals import (
    EXCHANGE_DECLARE,
    EXCHANGE_DELETE,
    QUEUE_DECLARE,
    QUEUE_DELETE,
    failed,
    missing,
)


class Directory:
    """What is declared on one broker. It takes no lock: the broker holds its own while it uses it.

    Its methods raise :class:`amqp.exceptions.NotFound` for what was never declared, and
    :class:`amqp.exceptions.PreconditionFailed` for what is declared otherwise or in use.
    """

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._exchanges = {f"amq.{type}": Exchange(f"amq.{type}", type, {}) for type in EXCHANGE_TYPES}
        self._queues: dict[str, Queue] = {}

    def exchange(self, name: str) -> Exchange:
        """The exchange of this name."""
        exchange = self._exchanges.get(name)
        if exchange is None:
            raise missing("exchange", name, self._broker, EXCHANGE_DECLARE)
        return exchange

    def exchange_names(self) -> list[str]:
        """The names of all exchanges but the default one."""
        return list(self._exchanges)

    def declare_exchange(self, name: str, type: str, arguments: Mapping[str, Any], passive: bool) -> None:
        """Create an exchange, or check that it is there as wanted."""
        present = self._exchanges.get(name)
        if passive:
            self.exchange(name)
        elif present is None:
            self._exchanges[name] = Exchange(name, type, arguments)
        elif (present.type, present.arguments) != (type, dict(arguments)):
            raise failed(
                f"inequivalent type or arguments for exchange {name!r}: {type!r} {dict(arguments)!r}, "
                f"but it has {present.type!r} {present.arguments!r}",
                EXCHANGE_DECLARE,
            )

    def delete_exchange(self, name: str, if_unused: bool) -> None:
        """Remove an exchange and its bindings."""
        exchange = self._exchanges.get(name)
        if exchange is not None and if_unused and exchange.bindings:
            raise failed(f"exchange {name!r} in use", EXCHANGE_DELETE)
        self._exchanges.pop(name, None)

    def queue(self, name: str) -> Queue:
        """The queue of this name."""
        queue = self._queues.get(name)
        if queue is None:
            raise missing("queue", name, self._broker, QUEUE_DECLARE)
        return queue

    def queues(self) -> list[Queue]:
        """All queues."""
        return list(self._queues.values())

    def depths(self) -> dict[str, QueueDepth]:
        """The depth of every queue by name."""
        return {name: queue.depth() for name, queue in self._queues.items()}

    def declare_queue(
        self, name: str, arguments: Mapping[str, Any], auto_delete: bool, owner: Inbox | None, passive: bool
    ) -> Queue:
        """Create a queue, or check that it is there as wanted; ``owner`` is the connection that it is exclusive to."""
        if passive:
            return self.queue(name)
        present = self._queues.get(name)
        if present is None:
            present = self._queues[name] = Queue(name, arguments, auto_delete, owner)
        elif present.arguments != dict(arguments):
            raise failed(
                f"inequivalent arguments for queue {name!r}: {dict(arguments)!r}, "
                f"but it has {present.arguments!r}",
                QUEUE_DECLARE,
            )
        return present

    def delete_queue(self, name: str, if_unused: bool, if_empty: bool) -> int:
        """Remove a queue with its messages, if there is one, and return how many were ready."""
        queue = self._queues.get(name)
        if queue is None:
            return 0
        if (if_unused and queue.consumers) or (if_empty and queue.ready):
            raise failed(f"queue {name!r} in use or not empty", QUEUE_DELETE)
        ready = len(queue.ready)
        self.remove(queue)
        return ready

    def remove(self, queue: Queue) -> None:
        """Remove a queue with its messages, consumers and bindings."""
        queue.deleted = True
        queue.ready.clear()
        queue.consumers.clear()
        self._queues.pop(queue.name, None)
        for exchange in self._exchanges.values():
            exchange.unbind_queue(queue.name)

    def remove_if_abandoned(self, queue: Queue) -> None:
        """Remove a queue that is to go with its last consumer, if that has gone."""
        if queue.auto_delete and not queue.consumers and not queue.deleted:
            self.remove(queue)

    def bind(self, queue: str, exchange: str, key: str) -> None:
        """Bind a queue to an exchange."""
        self.exchange(exchange).bind(key, self.queue(queue))

    def unbind(self, queue: str, exchange: str, key: str) -> None:
        """Undo a binding, if there is one."""
        if exchange in self._exchanges:
            self._exchanges[exchange].unbind(key, queue)

    def bindings(self) -> list[tuple[str, str, str]]:
        """All bindings, as queue, exchange and key."""
        return [
            (queue, exchange.name, key)
            for exchange in self._exchanges.values()
            for key, queue in exchange.bindings
        ]

    def route(self, exchange_name: str, key: str) -> Iterable[Queue]:
        """The queues that a message goes to: those of the first exchange that has any, of it and its alternates in turn."""
        if not exchange_name:
            queue = self._queues.get(key)
            return () if queue is None else (queue,)
        tried: set[str] = set()
        name: str | None = exchange_name
        while name is not None and name not in tried and name in self._exchanges:
            exchange = self._exchanges[name]
            queues = exchange.route(key)
            if queues:
                return queues
            tried.add(name)
            name = exchange.alternate
        return ()
