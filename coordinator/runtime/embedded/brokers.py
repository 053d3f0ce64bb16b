"""The embedded brokers of this process, by name."""

from __future__ import annotations

import threading

from handoffs.coordinator.runtime.embedded.broker import Broker
from handoffs.coordinator.runtime.embedded.queues import QueueDepth

_brokers: dict[str, Broker] = {}
_lock = threading.Lock()


def broker_named(name: str) -> Broker:
    """The broker of this name, in lower case, which comes into being with the first call."""
    with _lock:
        if name not in _brokers:
            _brokers[name] = Broker(name)
        return _brokers[name]


def forget(name: str) -> None:
    """Drop a broker with all its messages and stop its timer thread, if there is such a broker.

    Connections to it fail with :exc:`amqp.exceptions.RecoverableConnectionError` from then on, also where
    they are waiting; one that is made later under the same name finds a new and empty broker. So stop
    what would connect again, such as workers, first.
    """
    with _lock:
        broker = _brokers.pop(name.lower(), None)
    if broker is not None:
        broker.close()


def queue_depths(name: str) -> dict[str, QueueDepth]:
    """How many messages and consumers each queue of a broker has; nothing if there is no such broker."""
    with _lock:
        broker = _brokers.get(name.lower())
    return {} if broker is None else broker.depths()
