"""`coordinator dead-letters edit`, `skip`, and `runs edit`: what a person gives to a step by hand."""

from __future__ import annotations

from typing import Any

import click

from handoffs.coordinator.cli.options import by_option, payload_option, why_option
from handoffs.coordinator.cli.parameters import JsonObject
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.render.console import say


@click.command("edit")
@click.argument("letter")
@payload_option("The input that it is to have", kind=JsonObject())
@why_option
@by_option
def edit_letter(letter: str, payload: dict[str, Any], why: str, by: str) -> None:
    """Give the parked step of LETTER another input, and replay it with that.

    The input is checked against what the agent accepts; sensitive values that are left masked stay as they are. The old one does not run any more, whatever message of it comes
    again; it stays in the journal, with who edited it, and why. The agent is loaded from COORDINATOR_AGENTS.

    \b
    coordinator dead-letters show LETTER --json            what it has now, sensitive values masked
    coordinator dead-letters edit LETTER --payload @input.json --why "the amount was missing"
    """
    with on_servers("editing a dead letter") as coordinator:
        found = coordinator.find_letter(letter)
        coordinator.edit(found, payload, by=by, why=why)
        say(f"step {found.step} of run {found.run}: edited and replayed")


@click.command("skip")
@click.argument("letter")
@click.option(
    "--output",
    type=JsonObject(),
    required=True,
    help="What the step is to have made, or @ and a file with it.",
)
@why_option
@by_option
def skip_letter(letter: str, output: dict[str, Any], why: str, by: str) -> None:
    """Give the parked step of LETTER its outcome by hand: its agent does not run, and the run goes on after it.

    The outcome is checked against what the agent emits. The agent is loaded from COORDINATOR_AGENTS.

    \b
    coordinator dead-letters skip LETTER --output '{"order": "o-17", "cents": 990}' --why "agreed by phone"
    """
    with on_servers("skipping a step") as coordinator:
        found = coordinator.find_letter(letter)
        coordinator.skip(found, output, by=by, why=why)
        say(f"step {found.step} of run {found.run}: skipped")


@click.command("edit")
@click.argument("run")
@click.argument("step")
@payload_option("The input that it is to have", kind=JsonObject())
@why_option
@by_option
def edit_step(run: str, step: str, payload: dict[str, Any], why: str, by: str) -> None:
    """Give STEP of RUN another input: where it is parked, or held because RUN is paused.

    STEP is its path, as `coordinator runs show RUN` has it. A parked step is replayed with the input, a held one begins with
    it when RUN is resumed.

    \b
    coordinator runs pause RUN
    coordinator runs edit RUN 3.stock.1 --payload @input.json --why "the wrong warehouse"
    coordinator runs resume RUN
    """
    with on_servers("editing a step") as coordinator:
        found = coordinator.find_run(run)
        found.edit(step, payload, by=by, why=why)
        say(f"step {step} of run {found.id}: edited")
