"""Requests: what a handoff needs of Redis, of the broker and of its agent, as values. A driver performs them (driver.py).

What asks is a generator. It yields a request, is sent the answer, and returns what it was to find. Where a request cannot be
performed, the driver throws the error into it, so that it may give back what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store.asking import RoundTrip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Publish:
    """Messages that are to be with the broker, confirmed, before anything else is done. Answered with None.

    They come after ``delay``, or up to a sixth later; not ``exact``, up to half as long again. The queues of the agents in ``declare`` are declared
    first. One that is not ``new`` has been read before, and is not asked about its size.
    """

    messages: tuple[Message, ...]
    delay: timedelta | None = None
    exact: bool = True
    declare: tuple[str, ...] = ()
    new: bool = True


@dataclass(frozen=True, slots=True)
class Invoke:
    """A function that may take its time, an agent's above all. Answered with what it returns; what it raises is thrown.

    Where ``begin`` is there, it does the same without a thread that waits: it returns at once, and later calls what it is given with
    the answer, once and from any thread. ``work`` says that it is the work of an agent, and not something of ours.
    """

    function: Callable[[], Any]
    begin: Callable[[Callable[[Any], None]], None] | None = None
    work: bool = False


Request: TypeAlias = RoundTrip | Publish | Invoke
Asking: TypeAlias = Generator[Request, Any, T]
"""What asks for as many requests as it needs, and finds a ``T``."""
