"""Scripts: what becomes of the ETA fleet while a show goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

_LOOK: Final = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Direction:
    """For how many ``seconds`` a show goes on, how ``slow`` ETA is to be, whom to tell each phase, and what is set when it is
    ``over`` before."""

    seconds: float
    slow: timedelta
    change: Callable[[str], None]
    over: threading.Event


class Controls(Protocol):
    """Takes the ETA fleet away and brings it back."""

    def stop_eta(self) -> None:
        """Take the ETA fleet away."""

    def start_eta(self, delay: timedelta | None = None) -> None:
        """Bring it back, each answer so much later than it could be; returns when it works."""


def outage(controls: Controls, show: Direction) -> None:
    """A third of the time all is well, a sixth ETA is gone, a sixth it is slow, and a third it is well again."""
    sixth = show.seconds / 6
    show.change("before")
    if show.over.wait(2 * sixth):
        return
    show.change("stopped")
    controls.stop_eta()
    if show.over.wait(sixth):
        return
    controls.start_eta(show.slow)
    show.change("slow")
    if show.over.wait(sixth):
        return
    controls.stop_eta()
    controls.start_eta()
    show.change("after")
    show.over.wait(2 * sixth)


def watched(is_there: Callable[[], bool], show: Direction) -> None:
    """Somebody else takes the ETA fleet away and brings it back, or not; it is only seen."""
    until = time.monotonic() + show.seconds
    there = True
    show.change("before")
    while time.monotonic() < until and not show.over.wait(_LOOK):
        if is_there() is not there:
            there = not there
            show.change("after" if there else "stopped")
