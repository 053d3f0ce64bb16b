"""`coordinator check` and `agents`: what is loaded, and whether it and the servers are in order."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import click

from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.published import sound_registry
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.flow.lineage import contracts_of
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.flow.twins import refuse_twins
from handoffs.coordinator.render.console import print_rows
from handoffs.coordinator.runtime.preflight import examine

_SOON = timedelta(seconds=5)
"""It looks at one server after the other, and is to end within 15 seconds where one hangs."""


@click.command("agents")
@json_option
def agents(as_json: bool) -> None:
    """The agents that are loaded; each has a queue of its name."""
    settings = settings_of_command()
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
    """Whether settings, modules, published contracts and servers are in order. Exit status 1 where one is not."""
    settings = settings_of_command()
    refuse_twins(contracts_of(load_modules(settings.agents)))
    versions = len(list(sound_registry(settings)))
    published = ("published contracts", f"{versions}, each as it was published")
    if settings.embedded:
        rows = [("servers", "none set: embedded in each process")]
    else:
        soon = min(settings.server_timeout, _SOON)
        with closing(Coordinator(settings.model_copy(update={"server_timeout": soon}))) as coordinator:
            coordinator.engine.register(coordinator.flows.agents.values())
            rows = examine(coordinator.engine, coordinator.journal)
    print_rows("check", ("what", "state"), [published, *rows], as_json=as_json)
