"""`coordinator runs watch`: what happens in a run, while it happens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Group
from rich.live import Live

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.observe.outline import Outline, outline
from handoffs.coordinator.observe.summary import summary
from handoffs.coordinator.render.console import out, say, say_json
from handoffs.coordinator.render.run_timeline import now_table, run_timeline
from handoffs.coordinator.store.run_state import ENDED

_EVERY = 0.5
"""After how many seconds it is looked at again."""


@click.command("watch")
@click.argument("run")
@json_option
def watch_run(run: str, as_json: bool) -> None:
    """What happens in RUN, until it has ended: its timeline as `runs show` has it, drawn anew; elsewhere than in a terminal a line for each
    thing that happens.

    With --json each line is an entry of its history, as it comes. A run that is parked is watched on: it may be replayed.
    """
    with on_servers("watching a run") as coordinator:
        found = coordinator.find_run(run)
        if out.is_terminal and not as_json:
            flow = found.flow
            _draw(found, outline(flow) if flow else None)
        else:
            for entry in _news(found):
                say_json(dict(entry)) if as_json else say(_line(entry))
        status = found.status()
    if not as_json:
        say(f"run {found.id}: {status}")


def _news(run: Run) -> Iterator[Mapping[str, Any]]:
    """The entries of a run's history, each once, until it has ended."""
    told = 0
    while True:
        ended = run.status() in ENDED  # before its history, so that the last entry is in that
        history: Sequence[Mapping[str, Any]] = run.history()
        yield from history[told:]
        told = max(told, len(history))
        if ended:
            return
        _pause()


def _draw(run: Run, flow: Outline | None) -> None:
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            ended = run.status() in ENDED
            doing = run.current()
            drawn = run_timeline(run.id, run.history(), flow, doing)
            live.update(Group(drawn, now_table(doing)) if doing else drawn, refresh=True)
            if ended:
                return
            _pause()


def _pause() -> None:
    time.sleep(_EVERY)


def _line(entry: Mapping[str, Any]) -> str:
    words = (moment(entry.get("at")), entry.get("kind", ""), entry.get("step", ""), entry.get("agent", ""))
    return "  ".join([*(printable(word, 200) for word in words if word), summary(entry)]).rstrip()
