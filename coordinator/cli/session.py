"""Session: the settings and the coordinator of one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handoffs.config.logs import configure
from handoffs.config.settings import Settings, load
from handoffs.coordinator.client.coordinator import Coordinator


def configured() -> Settings:
    """The settings, with the log as they say."""
    settings = load()
    configure(settings.log_level)
    return settings


@contextmanager
def opened(*, quiet: bool = False) -> Iterator[Coordinator]:
    """A coordinator for one command. ``quiet``: what is parked is shown by the command, so the log need not say it."""
    settings = configured()
    if quiet and settings.log_level == "WARNING":
        configure("ERROR")
    with Coordinator(settings) as coordinator:
        yield coordinator
