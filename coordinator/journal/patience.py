"""Patience: how long a thread waits for the journal's database."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Patience:
    """For so many ``seconds`` each answer is waited for; several together where a block says so. Safe for threads."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._here = threading.local()

    def until(self) -> float:
        """Until when the next answer is waited for, in the seconds of :func:`time.monotonic`."""
        until: float | None = getattr(self._here, "until", None)
        return time.monotonic() + self.seconds if until is None else until

    @contextmanager
    def once(self) -> Iterator[None]:
        """All answers of the block together are waited for as long as one."""
        with self._set(time.monotonic() + self.seconds):
            yield

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """In the block every answer is waited for as long as it takes."""
        with self._set(math.inf):
            yield

    @contextmanager
    def _set(self, until: float) -> Iterator[None]:
        before: float | None = getattr(self._here, "until", None)
        self._here.until = until
        try:
            yield
        finally:
            self._here.until = before
