"""Replay: letters are sent out again, one after the other, and what is refused is kept with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.cli.exits import UNFINISHED
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.render.console import bar, err, out, print_json


@dataclass(slots=True)
class Replayed:
    """The ids of the letters that were sent out, and of those that were not, with the reasons."""

    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def replayed(desk: Desk, letters: Sequence[str]) -> Replayed:
    """Replay the letters of these ids, with a bar that shows how far it is."""
    outcome = Replayed()
    with bar() as progress:
        for letter in progress.track(letters, description="replaying"):
            try:
                desk.replay(letter)
            except CoordinationError as error:
                outcome.refused[letter] = str(error)
            else:
                outcome.done.append(letter)
    return outcome


def print_replayed(outcome: Replayed, *, noun: str, as_json: bool) -> None:
    """Print what became of letters, each called ``noun``. Ends the command with status 3 where some were refused."""
    if as_json:
        refused = [{noun: letter, "reason": reason} for letter, reason in outcome.refused.items()]
        print_json({"replayed": outcome.done, "refused": refused})
    else:
        out.print(f"{len(outcome.done)} replayed")
        for letter, reason in outcome.refused.items():
            err.print(f"{letter}: {printable(reason)}", markup=False, soft_wrap=True)
    if outcome.refused:
        raise click.exceptions.Exit(UNFINISHED)
