"""Loop: the event loop of this process, which its async agents share.

It lives in a thread of its own, as long as the process: so a client that an agent makes once, a pool of connections for example,
works in every later step, and many steps wait in it at once. A child process that is forked has another one.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, Protocol, TypeVar

from handoffs.config.forks import after_fork
from handoffs.coordinator.flow.lifespan import TASK
from handoffs.coordinator.handoff.interruption import end_of_a_child

T = TypeVar("T")

_GLANCE = 0.5  # seconds, after which it is looked whether an agent is to be told to end
_UNWIND = 5.0  # seconds, for what an agent does on its way out
_CLOSE = 3.0  # seconds

_log = logging.getLogger(__name__)
_here = threading.local()
"""``loop`` is the one that the thread runs."""


class Stop(Protocol):
    """Whether an agent at work is to end."""

    def due(self) -> str:
        """Why it is to end now; empty where it is not."""


class Loop:
    """An event loop in a thread of its own. Safe for threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._closing = False
        self._lock = threading.Lock()
        self._within: Loop | None = None
        self._begun: dict[_Begun, asyncio.Task[None]] = {}
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def within(self) -> Loop:
        """The loop for what is awaited by code that runs in this one, and does not return before: a flow in eager mode, in an
        async agent."""
        with self._lock:
            if self._within is None:
                self._within = Loop(f"{self._name}-within")
            return self._within

    def perform(self, awaitable: Awaitable[Any], stop: Stop | None = None) -> Any:
        """Await ``awaitable`` in the loop, with the caller's context variables, and give what it gives or raise what it raises.

        Once ``stop`` says so, it is cancelled. What does not end within five seconds from then on is left to itself, and counts
        as cancelled.
        """
        task = _Awaited(awaitable)
        future = asyncio.run_coroutine_threadsafe(task.run(), self._loop)
        cancelled_at: float | None = None
        try:
            while not _is_done(future):
                if cancelled_at is None and stop is not None and stop.due():
                    cancelled_at = time.monotonic()
                    self._loop.call_soon_threadsafe(task.cancel)
                elif cancelled_at is not None and time.monotonic() - cancelled_at > _UNWIND:
                    _log.warning("an async agent was cancelled and does not end: it is left to itself")
                    raise asyncio.CancelledError
            return task.result()
        finally:
            if not future.done():
                self._loop.call_soon_threadsafe(task.cancel)

    def begin(
        self,
        awaitable: Awaitable[Any],
        context: Context,
        stop: Stop,
        ended: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Begin to await ``awaitable`` in the loop, as :meth:`perform` does, and return. ``ended`` is called once, in the loop, with
        what it gave or what it raised."""
        begun = _Begun(awaitable, stop, ended)
        self._loop.call_soon_threadsafe(self._begin, begun, context)

    def _begin(self, begun: _Begun, context: Context) -> None:
        task = self._loop.create_task(begun.run(), context=context)
        self._begun[begun] = task  # the loop itself has no more than a weak reference
        task.add_done_callback(lambda _: self._end(begun))
        if len(self._begun) == 1:
            self._loop.call_later(_GLANCE, self._glance)

    def _end(self, begun: _Begun) -> None:
        self._begun.pop(begun, None)
        begun.end()

    def _glance(self) -> None:
        """Look who is to be told to end, for as long as somebody is at work."""
        now = time.monotonic()
        for begun in [*self._begun]:
            try:
                if begun.is_left(now):
                    _log.warning("an async agent was cancelled and does not end: it is left to itself")
                    begun.end()
            except Exception:  # noqa: BLE001 - it concerns one, and must be seen
                _log.exception("an async agent could not be told to end")
        if self._begun:
            self._loop.call_later(_GLANCE, self._glance)

    def close(self, within: float = _CLOSE) -> None:
        """Cancel what runs in it, and end it; ``within`` is how many seconds that may take."""
        if self._within is not None:
            self._within.close(within)
        self._closing = True
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(_end_all(within), self._loop).result(within + 1)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1)
        if not self._thread.is_alive():
            self._loop.close()

    def _run(self) -> None:
        _here.loop = self
        asyncio.set_event_loop(self._loop)
        while True:
            try:
                self._loop.run_forever()
                if self._closing:
                    return
            except BaseException as error:  # noqa: BLE001 - a task that an agent has left behind raised it: it ends no other
                _log.warning("a task of an async agent ended with %s", type(error).__name__)


class _Awaited:
    """Something that is awaited, and what came of it: as a value, for a task that raises ``SystemExit`` ends its loop."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._done = False

    async def run(self) -> None:
        self._task, pid = asyncio.current_task(), os.getpid()
        try:
            if self._cancelled and self._task is not None:
                self._task.cancel()
            self._value = await self._awaitable
            self._done = True
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error
        end_of_a_child(pid, self._error)

    def cancel(self) -> None:
        """Cancel it. In its loop only."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


class _Begun(_Awaited):
    """Something that is awaited while nobody waits for it in a thread."""

    def __init__(
        self, awaitable: Awaitable[Any], stop: Stop, ended: Callable[[Any, BaseException | None], None]
    ) -> None:
        super().__init__(awaitable)
        self._stop = stop
        self._ended: Callable[[Any, BaseException | None], None] | None = ended
        self._cancelled_at: float | None = None

    def is_left(self, now: float) -> bool:
        """Tell it to end where it is to, and say whether it was told and has not ended for long."""
        if self._cancelled_at is None:
            if self._stop.due():
                self._cancelled_at = now
                self.cancel()
            return False
        return self._ended is not None and now - self._cancelled_at > _UNWIND

    def end(self) -> None:
        """Tell what came of it, once. What has not ended counts as cancelled."""
        ended, self._ended = self._ended, None
        if ended is not None:
            error = self._error
            if error is None and not self._done:
                error = asyncio.CancelledError()
            ended(self._value, error)


def _is_done(future: concurrent.futures.Future[None]) -> bool:
    """Wait a moment for what never raises, and say whether it has ended."""
    with contextlib.suppress(TimeoutError):
        future.result(_GLANCE)
        return True
    return False


async def _end_all(within: float) -> None:
    """Cancel all, and last what they share, one after the other: what was opened last may need what was opened first."""
    until = time.monotonic() + within
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    shared = {task for task in tasks if task.get_name().startswith(TASK)}
    in_turn = sorted(shared, key=asyncio.Task.get_name, reverse=True)
    for group in (tasks - shared, *({task} for task in in_turn)):
        for task in group:
            task.cancel()
        if group:
            await asyncio.wait(group, timeout=max(until - time.monotonic(), 0.1))
    await asyncio.get_running_loop().shutdown_asyncgens()


class _OfProcess:
    """The loop of this process, once it is needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loop: Loop | None = None
        self.inherited: list[Loop] = []
        """Those of the processes that this one was forked from: they do nothing here, and nothing of them is touched."""

    def renew(self) -> None:
        """In a child that was forked, which has no thread but the one that forked it."""
        self.lock = threading.Lock()
        if self.loop is not None:
            self.inherited.append(self.loop)
        self.loop = _here.loop = None


_process = _OfProcess()
after_fork(_process, _OfProcess.renew)


def loop_of_process() -> Loop:
    """The loop for what the caller awaits: not the one that runs the caller, which would wait for itself."""
    own: Loop | None = getattr(_here, "loop", None)
    if own is not None:
        return own.within
    with _process.lock:
        if _process.loop is None:
            _process.loop = Loop("async-agents")
        return _process.loop


def called(function: Callable[[], T]) -> T:
    """Call ``function``. Where the caller's thread runs an event loop (a test that is a coroutine, a notebook) that is done in
    another one: there it may run a loop of its own, as in every worker."""
    if not _runs_a_loop():
        return function()
    own, context = getattr(_here, "loop", None), copy_context()
    found: concurrent.futures.Future[T] = concurrent.futures.Future()

    def call() -> None:
        _here.loop = own
        try:
            found.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=call, name="agent", daemon=True).start()
    return found.result()


def _runs_a_loop() -> bool:
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


def close_loop() -> None:
    """Cancel what async agents have left running, and end the loop of this process: with the process, or before."""
    with _process.lock:
        loop, _process.loop = _process.loop, None
    if loop is not None:
        loop.close()


atexit.register(
    close_loop
)  # at first, so that it comes last: until then workers in this process finish what they have begun
