"""Replay: letters are sent out again, one after the other, and what is refused is kept with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import click

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.cli.exits import UNFINISHED
from handoffs.coordinator.client.replayed import Came
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.render.console import bar, out, print_json, say, table, tell


@dataclass(slots=True)
class Replayed:
    """The ids of the letters that were sent out, and of those that were not, with the reasons."""

    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def replayed(desk: Desk, letters: Iterable[str], total: int, *, by: str = "", why: str = "") -> Replayed:
    """Replay the letters of these ids, of which there are ``total``, with a bar that shows how far it is."""
    outcome = Replayed()
    with bar() as progress:
        for letter in progress.track(letters, total=total, description="replaying"):
            try:
                desk.replay(letter, by, why)
            except CoordinationError as error:
                outcome.refused[letter] = str(error)
            else:
                outcome.done.append(letter)
    return outcome


def print_foreseen(letters: Iterable[Letter], *, as_json: bool) -> None:
    """Print what a replay of ``letters`` would do, or why it would be refused. Nothing is done."""
    rows = [
        (one.id, one.run, one.flow, f"{one.step} {one.agent}", one.kind, one.refusal()) for one in letters
    ]
    if as_json:
        names = ("letter", "run", "flow", "step", "kind", "refused")
        print_json({"would": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    shown = [(*row[:5], f"refused: {row[5]}" if row[5] else "would be replayed") for row in rows]
    out.print(table("replay, dry run", ("letter", "run", "flow", "step", "kind", "what"), shown))
    refused = sum(bool(row[5]) for row in rows)
    say(f"{len(rows) - refused} would be replayed, {refused} refused; nothing was done")


def print_replayed(outcome: Replayed, *, noun: str, as_json: bool, came: Came | None = None) -> None:
    """Print what became of letters, each called ``noun``, and what ``came`` of them, where that was waited for. Ends the command with
    status 3 where some were refused."""
    if as_json:
        refused = [{noun: letter, "reason": reason} for letter, reason in outcome.refused.items()]
        print_json({"replayed": outcome.done, "refused": refused, **({"came": asdict(came)} if came else {})})
    else:
        say(f"{len(outcome.done)} replayed")
        if came is not None:
            say(came.words())
        for letter, reason in outcome.refused.items():
            tell(f"{letter}: {printable(reason)}")
    if outcome.refused:
        raise click.exceptions.Exit(UNFINISHED)
