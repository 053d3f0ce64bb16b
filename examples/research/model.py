"""A stand-in for a model's API: the same answers each time, busy at first, not quick, and with a price."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from decimal import Decimal

PRICE = Decimal("0.000002")
"""Of a token."""


@dataclass(frozen=True)
class Reply:
    """What the API answers with a 200."""

    text: str
    tokens: int

    @property
    def cost(self) -> Decimal:
        """What it is charged with."""
        return self.tokens * PRICE


class Busy(Exception):
    """A 429: the API has no time, and says when to come back, in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"429 Too Many Requests, Retry-After: {retry_after:g}")
        self.retry_after = retry_after


class StubModel:
    """Answers with a 429 so many times at first, and takes ``seconds`` for an answer. Each answer is of 1,000 tokens."""

    def __init__(self, *, busy: int = 0, seconds: float = 0.0) -> None:
        self._busy = busy
        self._seconds = seconds
        self._lock = threading.Lock()
        self.asked: list[str] = []
        """What it has answered, and is paid for."""

    def complete(self, prompt: str) -> Reply:
        """Answer a prompt. Raises :class:`Busy`."""
        with self._lock:
            if self._busy:
                self._busy -= 1
                raise Busy(0.05)
            self.asked.append(prompt)
        time.sleep(self._seconds)
        return Reply(f"[{prompt}]", 1_000)
