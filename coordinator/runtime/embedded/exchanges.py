"""The exchanges of the embedded broker: which queues a routing key leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handoffs.coordinator.runtime.embedded.queues import Queue
from handoffs.coordinator.runtime.embedded.refusals import EXCHANGE_DECLARE, failed

EXCHANGE_TYPES = frozenset({"direct", "topic", "fanout"})
_ROUTE_CACHE_SIZE = 4096


class Exchange:
    """An exchange: its bindings and the routes found so far.

    Raises :class:`amqp.exceptions.PreconditionFailed` for a type that is not implemented.
    """

    def __init__(self, name: str, type: str, arguments: Mapping[str, Any]) -> None:
        if type not in EXCHANGE_TYPES:
            raise failed(f"exchange type {type!r} is not supported", EXCHANGE_DECLARE)
        self.name = name
        self.type = type
        self.arguments = dict(arguments)
        self.alternate: str | None = arguments.get("alternate-exchange")
        self.bindings: dict[tuple[str, str], Queue] = {}
        self._routes: dict[str, tuple[Queue, ...]] = {}

    def bind(self, key: str, queue: Queue) -> None:
        """Route messages with a key, or that match it, to a queue."""
        self.bindings[key, queue.name] = queue
        self._routes.clear()

    def unbind(self, key: str, queue: str) -> None:
        """Undo a binding, if there is one."""
        self.bindings.pop((key, queue), None)
        self._routes.clear()

    def unbind_queue(self, queue: str) -> None:
        """Undo all bindings of a queue."""
        for key, name in [binding for binding in self.bindings if binding[1] == queue]:
            self.unbind(key, name)

    def route(self, key: str) -> tuple[Queue, ...]:
        """The queues that get a message with this routing key."""
        found = self._routes.get(key)
        if found is None:
            if len(self._routes) >= _ROUTE_CACHE_SIZE:
                self._routes.clear()
            found = self._routes[key] = self._find(key)
        return found

    def _find(self, key: str) -> tuple[Queue, ...]:
        queues = {
            queue.name: queue for (binding, _), queue in self.bindings.items() if self._matches(binding, key)
        }
        return tuple(queues.values())

    def _matches(self, binding: str, key: str) -> bool:
        if self.type == "topic":
            return _topic_matches(binding.split("."), key.split("."))
        return self.type == "fanout" or binding == key


def _topic_matches(pattern: list[str], words: list[str]) -> bool:
    """Whether words match a pattern where ``*`` is any one word, and ``#`` any number of them."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_topic_matches(pattern[1:], words[start:]) for start in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _topic_matches(pattern[1:], words[1:])
