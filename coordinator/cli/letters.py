"""`coordinator dead-letters`: what failed and waits, and sending it on its way again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import click
from rich.padding import Padding

from handoffs.coordinator.cli.interventions import edit_letter, skip_letter
from handoffs.coordinator.cli.options import Command, json_option
from handoffs.coordinator.cli.replay import print_replayed, replayed
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.render.console import out, print_json, table

_FILTERS: tuple[Callable[[Any], Any], ...] = (
    click.option("--flow", default="", help="Only of this flow."),
    click.option("--agent", default="", help="Only of this agent."),
    click.option("--run", default="", help="Only of this run."),
    click.option("--kind", default="", help="Only of this kind: error, invalid-input, time-limit, ..."),
)


def _filtered(command: Command) -> Command:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at what failed, and send it on its way again."""


@dead_letters.command("list")
@_filtered
@click.option("--all", "everything", is_flag=True, help="Also those that were replayed or settled.")
@json_option
def list_letters(everything: bool, as_json: bool, **chosen: Unpack[LetterFilter]) -> None:
    """What waits: why, where, since when."""
    chosen["state"] = None if everything else "waiting"
    with on_servers("listing dead letters") as coordinator:
        letters = coordinator.dead_letters(**chosen)
        if as_json:
            print_json([letter_json(letter) for letter in letters])
        else:
            out.print(letter_table(letters))


@dead_letters.command("show")
@click.argument("letter")
@json_option
def show_letter(letter: str, as_json: bool) -> None:
    """One dead letter: its error, its input with sensitive values masked, and what to do."""
    with on_servers("showing a dead letter") as coordinator:
        found = letter_json(coordinator.desk.letter(letter))
    if as_json:
        print_json(found)
        return
    rows = [
        (name, json.dumps(value) if isinstance(value, (dict, list)) else value)
        for name, value in found.items()
    ]
    out.print(table(f"dead letter {letter}", ("", ""), rows))


dead_letters.add_command(edit_letter)
dead_letters.add_command(skip_letter)


@dead_letters.command("replay")
@click.argument("letters", nargs=-1)
@_filtered
@click.option("--all", "everything", is_flag=True, help="Everything that waits.")
@json_option
def replay_letters(
    letters: tuple[str, ...], everything: bool, as_json: bool, **chosen: Unpack[LetterFilter]
) -> None:
    """Replay LETTERS by id, or those that a filter selects: each run goes on at the step that failed."""
    if not letters and not everything and not any(chosen.values()):
        raise click.UsageError("name letters, give a filter such as --flow, or say --all")
    with on_servers("replaying dead letters") as coordinator:
        if letters:
            ids = [coordinator.desk.letter(letter).id for letter in letters]
        else:
            ids = list(coordinator.journal.letters.ids(**chosen))
        outcome = replayed(coordinator.desk, ids)
    print_replayed(outcome, noun="letter", as_json=as_json)


def letter_json(letter: Letter) -> dict[str, Any]:
    """A letter as people may see it: everything but the message itself."""
    row = letter.row
    fields = {name: getattr(row, name) for name in row.__slots__ if name != "message"}
    edits = [
        {"number": edit.number, "at": edit.at, "who": edit.who, "why": edit.why} for edit in letter.edits
    ]
    return {**fields, "remedy": letter.remedy, "edits": edits}


def letter_table(letters: Sequence[Letter]) -> Padding:
    """Letters as a table."""
    rows = [
        (row.id, row.state, row.flow, f"{row.step} {row.agent}", row.kind, row.text, row.last_failed_at)
        for row in (letter.row for letter in letters)
    ]
    columns = ("letter", "state", "flow", "step", "kind", "why", "since")
    return table(f"dead letters: {len(rows)}", columns, rows)
