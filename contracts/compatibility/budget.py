"""Budget: how much work a comparison may cost before its verdict is "unknown"."""

from __future__ import annotations

import time
from dataclasses import dataclass

_LOOK = 64


class Exhausted(Exception):
    """The budget is spent, or the schemas are nested deeper than a comparison follows."""


@dataclass(slots=True)
class Budget:
    """Counts steps, each of bounded cost, and looks at the clock now and then.

    ``steps`` and ``seconds`` are what is left to spend. :meth:`spend` raises :class:`Exhausted`.
    """

    steps: int = 60_000
    seconds: float = 2.0
    spent: int = 0
    _deadline: float = 0.0

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.seconds

    def spend(self, cost: int = 1) -> None:
        """Take ``cost`` steps."""
        before = self.spent
        self.spent += cost
        if self.spent > self.steps:
            raise Exhausted(f"more than {self.steps} steps")
        if before // _LOOK != self.spent // _LOOK and time.monotonic() > self._deadline:
            raise Exhausted(f"more than {self.seconds:g} s")
