"""Driver: performs what is asked, one request at a time."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, TypeVar

from redis import Redis

from handoffs.coordinator.dispatch.requests import Asking, Invoke, Publish, Request
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import RoundTrip
from handoffs.coordinator.store.performing import driven

T = TypeVar("T")


class Driver:
    """Performs what is asked, one request at a time, in the thread of its caller. Safe for threads."""

    def __init__(self, redis: Redis, publisher: Publisher, room: Room | None = None) -> None:
        """``room`` is what messages may carry that are sent for the first time; without it nobody asks."""
        self.redis = redis
        self.publisher = publisher
        self.room = room

    def perform(self, asking: Asking[T]) -> T:
        """Perform all that is asked, and give what was found.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails,
        :class:`~handoffs.contracts.errors.TooLarge` where a message is more than can be read where it goes, and what an invoked
        function raises, unless the one that asks deals with it.
        """
        together = getattr(self.publisher, "together", nullcontext)  # of those who run what they are given
        with together():
            return driven(asking, self.answer)

    def answer(self, request: Request) -> Any:
        """Perform one request, and give the answer to it. Raises what :meth:`perform` says."""
        match request:
            case RoundTrip():
                return scripts.run(self.redis, *request.calls)
            case Publish():
                self.check(request)
                if request.declare:
                    self.publisher.declare(request.declare)
                self.publisher.publish(request.messages, delay=request.delay, exact=request.exact)
                return None
            case Invoke():
                return request.function()

    def check(self, request: Publish) -> None:
        """Raise :class:`~handoffs.contracts.errors.TooLarge` where a message is more than can be read where it goes."""
        if self.room is not None and request.new:
            for message in request.messages:
                self.room.check(message)
