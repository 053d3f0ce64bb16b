"""Virtual time: what a test moves on, in eager and in embedded mode, so that what waits for hours is tried in milliseconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from handoffs.config import clock
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.client.hosting import refuse_servers
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.schedule import Schedule
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.runs.outbox import Outbox
from handoffs.coordinator.runtime.beat import GRACE, Beat
from handoffs.coordinator.runtime.eager import EagerPublisher
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.store.scheduled import ScheduledRuns

FURTHEST = timedelta(days=366)
"""How far time is moved at most in one call."""

_MOMENT = timedelta(milliseconds=1)
_SETTLES = 5.0  # seconds of the host's
_SETTLES_STILL = 0.2
"""The same once an agent was found to take longer than that: others may have something to do beside it."""
_GLANCE = 0.002  # seconds
_RETRIED = timedelta(seconds=1)
"""After how long a time of a schedule is tried again that could not be started; each further time after twice as long, until it is
passed over."""

_log = logging.getLogger(__name__)


class _Moving:
    """Who moves the time of this process."""

    _lock = threading.Lock()
    _owner = 0

    @classmethod
    def begin(cls) -> bool:
        """Wait until nobody else does, and be the one; False where this thread is it already."""
        if cls._owner == threading.get_ident():
            return False
        cls._lock.acquire()
        cls._owner = threading.get_ident()
        return True

    @classmethod
    def end(cls) -> None:
        """Be it no more."""
        cls._owner = 0
        cls._lock.release()


class VirtualTime:
    """Time as one coordinator has it, in a process of its own: it moves from one time at which something is due to the next.

    What is due is what waits in the broker (delays, retries, timeouts, budgets), the runs that begin later, and the times of the
    schedules that are loaded. Safe for threads: one of them moves time, and the others do so after it.
    """

    def __init__(
        self,
        engine: Engine,
        desk: Desk,
        loaded: Loaded,
        host: Callable[[Flow], None],
        published: Callable[[], None],
    ) -> None:
        """``host`` has the agents of a flow work here, of which a schedule is to start runs; ``published`` writes down which runs are
        published, where that is not done yet: they would seem to have been forgotten for as long as time is moved."""
        self._engine = engine
        self._host = host
        self._published = published
        self._loaded = loaded
        self._outbox = Outbox(engine.services, desk)
        self._scheduled = ScheduledRuns(engine.store.redis, engine.settings)
        self._beat: tuple[Beat, list[Schedule]] | None = None
        self._closed = False
        self._slow = False
        self._retry = _RETRIED

    def hold(self) -> None:
        """Let time stand still, but for :meth:`advance`. Raises :class:`~handoffs.coordinator.errors.ServerError` where there are servers."""
        with self._alone("held"):
            self._look_at_schedules()
            clock.hold()

    def advance(self, by: timedelta) -> datetime:
        """Move time on, and have all that is due meanwhile happen at its time, in order. Gives what time it is then.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where ``by`` is not above 0 and at most :data:`FURTHEST`, and
        :class:`~handoffs.coordinator.errors.ServerError` where there are servers.
        """
        with self._alone("moved"):
            return self._advance(by)

    def close(self) -> None:
        """Time is not this coordinator's any more."""
        self._closed = True

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Whoever holds or moves the process' time does so alone. Raises what :meth:`advance` raises."""
        refuse_servers(self._engine.settings, f"the time of servers cannot be {what}", "it is what it was")
        if self._closed:
            raise ServerError(
                f"time is to be {what} by a coordinator that is closed",
                "it is what it was",
                "use one that is open",
            )
        if not _Moving.begin():
            raise InvalidData(
                f"time is to be {what} by what happens while it is moved",
                "it is what it was",
                "let the test move it, and not an agent or what one calls",
            )
        try:
            yield
        finally:
            _Moving.end()

    def _advance(self, by: timedelta) -> datetime:
        if not timedelta() < by <= FURTHEST:
            raise InvalidData(
                f"time cannot be moved by {by}",
                "it is what it was",
                f"give more than 0 and at most {FURTHEST.days} days: advance(hours=3)",
            )
        self._slow = False
        self._published()
        self._look_at_schedules()
        self._settle()
        until = clock.now() + by
        while (due := self._next_due()) is not None and due <= until:
            clock.move(max(due - clock.now(), _MOMENT))
            self._happen()
        if until > clock.now():
            clock.move(until - clock.now())
        self._happen()
        return clock.now()

    def _look_at_schedules(self) -> None:
        """Start what is due of the schedules that are loaded. A schedule is met when it is first looked at: it has no run for times
        before that."""
        if self._beat is None:
            schedules = list(self._loaded.definitions.schedules.values())
            self._beat = Beat(self._engine.services, schedules), schedules
            for schedule in schedules:
                self._host(schedule.flow)
        if self._beat[1]:
            before = self._beat[0].fault()
            self._beat[0].look()
            self._retry = self._retry * 2 if before and self._beat[0].fault() else _RETRIED

    def _next_due(self) -> datetime | None:
        return min(self._dues(), default=None)

    def _dues(self) -> Iterator[datetime]:
        waiting = self._waiting()
        if waiting is not None:
            yield clock.now() + timedelta(seconds=waiting - clock.monotonic())
        if (scheduled := self._scheduled.next_due()) is not None:
            yield scheduled
        if self._beat is not None:
            for schedule in self._beat[1]:
                yield schedule.when.after(clock.now())
            if self._beat[0].fault() and self._retry < GRACE:
                yield clock.now() + self._retry

    def _waiting(self) -> float | None:
        """When the next message goes on that waits, on the monotonic clock."""
        publisher = self._engine.publisher
        if isinstance(publisher, EagerPublisher):
            return publisher.next_due()
        return self._engine.next_due()

    def _happen(self) -> None:
        """Let happen what is due by now, and what follows from it at once."""
        if isinstance(self._engine.publisher, EagerPublisher):
            self._engine.publisher.run_due()
        while self._outbox.begin():
            pass
        self._look_at_schedules()
        self._settle()

    def _settle(self) -> None:
        """Wait until the workers here have done what they have in hand; an agent that takes longer than some seconds is not waited
        for."""
        until = time.monotonic() + (_SETTLES_STILL if self._slow else _SETTLES)
        while not self._engine.is_idle():
            if time.monotonic() > until:
                if not self._slow:
                    _log.info("time moves on though agents are at work since %g s", _SETTLES)
                self._slow = True
                return
            time.sleep(_GLANCE)
