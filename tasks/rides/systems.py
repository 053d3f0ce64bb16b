"""What the agents have in memory: made when it is first asked for, one of each in a process.

The city never changes, so that all may look at the same one. The fleet is matching's own and demand is pricing's own: no
other agent may ask for them. They live as long as the process, and each process has its own: run matching in one process
(threads are fine), or two processes may send the same driver.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Final

from handoffs.tasks.rides.brake import Brake
from handoffs.tasks.rides.city import City
from handoffs.tasks.rides.demand import Demand
from handoffs.tasks.rides.fleet import Fleet, stationed
from handoffs.tasks.rides.plan import plan_city

CITY_SEED: Final = 7
DRIVERS: Final = 300

_first_use = threading.RLock()  # two threads that ask first must not get a fleet each


def city() -> City:
    """The map, the same in every process."""
    with _first_use:
        return _city()


def fleet() -> Fleet:
    """The drivers. Matching's own."""
    with _first_use:
        return _fleet()


def demand() -> Demand:
    """The requests of late. Pricing's own."""
    with _first_use:
        return _demand()


def brake() -> Brake:
    """What slows ETA down."""
    with _first_use:
        return _brake()


def start_over() -> None:
    """Forget reservations and demand, and let go of the brake, for tests and demos. Not while agents run."""
    with _first_use:
        _fleet.cache_clear()
        _demand.cache_clear()
        _brake.cache_clear()


@cache
def _city() -> City:
    return plan_city(CITY_SEED)


@cache
def _fleet() -> Fleet:
    return Fleet(_city(), stationed(_city(), CITY_SEED, DRIVERS))


@cache
def _demand() -> Demand:
    return Demand()


@cache
def _brake() -> Brake:
    return Brake()
