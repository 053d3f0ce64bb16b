"""`coordinator actions`: what operators did."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import click

from handoffs.coordinator.cli.options import json_option, limit_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.journal.actions import LARGEST_PAGE
from handoffs.coordinator.render.console import out, print_json, table

_COLUMNS = ("when", "who", "action", "run", "letter", "note")


@click.group()
def actions() -> None:
    """Look at what operators did: replays, edits, skips, deployments, events that were forgotten."""


@actions.command("list")
@click.option("--run", default="", help="Only what was done to this run.")
@click.option("--by", default="", metavar="WHO", help="Only what this person did.")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only from then on (UTC)."
)
@limit_option("the newest first", least=1, most=LARGEST_PAGE)
@click.option("--before", type=click.IntRange(1), metavar="ID", help="Go on where another list ended.")
@json_option
def list_actions(
    run: str, by: str, since: datetime | None, limit: int, before: int | None, as_json: bool
) -> None:
    """What operators did, the newest first. Where there is more, it says how to go on."""
    begin = since.replace(tzinfo=UTC).isoformat(timespec="milliseconds") if since else ""
    with on_servers("listing actions") as coordinator:
        page = coordinator.journal.actions.page(run=run, by=by, since=begin, before=before, limit=limit)
    if as_json:
        print_json({"actions": [asdict(action) for action in page.actions], "older": page.older})
        return
    rows = [(one.at, one.who, one.action, one.run, one.letter, one.note) for one in page.actions]
    out.print(table("actions", _COLUMNS, rows))
    if page.older is not None:
        out.print(f"there are older ones: --before {page.older}")
