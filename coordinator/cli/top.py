"""`coordinator top`: the installation in numbers, drawn anew each second."""

from __future__ import annotations

from time import sleep

import click
from rich.live import Live

from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.parameters import SECONDS
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.render.console import out, print_json
from handoffs.coordinator.render.reading_view import reading_view

_SHORTEST = 0.2  # seconds


@click.command("top", short_help="What runs, waits and is at work now, drawn anew each second.")
@click.option("--interval", type=SECONDS, default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Look once, print it, and end.")
@json_option
def top(interval: float, once: bool, as_json: bool) -> None:
    """Runs by status, handoffs a second, dead letters by kind, and by agent its workers and what waits, until Ctrl-C.

    \b
    workers   those of the agent that are alive
    queued    messages that are ready in its queue; - where there is no queue
    in hand   steps that workers have, or that a delay holds back
    parked    dead letters of it that wait
    oldest    for how long the oldest of its steps has waited that is not parked

    What a server that is away would say is ?, with since when. --json is one reading, for programs. Where the output is no
    terminal it is printed once.
    """
    with opened() as coordinator:
        if as_json:
            print_json(coordinator.reading().to_json())
        elif once or not out.is_terminal:
            out.print(reading_view(coordinator.reading()))
        else:
            with Live(
                reading_view(coordinator.reading()), console=out, auto_refresh=False, screen=True
            ) as live:
                while True:
                    sleep(max(interval, _SHORTEST))
                    live.update(reading_view(coordinator.reading()), refresh=True)
