"""`coordinator actions`: what operators did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import attrgetter
from typing import Any

import click

from handoffs.coordinator.cli.filtered import id_of_run
from handoffs.coordinator.cli.options import Command, json_option, limit_option, since_option
from handoffs.coordinator.cli.parameters import Count
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client import given
from handoffs.coordinator.journal.actions import LARGEST_PAGE
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import out, print_json, say, say_json, table

_COLUMNS = ("when", "who", "action", "run", "letter", "why")


def _chosen(command: Command) -> Command:
    command = since_option("what was done")(command)
    command = click.option("--by", default="", metavar="WHO", help="Only what this person did.")(command)
    return click.option(
        "--run", default="", help="Only what was done to this run (the beginning of its id will do)."
    )(command)


@click.group()
def actions() -> None:
    """What people did, the audit trail: who, what, why, when, to which run. Also called `coordinator audit`."""


@actions.command("list")
@_chosen
@limit_option("the newest first", least=1, most=LARGEST_PAGE)
@click.option("--before", type=Count(1, 10**18), metavar="ID", help="Go on where another list ended.")
@json_option
def list_actions(
    run: str, by: str, since: datetime | None, limit: int, before: int | None, as_json: bool
) -> None:
    """What people did, the newest first: cancelled, paused, resumed or gave up a run, sent a signal, replayed, edited or skipped a step,
    recorded or withdrew a deployment, replayed or forgot events, sealed letters anew. Where there is more, it says how to go on."""
    with on_servers("listing actions") as coordinator:
        run = id_of_run(coordinator, run)
        page = coordinator.actions_page(run=run, by=by, since=since, before=before, limit=limit)
    if as_json:
        print_json({"actions": [asdict(action) for action in page.actions], "older": page.older})
        return
    rows = [
        (moment(one.at), one.who, one.action, one.run, one.letter, one.note)
        for one in sorted(page.actions, key=attrgetter("at"), reverse=True)
    ]
    out.print(table("actions", _COLUMNS, rows))
    if page.older is not None:
        say(f"there are older ones: --before {page.older}")


@actions.command("export")
@_chosen
def export_actions(run: str, by: str, since: datetime | None) -> None:
    """What people did as JSON lines, the oldest first; with --run also what the run's steps were given and made.

    Each line is an object: `record` is `action` (at, who, action, run, letter, note), or `history` (an entry of the run's history: its
    kind, step, agent, input and output). Times are ISO 8601 in UTC. Sensitive values are masked.

    \b
    coordinator actions export --since 30d > actions.jsonl
    coordinator actions export --run 3f2a | grep '"record": "action"'
    """
    with on_servers("exporting actions") as coordinator:
        run = id_of_run(coordinator, run)
        for action in coordinator.actions(run=run, by=by, since=since):
            say_json({"record": "action", **{k: v for k, v in asdict(action).items() if k != "id"}})
        if run:
            for entry in _told(coordinator.history(run), by, given.since(since)):
                say_json({"record": "history", **entry})


def _told(history: Sequence[Mapping[str, Any]], by: str, since: str) -> Iterator[Mapping[str, Any]]:
    """The entries of a run that were written then or later; where what one person did is asked for, only those of it."""
    return (
        entry for entry in history if str(entry.get("at", "")) >= since and by in ("", entry.get("by", ""))
    )
