"""Performing: the simple driver of what is asked of Redis. One question at a time, and its caller waits."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from redis import Redis

from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import Asking

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


def driven(asking: Generator[R, Any, T], answer: Callable[[R], Any]) -> T:
    """Have each request of ``asking`` answered, one after the other, and give what was found. What ``answer`` raises is thrown
    into the one that asks, and raised where it does not deal with it."""
    try:
        request = next(asking)
        while True:
            try:
                found = answer(request)
            except BaseException as error:  # noqa: BLE001 - it is dealt with by the one that asks
                request = asking.throw(error)
            else:
                request = asking.send(found)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        asking.close()


def answered(redis: Redis, asking: Asking[T]) -> T:
    """Perform what is asked, round trip by round trip, and give the answer.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis fails, unless the one that asks catches it.
    """
    return driven(asking, lambda asked: scripts.run(redis, *asked.calls))


class HasRedis(Protocol):
    """What performs: it has a client of Redis, and beside it the object that asks."""

    @property
    def redis(self) -> Redis: ...


class Performed(Generic[P, T]):
    """A method that performs at once what a method of another object asks: with its signature, its docstring and its answer.

    ``claim = Performed(Handoffs.claim, "handoffs")`` in a class makes ``store.claim(...)`` the answer to
    ``store.handoffs.claim(...)``.
    """

    def __init__(self, asks: Callable[Concatenate[Any, P], Asking[T]], room: str) -> None:
        self._asks = asks
        self._room = room

    def __get__(self, performer: HasRedis, owner: type) -> Callable[P, T]:
        room = getattr(performer, self._room)

        @wraps(self._asks)
        def perform(*args: P.args, **kwargs: P.kwargs) -> T:
            return answered(performer.redis, self._asks(room, *args, **kwargs))

        return perform
