"""Driver: performs what is asked, one request at a time."""

from __future__ import annotations

from typing import Any, TypeVar

from redis import Redis

from handoffs.coordinator.dispatch.requests import Asking, Invoke, Publish, Request
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import RoundTrip
from handoffs.coordinator.store.performing import driven

T = TypeVar("T")


class Driver:
    """Performs what is asked, one request at a time, in the thread of its caller. Safe for threads."""

    def __init__(self, redis: Redis, publisher: Publisher) -> None:
        self._redis = redis
        self._publisher = publisher

    def perform(self, asking: Asking[T]) -> T:
        """Perform all that is asked, and give what was found.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails, and what an invoked function raises,
        unless the one that asks deals with it.
        """
        return driven(asking, self._answer)

    def _answer(self, request: Request) -> Any:
        match request:
            case RoundTrip():
                return scripts.run(self._redis, *request.calls)
            case Publish():
                if request.declare:
                    self._publisher.declare(request.declare)
                self._publisher.publish(request.messages, delay=request.delay, exact=request.exact)
                return None
            case Invoke():
                return request.function()
