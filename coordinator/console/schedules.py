"""Schedules: what is started again and again: when next, what was started last, and which times nobody has taken."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from handoffs.coordinator.client.inventory import ScheduleTime
from handoffs.coordinator.console.asked import Asked
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.observe.scheduling import ScheduleStanding

router = APIRouter(tags=["schedules"])


class ScheduleLine(BaseModel):
    """A schedule. ``following``: when it is due next. ``last`` and ``run``: the time that it was done with last, and what was started for it.
    ``met``: a beat has seen it. ``overdue`` of its times, from ``since`` on, nobody has taken; with ``catches_up`` they are made up."""

    name: str
    flow: str
    when: str
    catches_up: bool
    following: datetime
    last: datetime | None
    run: str
    met: bool
    overdue: int
    since: datetime | None


class ScheduleList(BaseModel):
    """The schedules that are loaded in the console, by name."""

    schedules: list[ScheduleLine]


class StartedTime(BaseModel):
    """A time of a schedule, and the run that was started for it with its status; empty where none is known."""

    due: datetime
    run: str
    status: str


class ScheduleDetail(ScheduleLine):
    """A schedule with its times before now, newest first, and its next ones."""

    before: list[StartedTime]
    next: list[datetime]


def schedules(coordinator: Asked) -> View[ScheduleList]:
    """The schedules that are loaded in the console: what they start, when next, what they started last, and which times nobody has taken."""
    lines = [_line(one) for one in coordinator.schedules()]
    return View(ScheduleList(schedules=lines), "Schedules", twin("schedules list"))


def schedule(
    coordinator: Asked,
    name: Annotated[str, Path(max_length=200)],
    *,
    times: Annotated[int, Query(ge=1, le=50, description="So many times before now, and after.")] = 10,
) -> View[ScheduleDetail]:
    """A schedule: its times before now with the runs that were started for them, and its next ones."""
    found = coordinator.schedule(name, times)
    data = ScheduleDetail(
        **_line(found.standing).model_dump(),
        before=[_started(one) for one in found.before],
        next=list(found.following),
    )
    return View(data, name, twin("schedules list"))


def _line(found: ScheduleStanding) -> ScheduleLine:
    return ScheduleLine.model_validate(found, from_attributes=True)


def _started(one: ScheduleTime) -> StartedTime:
    return StartedTime(
        due=one.due, run=one.run.id if one.run else "", status=one.run.shown if one.run else ""
    )


add_page(router, "/schedules", schedules, template="schedules.html.j2", model=ScheduleList)
add_page(router, "/schedules/{name}", schedule, template="schedule.html.j2", model=ScheduleDetail)
