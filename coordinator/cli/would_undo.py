"""Would undo: `--dry-run` of what cancels a run: what would be undone, and nothing is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.ended import refuse_ended
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.render.console import out, say, table

_SHOWN = 50


def dry_run_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Only say what would be undone, and in which order.")(
        command
    )


def print_would_undo(run: Run, *, compensate: bool) -> None:
    """Print what would be undone. Raises :class:`~handoffs.coordinator.cli.exits.Refusal` where the run has ended."""
    refuse_ended(run, run.status(), "cancelled", undo=compensate)
    if not compensate:
        say(f"run {run.id}: nothing would be undone: that is --compensate")
        return
    told = run.would_undo()
    rows = [(one.step, one.agent, one.undone_by, one.contract) for one in told.undone]
    out.print(table("would be undone, in this order", ("step", "agent", "undone by", "is told"), rows))
    for steps, what in (
        (told.at_work, "at work, and undone too when they finish"),
        (told.stays, "nothing undoes what these did"),
    ):
        if steps:
            more = f", and {len(steps) - _SHOWN} more" if len(steps) > _SHOWN else ""
            say(f"{what}: {printable(', '.join(steps[:_SHOWN]), 4_000)}{more}")
