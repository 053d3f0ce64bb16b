"""Reactor: performs what many handoffs ask for, in one thread and for all of them together.

What is asked of Redis at the same time leaves in one round trip. What is published leaves over one channel, and nothing waits there
for the confirm of another. Functions run in other threads. Nothing waits for company: what is asked alone is performed alone.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any

from handoffs.config.forks import after_fork, leave
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.requests import Asking, Invoke, Publish, Request
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging.confirms import Parcel
from handoffs.coordinator.messaging.in_flight import Line
from handoffs.coordinator.messaging.publisher import BrokerPublisher
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import RoundTrip

_log = logging.getLogger(__name__)
_LONG = 1.0  # seconds

Ended = Callable[[Any, BaseException | None], object]
"""Told what was found, or what was raised."""


class _GivenUp(Exception):
    """What was asked for is not done any more: nothing more is performed."""


class _Job:
    """One that asks, in a context of its own: what it sets, others do not see."""

    __slots__ = ("asking", "context", "ended", "publishes", "within")

    def __init__(
        self, asking: Asking[Any], ended: Ended, within: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self.asking = asking
        self.ended = ended
        self.within = within
        self.context = copy_context()
        self.publishes: Publish | None = None


class Reactor:
    """Performs what is asked, for many at once. Its thread begins with the first. What a generator that asks does itself, such as
    the checks of a contract, is done in that thread: it must not wait for anything."""

    def __init__(
        self,
        driver: Driver,
        publisher: BrokerPublisher,
        elsewhere: Callable[[Callable[[], None]], Future[None]],
    ) -> None:
        """``driver`` performs what is to be waited for alone, ``publisher`` is its, and ``elsewhere`` runs a function in another
        thread; it may raise :class:`RuntimeError` where it runs nothing any more, and cancel what it has not begun."""
        self._driver = driver
        self._publisher = publisher
        self._elsewhere = elsewhere
        self._begin()

    def _begin(self) -> None:
        self._jobs: set[_Job] = set()
        self._inbox: deque[tuple[_Job, Any, BaseException | None]] = deque()
        self._trips: list[tuple[_Job, RoundTrip]] = []
        self._posts: list[tuple[_Job, list[Parcel]]] = []
        self._line: Line[_Job] | None = None
        self._opening = False
        self._unconfirmed: Counter[_Job] = Counter()
        self._heard = 0.0
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._sleeping = False
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        after_fork(self, Reactor._forked)

    def take(
        self,
        asking: Asking[Any],
        ended: Ended,
        within: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Have all performed that is asked, functions ``within`` a block of their own. ``ended`` is called in the reactor's
        thread."""
        job = _Job(asking, ended, within)
        with self._lock:
            self._jobs.add(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="reactor", daemon=True)
                self._thread.start()
        self._put(job, None, None)

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to perform, up to ``timeout`` seconds, and end the thread; gives whether nothing was left. Nothing
        can be taken after that. What takes longer is performed all the same, and the thread ends after it."""
        with self._lock:
            done = self._lock.wait_for(lambda: not self._jobs, timeout)
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is None:
            self._close()
        else:
            with contextlib.suppress(OSError):  # it ends by itself just now
                self._wake.send(b"\0")
            if done:
                thread.join()
        return done

    def _close(self) -> None:
        self._woken.close()
        self._wake.close()

    def _forked(self) -> None:
        """The jobs of a parent, its connection and its thread stay with the parent."""
        leave(self._line, self._woken, self._wake)
        self._begin()

    # The loop

    def _run(self) -> None:
        while self._jobs or not self._closed:
            try:
                self._sleep()
                self._turn()
            except Exception:  # noqa: BLE001 - a fault of ours must not end all others' handoffs, and must be seen
                _log.exception("the reactor goes on")
        if self._line is not None:
            self._line.cut()
            self._line = None
        self._close()

    def _sleep(self) -> None:
        """Until there is something to do."""
        self._sleeping = True
        try:
            if self._inbox:
                return
            line, wait = self._line, None
            poll = select.poll()
            poll.register(self._woken, select.POLLIN)
            if line is not None and (number := line.fileno()) is not None:
                poll.register(number, select.POLLIN)
                if self._unconfirmed:
                    wait = 1000 * max(self._heard + self._publisher.timeout - time.monotonic(), 0.0) + 1
            for number, _ in poll.poll(wait):
                if number == self._woken.fileno():
                    self._woken.recv(4096)
        finally:
            self._sleeping = False

    def _turn(self) -> None:
        """All that is to be done now."""
        while self._inbox or self._trips:
            while self._inbox:
                self._go_on(*self._inbox.popleft())
            self._ask_redis()
            self._post()
        self._hear()

    def _put(self, job: _Job, found: Any, error: BaseException | None) -> None:
        """From any thread: a job goes on."""
        self._inbox.append((job, found, error))
        if self._sleeping:
            self._wake.send(b"\0")

    def _go_on(self, job: _Job, found: Any, error: BaseException | None) -> None:
        if isinstance(error, _GivenUp):
            self._end(job, None, error)
            return
        began = time.monotonic()
        try:
            if error is None:
                request = job.context.run(job.asking.send, found)
            else:
                request = job.context.run(job.asking.throw, error)
        except StopIteration as end:
            self._end(job, end.value, None)
        except BaseException as failed:  # noqa: BLE001 - it is told to the one that it concerns
            self._end(job, None, failed)
        else:
            self._perform(job, request)
        if (took := time.monotonic() - began) > _LONG:
            _log.warning(
                "a check of a contract has held up all steps of this worker for %.1f s: what waits belongs into an agent",
                took,
            )

    def _end(self, job: _Job, found: Any, error: BaseException | None) -> None:
        try:
            job.ended(found, error)
        except Exception:  # noqa: BLE001 - it concerns one, and must be seen
            _log.exception("the end of a handoff could not be told: its message comes again")
        finally:
            with self._lock:
                self._jobs.discard(job)
                if not self._jobs:
                    self._lock.notify_all()

    # Requests

    def _perform(self, job: _Job, request: Request) -> None:
        match request:
            case RoundTrip():
                self._trips.append((job, request))
            case Publish():
                self._publish(job, request)
            case Invoke() if request.begin is not None:
                self._begin_call(job, request.begin)
            case Invoke():
                self._run_elsewhere(job, request.function)

    def _run_elsewhere(self, job: _Job, function: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                with job.within():
                    found = job.context.run(function)
            except BaseException as error:  # noqa: BLE001 - it is dealt with by the one that asks
                self._put(job, None, error)
            else:
                self._put(job, found, None)

        def given_up(future: Future[None]) -> None:
            if future.cancelled():
                self._put(job, None, _GivenUp("the worker has ended before it was called"))

        try:
            self._elsewhere(run).add_done_callback(given_up)
        except RuntimeError as error:  # the worker ends at once
            self._end(job, None, error)

    def _begin_call(self, job: _Job, begin: Callable[[Callable[[Any], None]], None]) -> None:
        try:
            job.context.run(begin, lambda found: self._put(job, found, None))
        except BaseException as error:  # noqa: BLE001 - it is dealt with by the one that asks
            self._put(job, None, error)

    def _ask_redis(self) -> None:
        trips, self._trips = self._trips, []
        if not trips:
            return
        answers: list[list[Any] | Exception] = []
        try:
            answers += scripts.run_together(self._driver.redis, [trip.calls for _, trip in trips])
        except Exception as error:  # noqa: BLE001 - a fault of ours in what one asks: each is told, and none waits for ever
            answers = [error] * len(trips)
        for (job, _), found in zip(trips, answers, strict=True):
            if isinstance(found, Exception):
                self._go_on(job, None, found)
            else:
                self._go_on(job, found, None)

    # The line to the broker

    def _publish(self, job: _Job, request: Publish) -> None:
        try:
            self._driver.check(request)
        except Exception as error:  # noqa: BLE001 - it is dealt with by the one that asks
            self._put(job, None, error)
            return
        job.publishes = request
        parcels = None
        if not request.delay and self._has_line():
            parcels = self._publisher.at_once(request.messages, request.declare)
        if parcels is None:
            self._publish_alone(job)
        elif parcels:
            self._posts.append((job, parcels))
        else:
            self._put(job, None, None)

    def _publish_alone(self, job: _Job) -> None:
        """With all that may have to be waited for: room, queues that are to be declared, a broker that is away. What was sent
        before is sent once more: a message that comes twice counts once."""
        request = job.publishes
        assert request is not None
        self._run_elsewhere(job, lambda: self._driver.answer(request))

    def _has_line(self) -> bool:
        """Whether there is a line that takes messages; where there is none, another thread opens one."""
        if self._line is not None:
            return not self._line.blocked
        if not self._opening:
            self._opening = True
            threading.Thread(target=self._open, name="reactor-line", daemon=True).start()
        return False

    def _open(self) -> None:
        try:
            self._line = self._publisher.in_flight()
        except ServerError as error:
            _log.debug("%s", error)  # who publishes alone says it
        finally:
            self._opening = False

    def _post(self) -> None:
        posts, self._posts = self._posts, []
        for number, (job, parcels) in enumerate(posts):
            if self._line is None:
                self._publish_alone(job)
                continue
            if not self._unconfirmed:
                self._heard = time.monotonic()
            self._unconfirmed[job] = len(parcels)
            try:
                self._line.post(parcels, job)
            except Exception as error:  # noqa: BLE001 - whatever it is, of a message or of the line
                self._lose(error)
                for other, _ in posts[number + 1 :]:
                    self._publish_alone(other)
                return

    def _hear(self) -> None:
        """Let those go on whose messages the broker has taken."""
        if self._line is None:
            return
        try:
            answers = self._line.answers()
        except Exception as error:  # noqa: BLE001 - whatever it is, the line is of no use any more
            self._lose(error)
            return
        now = time.monotonic()
        if answers:
            self._heard = now
        for job, taken in answers:
            if job not in self._unconfirmed:
                continue  # another message of it was refused
            if not taken:
                del self._unconfirmed[job]
                self._publish_alone(job)
            elif self._unconfirmed[job] > 1:
                self._unconfirmed[job] -= 1
            else:
                del self._unconfirmed[job]
                self._put(job, None, None)
        if self._unconfirmed and now > self._heard + self._publisher.timeout:
            self._lose(TimeoutError("it does not confirm what it was sent"))

    def _lose(self, error: Exception) -> None:
        """The line is of no use any more: what was on its way is sent once more."""
        _log.info("a line to the broker is lost: %s: %s", type(error).__name__, error)
        line, self._line = self._line, None
        left, self._unconfirmed = list(self._unconfirmed), Counter()
        if line is not None:
            threading.Thread(target=line.cut, name="reactor-line", daemon=True).start()
        for job in left:
            self._publish_alone(job)
