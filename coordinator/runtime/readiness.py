"""Readiness: a process that cannot work yet is held. It stays, says why in one line, and goes on by itself once that is mended.

A process that ended instead would be started again and again by its supervisor, and its reason would be buried.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from handoffs.config.health import HealthFile
from handoffs.coordinator.errors import ServerError

T = TypeVar("T")
_log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5  # seconds
_LONGEST_PAUSE = 5.0  # seconds
_LOG_AGAIN = 60.0  # seconds


def until_ready(
    attempt: Callable[[], T],
    health: HealthFile,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Call ``attempt`` until it raises no :class:`ServerError`, and give what it returns.

    The reason is written into the health file, and logged when it changes and once a minute. ``pause`` waits for so many
    seconds; what it raises ends the waiting. Raises what else ``attempt`` raises.
    """
    wait, logged, logged_at = _FIRST_PAUSE, "", 0.0
    while True:
        try:
            return attempt()
        except ServerError as error:
            line = str(error)
        health.say("held", line)
        if line != logged or clock() - logged_at >= _LOG_AGAIN:
            _log.error("held: %s", line)
            logged, logged_at = line, clock()
        pause(wait)
        wait = min(wait * 2, _LONGEST_PAUSE)
