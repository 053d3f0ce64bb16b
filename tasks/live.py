"""Live: a picture on standard error that is drawn anew while something goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import RenderableType
from rich.live import Live

from handoffs.coordinator.render.console import err

EVERY: Final = 0.5
ELSEWHERE: Final = 30.0
"""Seconds between two pictures where standard error is no terminal, and they go one below the other."""


@contextmanager
def shown(
    draw: Callable[[], RenderableType], *, every: float = EVERY, elsewhere: float = ELSEWHERE
) -> Iterator[None]:
    """Draw what ``draw`` gives, ``every`` so many seconds, and once more when the block is left."""
    stop = threading.Event()
    live = Live(draw(), console=err, refresh_per_second=8) if err.is_terminal else None

    def picture() -> None:
        if live is not None:
            live.update(draw())
        else:
            err.print(draw())

    def redraw() -> None:
        while not stop.wait(every if live is not None else elsewhere):
            picture()

    painter = threading.Thread(target=redraw, name="painter", daemon=True)
    if live is not None:
        live.start()
    painter.start()
    try:
        yield
    finally:
        stop.set()
        painter.join()
        picture()
        if live is not None:
            live.stop()
