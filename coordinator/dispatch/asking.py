"""Asking: what a handoff needs of Redis, of the broker and of its agent, as values. A driver performs it.

What asks is a generator. It yields a request, is sent the answer, and returns what it was to find. Where a request cannot be
performed, the driver throws the error into it, so that it may give back what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from redis import Redis

from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import RoundTrip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Publish:
    """Messages that are to be with the broker, confirmed, before anything else is done. Answered with None.

    They come after ``delay``; not ``exact``, up to half as long again. The queues of the agents in ``declare`` are declared
    first.
    """

    messages: tuple[Message, ...]
    delay: timedelta | None = None
    exact: bool = True
    declare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invoke:
    """A function that may take its time, an agent's above all. Answered with what it returns; what it raises is thrown."""

    function: Callable[[], Any]


Request: TypeAlias = RoundTrip | Publish | Invoke
Asking: TypeAlias = Generator[Request, Any, T]
"""What asks for as many requests as it needs, and finds a ``T``."""


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
        try:
            request = next(asking)
            while True:
                try:
                    answer = self._answer(request)
                except BaseException as error:  # noqa: BLE001 - it is dealt with by the one that asks
                    request = asking.throw(error)
                else:
                    request = asking.send(answer)
        except StopIteration as end:
            found: T = end.value
            return found
        finally:
            asking.close()

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
