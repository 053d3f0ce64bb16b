"""Waiting for something to become true, with a deadline: what tests do instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T], *, description: str, timeout: float = 20.0, interval: float = 0.02
) -> T:
    """Call `predicate` until it returns something truthy, and return that.

    Parameters
    ----------
    predicate
        Called at least twice: at once, and a last time when the time is up. What it raises is not caught.
    description
        What is waited for, as it should stand in the failure: "the run is completed".
    timeout
        Seconds until the test fails.
    interval
        Seconds between two calls.

    Raises
    ------
    pytest.fail.Exception
        The time is up; the message holds the description and the last value.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() >= deadline:
            pytest.fail(f"waited {timeout:g} s in vain until {description}; last seen: {value!r}")
        time.sleep(interval)
    return value
