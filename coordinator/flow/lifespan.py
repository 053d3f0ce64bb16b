"""Lifespan: what the async agents of a process share for as long as it lives: a client, a pool of connections."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from itertools import count
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from handoffs.contracts.text import named
from handoffs.coordinator.errors import AgentError

T = TypeVar("T")

TASK = "lifespan"
"""What the names of the tasks begin with that keep something open; what was opened later is later in their order, and what is being
opened last."""

_log = logging.getLogger(__name__)
_numbers = count(1)


class Lifespan(Generic[T]):
    """What the decorator :func:`lifespan` makes. ``await it()`` gives what is open, the same to all steps of the process."""

    def __init__(self, function: Callable[[], AsyncIterator[T]]) -> None:
        self.function = function
        self._open = asynccontextmanager(function)
        self._ready: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Future[T]] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self) -> T:
        """What is open; opened first where it is not. Raises what opening it raises: the next call tries again."""
        loop = asyncio.get_running_loop()
        ready = self._ready.get(loop)
        if ready is None:
            ready = self._ready[loop] = loop.create_future()
            # in a context of no step: it is for all of them
            task = loop.create_task(self._keep_open(loop, ready), name=f"{TASK} ~", context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(ready)

    async def _keep_open(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[T]) -> None:
        try:
            async with self._open() as opened:
                _rename(next(_numbers))
                ready.set_result(opened)
                with suppress(asyncio.CancelledError):
                    await loop.create_future()  # until the loop ends
        except BaseException as error:  # noqa: BLE001 - it is told to those who wait for it, and must not end the loop
            if ready.done():
                _log.warning("%s could not be closed: %s", self.function.__name__, type(error).__name__)
            else:
                ready.set_exception(error)
                ready.exception()  # also where nobody waits any more
        finally:
            self._ready.pop(loop, None)


def _rename(number: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.set_name(f"{TASK} {number:09}")


def lifespan(function: Callable[[], AsyncIterator[T]]) -> Lifespan[T]:
    """Make something that async agents share and that is closed when their process ends, of a function that opens it, yields it once
    and closes it, like the lifespan of an ASGI application::

        @lifespan
        async def http() -> AsyncIterator[httpx.AsyncClient]:
            async with httpx.AsyncClient() as client:
                yield client

        @agent("shop.quote")
        async def quote(order: Order) -> Quote:
            client = await http()

    It is opened by the first step that asks for it, in each process anew, and closed after all steps have ended, those first that were
    opened last. Raises :class:`~handoffs.coordinator.errors.AgentError` for anything but an async generator function without
    parameters.
    """
    known: Any = function
    if not inspect.isasyncgenfunction(known) or _parameters(known):
        raise AgentError(
            f"@lifespan is given {named(known)}",
            "nothing was made of it",
            "write `async def name():` without parameters, that opens something, yields it once, and closes it",
        )
    return Lifespan(function)


def _parameters(function: Callable[..., Any]) -> list[str]:
    """The parameters that a caller has to give."""
    found = inspect.signature(function).parameters.values()
    return [
        one.name
        for one in found
        if one.default is one.empty and one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
    ]
