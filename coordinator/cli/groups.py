"""`coordinator dead-letters groups`: what waits, by cause, and who cares for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from handoffs.coordinator.cli.options import by_option, json_option, limit_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.handoff.failure import remedy_of
from handoffs.coordinator.journal.groups import LetterGroup
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import out, print_json, say, table
from handoffs.coordinator.render.sparkline import sparkline

_COLUMNS = ("group", "count", "step", "kind", "why", "over time", "first", "last", "new since", "owner")


@click.group("groups", invoke_without_command=True)
@limit_option("the largest first", least=1)
@json_option
@click.pass_context
def groups(context: click.Context, limit: int, as_json: bool) -> None:
    """What waits, by cause: letters of one step and contract version that failed with the same error, but for numbers, ids and names.

    \b
    coordinator dead-letters groups
    coordinator dead-letters groups show 1f3a
    coordinator dead-letters groups note 1f3a "the price list of March is missing" --owner ann
    coordinator dead-letters replay --group 1f3a --canary 5 --rate 20 --stop-on-recurrence
    """
    if context.invoked_subcommand is not None:
        return
    with on_servers("listing dead letters by cause") as coordinator:
        found = coordinator.letter_groups(limit=limit)
        total = coordinator.journal.groups.total() if len(found) == limit else len(found)
    if as_json:
        print_json([_json(group) for group in found])
        return
    out.print(table(f"groups of dead letters: {total:,}", _COLUMNS, map(_row, found), right=("count",)))
    if total > len(found):
        say(f"the largest {len(found):,} of {total:,}: --limit N lists more")


@groups.command("show")
@click.argument("group")
@json_option
def show_group(group: str, as_json: bool) -> None:
    """One group: how its letters came over time, which workers and builds gave them up, one letter, and what to do."""
    with on_servers("showing a group of dead letters") as coordinator:
        found = coordinator.letter_group(group)
    _print(found, as_json=as_json)


@groups.command("note")
@click.argument("group")
@click.argument("note")
@click.option("--owner", default="", metavar="WHO", help="Who cares for it.")
@by_option
@json_option
def note_group(group: str, note: str, owner: str, by: str, as_json: bool) -> None:
    """Write down what GROUP is about, and who cares for it, in place of what is there. It stays for when the group comes back."""
    with on_servers("noting a group of dead letters") as coordinator:
        found = coordinator.note_group(group, note, owner=owner, by=by)
    _print(found, as_json=as_json)


def _json(group: LetterGroup) -> dict[str, Any]:
    return {**asdict(group), "remedy": remedy_of(group.kind, group.example)}


def _line(group: LetterGroup) -> str:
    return sparkline(group.counts, ascii_only=out.options.ascii_only)


def _why(group: LetterGroup) -> str:
    return f"{group.error}: {group.text}" if group.error else group.text


def _row(group: LetterGroup) -> tuple[object, ...]:
    return (
        group.id,
        f"{group.count:,}",
        f"{group.flow} {group.step} {group.agent}",
        group.kind,
        _why(group),
        _line(group),
        moment(group.first),
        moment(group.last),
        group.new_since,
        group.owner,
    )


def _print(group: LetterGroup, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(group))
        return
    shown = {
        "count": f"{group.count:,}", "flow": group.flow, "step": group.step, "agent": group.agent, "contract": group.contract,
        "kind": group.kind, "why": _why(group), "first": moment(group.first), "last": moment(group.last), "over time": _line(group),
        "workers": ", ".join(group.workers), "builds": ", ".join(group.builds), "new since": group.new_since, "owner": group.owner,
        "note": group.note, "noted": f"{moment(group.noted_at)} {group.noted_by}".strip(), "example": group.example,
        "remedy": remedy_of(group.kind, group.example),
    }  # fmt: skip
    out.print(table(f"group {group.id}", ("", ""), [(name, value) for name, value in shown.items() if value]))
