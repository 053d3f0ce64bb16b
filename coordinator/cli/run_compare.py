"""`coordinator runs compare`: two runs, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.observe.difference import StepDifference, StepSide, difference
from handoffs.coordinator.observe.json_changes import Change
from handoffs.coordinator.observe.words import milliseconds
from handoffs.coordinator.render.console import out, print_json, say, table

_CHANGES = 5
"""So many places of an input or an output are printed."""


@click.command("compare")
@click.argument("left", metavar="RUN")
@click.argument("right", metavar="RUN")
@click.option("--all", "everything", is_flag=True, help="The steps that are alike too.")
@json_option
def compare_runs(left: str, right: str, everything: bool, as_json: bool) -> None:
    """In what two runs differ, step by step: what came of it, attempts, versions of contracts, duration, input, output.

    A step is the same in both where its path is. What took at least twice as long, and 20 ms more, differs in duration.
    """
    with on_servers("comparing runs") as coordinator:
        one, other = coordinator.find_run(left), coordinator.find_run(right)
        found = difference(one.history().to_json(), other.history().to_json())
    steps = found.steps if everything else found.differing
    if as_json:
        print_json({"left": one.id, "right": other.id, "steps": [step.to_json() for step in steps]})
        return
    rows = [
        (step.step or "accepted", step.agent, ", ".join(step.differs) or "alike", _side(step.left), _side(step.right), "; ".join(_changes(step)))
        for step in steps
    ]  # fmt: skip
    out.print(table("two runs", ("step", "agent", "differs in", "left", "right", "changes"), rows))
    say(f"{len(found.differing)} of {len(found.steps)} steps differ")


def _side(side: StepSide | None) -> str:
    if side is None:
        return "-"
    tries = f", {side.attempts} attempts" if side.attempts > 1 else ""
    took = f", {milliseconds(side.took_ms)}" if side.took_ms is not None else ""
    error = f": {side.error}" if side.error else ""
    return f"{side.state}{tries}{took}{error}"


def _changes(step: StepDifference) -> Iterator[str]:
    for what, some in (("input", step.input), ("output", step.output)):
        for one in some[:_CHANGES]:
            yield f"{what} {one.path}: {_told(one)}"
        if len(some) > _CHANGES:
            yield f"and {len(some) - _CHANGES} more"


def _told(change: Change) -> str:
    left, right = (
        json.dumps(value, ensure_ascii=False, default=str)[:120] for value in (change.left, change.right)
    )
    return {"added": f"+ {right}", "removed": f"- {left}"}.get(change.kind, f"{left} > {right}")
