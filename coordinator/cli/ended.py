"""Ended: what is asked of a run that had ended before is refused, and nothing is done to it."""

from __future__ import annotations

from handoffs.coordinator.cli.exits import Refusal
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.observe.standing import Status
from handoffs.coordinator.store.run_state import ENDED


def refuse_ended(run: Run, status: Status, asked: str, *, undo: bool = False) -> None:
    """Raise where ``status``, which a run had before ``asked`` was done to it, is that of one that has ended. With ``undo`` it says that
    nothing was undone."""
    if status in ENDED:
        nothing = "nothing of it was undone" if undo else "nothing was changed"
        raise Refusal(
            f"run {run.id} had ended before: it is {status}, and cannot be {asked}; {nothing}; "
            f"what it did: coordinator runs show {run.id}"
        )
