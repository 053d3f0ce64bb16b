"""`coordinator map`: the live topology."""

from __future__ import annotations

import time

import click
from rich.console import Group
from rich.live import Live

from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.observe.topology import LandscapeMap
from handoffs.coordinator.render.console import out, print_json
from handoffs.coordinator.render.lines import as_ascii
from handoffs.coordinator.render.map_mermaid import map_mermaid
from handoffs.coordinator.render.map_table import map_table

_EVERY = 2.0  # seconds


@click.command("map", short_help="The live topology: agents, events, queues, versions.")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid flowchart, for documents.")
@json_option
@click.option("--watch", is_flag=True, help="Draw it anew every two seconds, until Ctrl-C.")
def topology_map(as_mermaid: bool, as_json: bool, watch: bool) -> None:
    """The topology as it is now: which agents are there, which events go from whom to whom, and what waits where.

    \b
    live      workers of the agent that are alive
    depth     messages that are ready in its queue; - where there is no queue
    cons.     consumers of its queue
    outst.    steps that were sent to it and are not settled: queued, delayed, running or parked
    parked    dead letters of it that wait

    Versions and subscriptions are those that workers announce, or else those that are recorded as deployed; flows, and
    agents that nobody has announced, are those that COORDINATOR_AGENTS loads. With no servers set it is what is loaded.
    """
    if watch and (as_json or as_mermaid):
        raise click.UsageError("--watch draws on a terminal: give it without --json and --mermaid")
    with opened() as coordinator:
        if watch:
            _watched(coordinator)
        elif as_json:
            print_json(survey(coordinator).to_json())
        elif as_mermaid:
            out.print(map_mermaid(survey(coordinator)), soft_wrap=True)
        else:
            out.print(_drawn(survey(coordinator)))


def survey(coordinator: Coordinator) -> LandscapeMap:
    """The map, as a command sees it."""
    return coordinator.landscape(asks=not coordinator.settings.embedded)


def _drawn(landscape: LandscapeMap) -> Group:
    lines = list(map_table(landscape, out.width))
    for line in lines:
        line.no_wrap = True
        if out.options.ascii_only:
            line.plain = as_ascii(line.plain)
    return Group(*lines)


def _watched(coordinator: Coordinator) -> None:
    with Live(
        _drawn(survey(coordinator)), console=out, auto_refresh=False, vertical_overflow="visible"
    ) as live:
        while True:
            time.sleep(_EVERY)
            live.update(_drawn(survey(coordinator)), refresh=True)
