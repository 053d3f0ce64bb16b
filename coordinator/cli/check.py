"""`coordinator check` and `agents`: what is loaded, and whether it and the servers are in order."""

from __future__ import annotations

import click

from handoffs.config.settings import load
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.session import configured, opened
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.render.console import print_rows
from handoffs.coordinator.runtime.preflight import examine


@click.command("agents")
@json_option
def agents(as_json: bool) -> None:
    """The agents that are loaded; each has a queue of its name."""
    settings = load()
    rows = [
        (
            agent.name,
            settings.prefix + agent.name,
            str(agent.accepts.ref()),
            str(agent.emits.ref()),
            agent.retry.attempts,
        )
        for agent in load_modules(settings.agents).agents.values()
    ]
    print_rows("agents", ("agent", "queue", "accepts", "emits", "attempts"), rows, as_json=as_json)


@click.command("check")
@json_option
def check(as_json: bool) -> None:
    """Whether settings, modules and servers are in order. Exit status 1 where one is not."""
    settings = configured()
    load_modules(settings.agents)
    if settings.embedded:
        rows = [("servers", "none set: embedded in each process")]
    else:
        with opened() as coordinator:
            coordinator.engine.register(coordinator.flows.agents.values())
            rows = examine(coordinator.engine, coordinator.journal)
    print_rows("check", ("what", "state"), rows, as_json=as_json)
