"""Beat: starts a run for each time of each schedule that is declared."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from handoffs.config.health import HealthFile
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.errors import Conflict, ServerError, Unpublished
from handoffs.coordinator.flow.schedule import Schedule
from handoffs.coordinator.handoff.interruption import interruption_of
from handoffs.coordinator.runs.start import Starts
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.schedules import Progress, ScheduleProgress

_log = logging.getLogger(__name__)

GRACE = timedelta(minutes=5)
"""How late a time may be and still count, where a schedule does not catch up."""
MOST = 100
"""How many times a schedule catches up at most, the newest."""
_PAUSE = 1.0  # seconds
_LOG_AGAIN = 60.0  # seconds


class Beat:
    """Starts what is due. Any number may run at once: the key of a run is made of its schedule and its time, so the same
    time is the same run, and how far a schedule has come is kept in Redis.
    """

    def __init__(self, services: Services, schedules: Iterable[Schedule]) -> None:
        self._starts = Starts(services)
        self._progress = ScheduleProgress(services.store.redis, services.settings)
        self._schedules = list(schedules)
        self._faults: dict[str, str] = {}
        self._logged: dict[str, tuple[str, float]] = {}

    def run(self, stop: threading.Event, health: HealthFile) -> None:
        """Start what is due until ``stop`` is set, and write how it is into the health file at least once a second."""
        if not self._schedules:
            _log.info("no schedule is declared: there is nothing to start")
        while not stop.is_set():
            wait = self.look()
            fault = self.fault()
            health.say("held" if fault else "ready", fault or self._ready())
            stop.wait(wait)
        health.say("stopping", "it starts nothing more")

    def look(self) -> float:
        """Start what is due; gives the seconds until the next look. What fails is tried again then."""
        try:
            now, progress = self._progress.read([schedule.name for schedule in self._schedules])
        except ServerError as error:
            self._faults = {"": str(error)}
            self._log_fault("", str(error))
            return _PAUSE
        self._faults.pop("", None)
        wait = _PAUSE
        for schedule, come in zip(self._schedules, progress, strict=True):
            if self._look_at(schedule, come, now):
                wait = min(wait, (schedule.when.after(now) - now).total_seconds())
        return wait

    def fault(self) -> str:
        """What keeps it from its work now, in a line; empty where nothing does."""
        return "; ".join(dict.fromkeys(self._faults.values()))

    def _ready(self) -> str:
        number = len(self._schedules)
        return f"keeps {number} schedule{'' if number == 1 else 's'}" if number else "no schedule is declared"

    def _look_at(self, schedule: Schedule, come: Progress, now: datetime) -> bool:
        """Start what is due of one schedule; gives whether that went well. A fault of one hinders no other."""
        try:
            self._take(schedule, come, now)
        except CoordinationError as error:
            self._faults[schedule.name] = str(error)
            self._log_fault(schedule.name, str(error))
        except (
            BaseException
        ) as error:  # a payload's function raises anything; that must not end the others, and must be seen
            if interruption_of(error) is not None:
                raise
            self._faults[schedule.name] = f"schedule {schedule.name}: {type(error).__name__}"
            _log.exception("beat had a fault at schedule %s; trying again", schedule.name)
        else:
            self._faults.pop(schedule.name, None)
            return True
        return False

    def _take(self, schedule: Schedule, come: Progress, now: datetime) -> None:
        if come.until is None:
            self._progress.meet(schedule.name, now)
            return
        if come.until > now + GRACE:
            line = f"schedule {schedule.name} is done until {come.until.isoformat()}: Redis' clock was ahead then"
            self._log_fault(schedule.name, f"{line}, and nothing is started before")
        first = schedule.when.after(come.until)
        if first > now:
            return
        if schedule.catch_up:
            times = schedule.when.between(come.until, now, MOST)
        else:
            times = schedule.when.between(max(come.until, now - GRACE), now, 1)
        if not times or first < times[0]:
            _log.warning(
                "schedule=%s: its times from %s were missed, and are passed over",
                schedule.name,
                first.isoformat(),
            )
        for due in times:
            self._start(schedule, due)
        if not times:
            self._progress.done(schedule.name, now)

    def _start(self, schedule: Schedule, due: datetime) -> None:
        try:
            run = self._starts.start(schedule.flow, schedule.made(due), idempotency_key=schedule.key(due))
        except Unpublished as error:  # it is accepted, and the coordinator process publishes it
            _log.warning("schedule=%s due=%s: %s", schedule.name, due.isoformat(), error)
            self._progress.done(schedule.name, due, error.run_id)
            return
        except Conflict:  # another beat has started it, and its payload was made otherwise
            _log.warning("schedule=%s due=%s has a run with another input", schedule.name, due.isoformat())
            self._progress.done(schedule.name, due)
            return
        self._progress.done(schedule.name, due, run.run_id)
        if run.created:
            _log.info("schedule=%s due=%s run=%s", schedule.name, due.isoformat(), run.run_id)

    def _log_fault(self, name: str, line: str) -> None:
        """Log a fault when it is new, and once a minute."""
        logged, at = self._logged.get(name, ("", 0.0))
        if logged != line or time.monotonic() - at > _LOG_AGAIN:
            self._logged[name] = (line, time.monotonic())
            _log.warning("%s", line)
