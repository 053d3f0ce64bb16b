"""Schedule: a flow that is started again and again, at times that are known beforehand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from handoffs.contracts.contract import Contract, valid_name
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import named
from handoffs.coordinator.errors import ScheduleError
from handoffs.coordinator.flow.cron import Crontab, Every, When
from handoffs.coordinator.flow.flow import Flow

_log = logging.getLogger(__name__)
_LONGEST = 120

Payload = Contract | Callable[[datetime], Contract]
"""What the runs begin with, or what makes it of the time that is due (in the schedule's time zone)."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """When ``flow`` is started, and with what. Made by :func:`schedule`."""

    name: str
    flow: Flow
    when: When
    payload: Payload
    catch_up: bool = False

    def key(self, due: datetime) -> str:
        """The idempotency key of the run of that time: the same in every process that starts it."""
        return f"{self.name}@{due:%Y-%m-%dT%H:%M:%SZ}"

    def made(self, due: datetime) -> Contract:
        """What the run of that time begins with.

        Raises :class:`~handoffs.coordinator.errors.ScheduleError` where the payload cannot be made, or is another contract, and
        the error of ours that making it raises.
        """
        payload = self.payload
        if callable(payload):
            try:
                payload = payload(self.when.local(due))
            except CoordinationError:
                raise
            except Exception as error:
                _log.debug("the payload of schedule %s was not made", self.name, exc_info=True)
                raise ScheduleError(
                    f"the payload of schedule {self.name} was not made: {type(error).__name__}",
                    f"the run of {due.isoformat()} was not started, and will be tried again",
                ) from error
        return _fitting(self.name, self.flow, payload)


def schedule(
    name: str,
    flow: Flow,
    *,
    every: timedelta | str,
    payload: Payload,
    timezone: str = "UTC",
    catch_up: bool = False,
) -> Schedule:
    """Have ``flow`` started at known times, by ``coordinator beat``. Declare it beside the flow, as an attribute of a module
    that COORDINATOR_AGENTS names.

    Parameters
    ----------
    every
        An interval in whole seconds, from one second to 366 days, counted from the beginning of 1970 in UTC; or a crontab
        line (minute, hour, day of the month, month, day of the week) by the clocks of ``timezone``.
    payload
        A function that makes what the run begins with of the time that is due, or a contract without key fields. It is
        asked again for the same time where a server failed, and must then make the same.
    catch_up
        Whether times that passed while no beat was there are made up, the newest hundred. Otherwise only the newest of
        them is, if it is not older than five minutes.

    Raises :class:`~handoffs.coordinator.errors.ScheduleError` for what cannot work.
    """
    if not valid_name(name) or len(name) > _LONGEST:
        raise ScheduleError(
            f"a schedule is called {named(name)}",
            remedy=f"a name is lower case words joined by dots and dashes, at most {_LONGEST} characters",
        )
    if not isinstance(flow, Flow):
        raise ScheduleError(f"schedule {name} starts {type(flow).__name__}", remedy="give it a Flow")
    if isinstance(payload, type):
        raise ScheduleError(
            f"schedule {name} has {named(payload)} as its payload",
            "each time that is due would be refused",
            "give a contract of it, or a function that makes one: lambda due: BooksOfDay(day=due.date())",
        )
    if not callable(payload) and _fitting(name, flow, payload).key() is not None:
        raise ScheduleError(
            f"schedule {name} always has the same {payload.ref()}, which has a key",
            "to its agents each run would be the same work, and be done once",
            "give a function that makes the payload of the time that is due",
        )
    return Schedule(name, flow, _when(name, every, timezone), payload, catch_up)


def _when(name: str, every: timedelta | str, zone: str) -> When:
    if isinstance(every, str):
        return Crontab(every, zone)
    if not isinstance(every, timedelta):
        raise ScheduleError(
            f"schedule {name} is due every {type(every).__name__}",
            remedy="give a timedelta or a crontab line",
        )
    if zone != "UTC":
        raise ScheduleError(
            f"schedule {name} has an interval and a time zone",
            remedy="an interval is the same in each zone: leave the zone out, or give a crontab line",
        )
    return Every(every)


def _fitting(name: str, flow: Flow, payload: object) -> Contract:
    if isinstance(payload, flow.accepts):
        return payload
    given = payload.ref() if isinstance(payload, Contract) else type(payload).__name__
    raise ScheduleError(
        f"schedule {name} has {given} for flow {flow.name}, which starts with {flow.accepts.ref()}",
        "no run was started",
        "give it what the flow starts with",
    )
