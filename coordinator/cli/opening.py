"""Opening: the coordinator of one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from config.logs import configure
from config.settings import Settings, load
from coordinator.client import Coordinator


def settings() -> Settings:
    """The settings, with the log as they want it."""
    found = load()
    configure(found.log_level)
    return found


@contextmanager
def opened(*, quiet: bool = False) -> Iterator[Coordinator]:
    """A coordinator for one command. ``quiet``: what is parked is shown by the command, so the log need not say it."""
    found = settings()
    if quiet and found.log_level == "WARNING":
        configure("ERROR")
    with Coordinator(found) as coordinator:
        yield coordinator
