"""Replay: letters are sent out again, one after the other, and what is refused is kept with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import click

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.cli.exits import UNFINISHED
from handoffs.coordinator.cli.operations import print_operation
from handoffs.coordinator.client.operation import Operation
from handoffs.coordinator.client.replayed import Came
from handoffs.coordinator.journal.operations import DONE, GONE, REFUSED, OperationLetter
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.foresight import Foreseen
from handoffs.coordinator.render.console import bar, out, print_json, say, table, tell


@dataclass(slots=True)
class Replayed:
    """The ids of the letters that were sent out, and of those that were not, with the reasons."""

    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    operation: Operation | None = None

    @classmethod
    def of(cls, operation: Operation, letters: Iterable[OperationLetter]) -> Replayed:
        """What an operation has done with its letters. Those that something else moved before their turn are among the refused."""
        made = cls(operation=operation)
        for one in letters:
            if one.state == DONE:
                made.done.append(one.letter)
            elif one.state in {REFUSED, GONE}:
                made.refused[one.letter] = one.told
        return made


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


def print_foreseen(foreseen: Iterable[Foreseen], *, as_json: bool) -> None:
    """Print what a replay of letters would do and meet, or why it would be refused. Nothing is done."""
    rows = [
        (one.letter.id, one.letter.run, one.letter.flow, f"{one.letter.step} {one.letter.agent}", one.letter.kind, one.refused, one.meets, one.follows)
        for one in foreseen
    ]  # fmt: skip
    if as_json:
        names = ("letter", "run", "flow", "step", "kind", "refused", "meets", "follows")
        print_json({"would": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    shown = [
        (*row[:5], f"refused: {row[5]}" if row[5] else "; ".join(("would be replayed", *row[6])))
        for row in rows
    ]
    out.print(table("replay, dry run", ("letter", "run", "flow", "step", "kind", "what"), shown))
    refused = sum(bool(row[5]) for row in rows)
    say(f"{len(rows) - refused} would be replayed, {refused} refused; nothing was done")


def print_replayed(outcome: Replayed, *, noun: str, as_json: bool, came: Came | None = None) -> None:
    """Print what became of letters, each called ``noun``, and what ``came`` of them, where that was waited for. Ends the command with
    status 3 where some were refused."""
    operation = outcome.operation
    stopped = operation is not None and operation.state != "done"
    if as_json:
        refused = [{noun: letter, "reason": reason} for letter, reason in outcome.refused.items()]
        more: dict[str, object] = {"came": asdict(came)} if came else {}
        if operation is not None:
            more |= {"operation": operation.id, "state": operation.state, "told": operation.told}
        print_json({"replayed": outcome.done, "refused": refused, **more})
    else:
        say(f"{len(outcome.done)} replayed")
        if came is not None:
            say(came.words())
        for letter, reason in outcome.refused.items():
            tell(f"{letter}: {printable(reason)}")
        if operation is not None and (stopped or operation.told):
            print_operation(operation)
    if outcome.refused or stopped:
        raise click.exceptions.Exit(UNFINISHED)
