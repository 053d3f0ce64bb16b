"""Brake: makes an agent slow, to see what its budget is good for."""

from __future__ import annotations

import threading
from datetime import timedelta


class Brake:
    """Makes every caller wait. Off until it is set. Safe for threads."""

    def __init__(self) -> None:
        self._wait = timedelta()
        self._never = threading.Event()

    def set(self, wait: timedelta) -> None:
        """From now on every caller waits so long; no time at all releases them."""
        self._wait = wait

    def passed(self, more: timedelta | None = None) -> None:
        """Wait as long as is set, and ``more``."""
        self._never.wait((self._wait + (more or timedelta())).total_seconds())
