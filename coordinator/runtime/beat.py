"""Beat: Celery's beat, which starts a run for each time of each schedule that is declared."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery.beat import Scheduler, Service

from handoffs.config.health import HealthFile
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import Conflict, ServerError
from handoffs.coordinator.flow.schedule import Schedule
from handoffs.coordinator.store.schedules import Progress, ScheduleProgress

_log = logging.getLogger(__name__)

GRACE = timedelta(minutes=5)
"""How late a time may be and still count, where a schedule does not catch up."""
MOST = 100
"""How many times a schedule catches up at most, the newest."""
_PAUSE = 1.0  # seconds
_SAY_AGAIN = 60.0


class Beat:
    """Starts what is due. Any number may run at once: the key of a run is made of its schedule and its time, so the same
    time is the same run, and how far a schedule has come is kept in Redis.
    """

    def __init__(self, coordinator: Coordinator, schedules: Iterable[Schedule]) -> None:
        self._coordinator = coordinator
        self._schedules = list(schedules)
        self._ticked = ScheduleProgress(coordinator.engine.store.redis, coordinator.settings)
        self._faults: dict[str, str] = {}
        self._said: dict[str, tuple[str, float]] = {}

    def look(self) -> float:
        """Start what is due; gives the seconds until the next look. What fails is tried again then."""
        try:
            now, progress = self._ticked.read([schedule.name for schedule in self._schedules])
        except ServerError as error:
            self._faults = {"": str(error)}
            self._say("", str(error))
            return _PAUSE
        self._faults.pop("", None)
        wait = _PAUSE
        for schedule, come in zip(self._schedules, progress, strict=True):
            try:
                self._take(schedule, come, now)
                self._faults.pop(schedule.name, None)
            except CoordinationError as error:
                self._faults[schedule.name] = str(error)
                self._say(schedule.name, str(error))
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end the others, and must be seen
                self._faults[schedule.name] = f"schedule {schedule.name}: {type(error).__name__}"
                _log.exception("beat had a fault at schedule %s; trying again", schedule.name)
            else:
                wait = min(wait, (schedule.when.after(now) - now).total_seconds())
        return wait

    def fault(self) -> str:
        """What keeps it from its work now, in a line; empty where nothing does."""
        return "; ".join(dict.fromkeys(self._faults.values()))

    def run(self, stop: threading.Event, health: HealthFile) -> None:
        """Be Celery's beat until ``stop``, and say how it is."""
        if not self._schedules:
            _log.info("no schedule is declared: there is nothing to start")
        service: Any = Service(
            self._coordinator.engine.app,
            max_interval=_PAUSE,
            scheduler_cls=partial(_Clockwork, look=partial(self._tick, stop, health)),
            schedule_filename="",
        )
        service.start()
        health.say("stopping", "it starts nothing more")

    def _tick(self, stop: threading.Event, health: HealthFile) -> float:
        if stop.is_set():
            raise SystemExit
        wait = self.look()
        fault = self.fault()
        number = len(self._schedules)
        ready = (
            f"keeps {number} schedule{'' if number == 1 else 's'}" if number else "no schedule is declared"
        )
        health.say("held" if fault else "ready", fault or ready)
        return wait

    def _take(self, schedule: Schedule, come: Progress, now: datetime) -> None:
        if come.until is None:
            self._ticked.meet(schedule.name, now)
            return
        if come.until > now + GRACE:
            line = f"schedule {schedule.name} is done until {come.until.isoformat()}: Redis' clock was ahead then"
            self._say(schedule.name, f"{line}, and nothing is started before")
        if schedule.when.after(come.until) > now:
            return
        if schedule.catch_up:
            times = schedule.when.between(come.until, now, MOST)
        else:
            times = schedule.when.between(max(come.until, now - GRACE), now, 1)
        first = schedule.when.after(come.until)
        if not times or first < times[0]:
            _log.warning(
                "schedule=%s: its times from %s were missed, and are passed over",
                schedule.name,
                first.isoformat(),
            )
        for due in times:
            self._start(schedule, due)
        if not times:
            self._ticked.done(schedule.name, now)

    def _start(self, schedule: Schedule, due: datetime) -> None:
        try:
            run = self._coordinator.start(
                schedule.flow, schedule.made(due), idempotency_key=schedule.key(due)
            )
        except Conflict:  # another beat has started it, and its payload was made otherwise
            _log.warning("schedule=%s due=%s has a run with another input", schedule.name, due.isoformat())
            self._ticked.done(schedule.name, due)
            return
        self._ticked.done(schedule.name, due, run.id)
        if run.created:
            _log.info("schedule=%s due=%s run=%s", schedule.name, due.isoformat(), run.id)

    def _say(self, name: str, line: str) -> None:
        """Log a fault when it is new, and once a minute."""
        said, at = self._said.get(name, ("", 0.0))
        if said != line or time.monotonic() - at > _SAY_AGAIN:
            self._said[name] = (line, time.monotonic())
            _log.warning("%s", line)


class _Clockwork(Scheduler):
    """What Celery's beat turns: it has no entries and no file, and looks instead."""

    def __init__(self, *arguments: Any, look: Callable[[], float], **options: Any) -> None:
        self._look = look
        super().__init__(*arguments, **options)

    def setup_schedule(self) -> None:
        """There are no entries of Celery's."""

    def tick(self, *_: Any, **__: Any) -> float:
        return self._look()
