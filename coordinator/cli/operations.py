"""`coordinator operations`: what is done with many dead letters at once: how far it is, ending it, going on with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import Any

import click

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.cli.exits import UNFINISHED
from handoffs.coordinator.cli.options import by_option, json_option, limit_option, reason_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.operating import Begun
from handoffs.coordinator.client.operation import Operation, Pace
from handoffs.coordinator.journal.operations import AGAIN, ELSEWISE, OperationLetter
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import bar, out, print_json, say, table, tell

_COLUMNS = ("operation", "kind", "state", "letters", "begun", "who", "what", "why")
_MOST_LETTERS = 20


@click.group()
def operations() -> None:
    """What is done with many dead letters at once: look how far it is, end it, go on with it.

    `coordinator dead-letters replay` and `archive` begin one. Its letters are those that were chosen then.
    """


@operations.command("list")
@limit_option("the newest first", least=1)
@json_option
def list_operations(limit: int, as_json: bool) -> None:
    """Operations, the newest first. One that is running for long without a sign has lost its process: resume it."""
    with on_servers("listing operations") as coordinator:
        found = coordinator.operations(limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (one.id, one.kind, one.state, one.words(), moment(one.at), one.by, one.selection, one.why)
        for one in found
    ]
    out.print(table(f"operations: {len(found):,}", _COLUMNS, rows))


@operations.command("show")
@click.argument("operation")
@json_option
def show_operation(operation: str, as_json: bool) -> None:
    """One operation: how it is done, how far it is, and the letters that were refused, or have parked again. With --json all letters."""
    with on_servers("showing an operation") as coordinator:
        found = coordinator.operation(operation)
        letters = coordinator.operation_letters(found.id)
        if as_json:
            print_json({**asdict(found), "letters": [asdict(one) for one in letters]})
            return
        print_operation(found)
        odd = (one for one in letters if one.came in {AGAIN, ELSEWISE} or one.told)
        rows = [(one.letter, one.state, _came(one)) for one in islice(odd, _MOST_LETTERS)]
        more = next(odd, None) is not None
    if rows:
        out.print(table("letters that did not go through", ("letter", "state", "what came of it"), rows))
    if more:
        say(f"these are the first {len(rows)}: --json has all of them")


@operations.command("cancel")
@click.argument("operation")
@reason_option
@by_option
@json_option
def cancel_operation(operation: str, why: str, by: str, as_json: bool) -> None:
    """End OPERATION: whoever does it stops before the next letter. What was replayed stays so, the other letters wait."""
    with on_servers("cancelling an operation") as coordinator:
        found = coordinator.cancel_operation(operation, by=by, why=why)
    print_operation(found, as_json=as_json)


@operations.command("resume")
@click.argument("operation")
@reason_option
@by_option
@json_option
def resume_operation(operation: str, why: str, by: str, as_json: bool) -> None:
    """Go on with OPERATION, which was stopped, or whose process has died. No letter is replayed twice.

    Where another process still does it, that one ends. What was stopped for its canary goes on past it. Exit status: 0 done, 3 it was
    stopped again, or some letters were refused.
    """
    with on_servers("resuming an operation") as coordinator:
        found = coordinator.operation(operation)
        begun = coordinator.operating.take(found.id, by=by, why=why)
        found = carried_on(coordinator, begun, found.pending)
    print_operation(found, as_json=as_json)
    if found.state != "done" or found.refused:
        raise click.exceptions.Exit(UNFINISHED)


def carried_on(coordinator: Coordinator, begun: Begun, total: int) -> Operation:
    """Go on with an operation, of which ``total`` letters are left, with a bar that shows how far it is."""
    with _told_how_to_go_on(begun.id), bar() as progress:
        task = progress.add_task("operation", total=total)

        def advance(_: OperationLetter) -> None:
            progress.advance(task)

        coordinator.operating.go_on(begun, advance)
    return coordinator.operation(begun.id)


@contextmanager
def _told_how_to_go_on(operation: str) -> Iterator[None]:
    """Whatever ends this process says that the operation is not over."""
    try:
        yield
    except (KeyboardInterrupt, CoordinationError):
        tell(f"operation {operation} is not over: coordinator operations resume {operation}")
        raise


def print_operation(operation: Operation, *, as_json: bool = False) -> None:
    """Print an operation, and how far it is."""
    if as_json:
        print_json(asdict(operation))
        return
    shown: dict[str, Any] = {
        "kind": operation.kind, "state": operation.state, "told": operation.told, "letters": operation.words(), "what": operation.selection,
        "how": _pace(operation.pace), "who": operation.by, "why": operation.why, "begun": moment(operation.at),
        "last sign": moment(operation.changed_at),
    }  # fmt: skip
    rows = [(name, value) for name, value in shown.items() if value]
    out.print(table(f"operation {operation.id}", ("", ""), rows))
    if operation.state == "stopped":
        say(
            f"go on: coordinator operations resume {operation.id}; or end it: coordinator operations cancel {operation.id}"
        )


def _pace(pace: Pace) -> str:
    told = [f"canary of {pace.canary}{', passed' if pace.canary_passed else ''}"] if pace.canary else []
    told += [f"{pace.rate:g} a second"] if pace.rate else []
    return "; ".join([*told, *(["stops on recurrence"] if pace.stop_on_recurrence else [])])


def _came(one: OperationLetter) -> str:
    came = {AGAIN: "parked again, for the same cause", ELSEWISE: "parked again, for another cause"}.get(
        one.came, ""
    )
    return "; ".join(filter(None, (came, one.told)))
