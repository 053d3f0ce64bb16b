"""Virtual time: what a test moves on, in eager and in embedded mode, so that what waits for hours is tried in milliseconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from handoffs.config import clock
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.client.hosting import refuse_servers
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.schedule import Schedule
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.runs.outbox import Outbox
from handoffs.coordinator.runtime.beat import Beat
from handoffs.coordinator.runtime.eager import EagerPublisher
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.store.scheduled import ScheduledRuns

FURTHEST = timedelta(days=366)
"""How far time is moved at most in one call."""

_MOMENT = timedelta(milliseconds=1)
_SETTLES = 5.0  # seconds of the host's
_GLANCE = 0.002  # seconds

_log = logging.getLogger(__name__)


class VirtualTime:
    """Time as one coordinator has it, in a process of its own: it moves from one time at which something is due to the next.

    What is due is what waits in the broker (delays, retries, timeouts, budgets), the runs that begin later, and the times of the
    schedules that are loaded. Not safe for threads.
    """

    def __init__(self, engine: Engine, desk: Desk, loaded: Loaded, host: Callable[[Flow], None]) -> None:
        """``host`` has the agents of a flow work here, of which a schedule is to start runs."""
        self._engine = engine
        self._host = host
        self._loaded = loaded
        self._outbox = Outbox(engine.services, desk)
        self._scheduled = ScheduledRuns(engine.store.redis, engine.settings)
        self._beat: tuple[Beat, list[Schedule]] | None = None

    def hold(self) -> None:
        """Let time stand still, but for :meth:`advance`. Raises :class:`~handoffs.coordinator.errors.ServerError` where there are servers."""
        self._check("held")
        self._look_at_schedules()
        clock.hold()

    def advance(self, by: timedelta) -> datetime:
        """Move time on, and have all that is due meanwhile happen at its time, in order. Gives what time it is then.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where ``by`` is not above 0 and at most :data:`FURTHEST`, and
        :class:`~handoffs.coordinator.errors.ServerError` where there are servers.
        """
        self._check("moved")
        if not timedelta() < by <= FURTHEST:
            raise InvalidData(
                f"time cannot be moved by {by}",
                "it is what it was",
                f"give more than 0 and at most {FURTHEST.days} days: advance(hours=3)",
            )
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

    def _check(self, what: str) -> None:
        refuse_servers(self._engine.settings, f"the time of servers cannot be {what}", "it is what it was")

    def _look_at_schedules(self) -> None:
        """Start what is due of the schedules that are loaded. A schedule is met when it is first looked at: it has no run for times
        before that."""
        if self._beat is None:
            schedules = list(self._loaded.definitions.schedules.values())
            self._beat = Beat(self._engine.services, schedules), schedules
            for schedule in schedules:
                self._host(schedule.flow)
        if self._beat[1]:
            self._beat[0].look()

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
        until = time.monotonic() + _SETTLES
        while not self._engine.is_idle():
            if time.monotonic() > until:
                _log.info("time moves on though agents are at work since %g s", _SETTLES)
                return
            time.sleep(_GLANCE)
