"""Session: the settings and the coordinator of one command."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from handoffs.config.logs import configure
from handoffs.config.settings import Settings, load
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.render.streams import results_apart
from handoffs.coordinator.runtime.failure_log import FAILURES
from handoffs.coordinator.runtime.telemetry import Telemetry


def configured() -> Settings:
    """The settings, with the log as they say."""
    settings = load()
    configure(settings.log_level, settings.log_format)
    return settings


def settings_of_command() -> Settings:
    """The same for a command that prints a result: to the end of the command, whatever else is printed here, by modules and by
    agents, goes to standard error."""
    click.get_current_context().with_resource(results_apart())
    return configured()


@contextmanager
def opened(*, quiet: bool = False, recorded: bool = False) -> Iterator[Coordinator]:
    """A coordinator for one command. ``quiet``: what is parked is shown by the command, so the log need not say it. ``recorded``: what it
    starts has spans, where the settings say so."""
    settings = settings_of_command()
    telemetry = Telemetry(settings) if recorded else None
    if telemetry is not None:
        telemetry.begin()
    if quiet and settings.log_level == "WARNING":
        settings = settings.model_copy(update={"log_level": "ERROR"})
        configure("ERROR", settings.log_format)
        logging.getLogger(FAILURES).setLevel(logging.CRITICAL)
    with Coordinator(settings) as coordinator:
        yield coordinator
    if telemetry is not None:
        telemetry.end()
