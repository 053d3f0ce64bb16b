"""`coordinator dead-letters edit`, `skip`, and `runs edit`: what a person gives to a step by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidJson
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.render.console import out
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded

_LARGEST = strictjson.DEFAULT_LIMITS.octets


class JsonObject(click.ParamType["dict[str, Any]"]):
    """A JSON object, or ``@`` and the name of a file that has one."""

    name = "JSON|@FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object. Fails for what is none, with the reason and without what it says."""
        text = self._text(value, param, ctx)
        try:
            found = strictjson.loads(text)
        except InvalidJson as error:
            self.fail(str(error), param, ctx)
        if not isinstance(found, dict):
            self.fail("it is no JSON object", param, ctx)
        return found

    def _text(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str | bytes:
        if not value.startswith("@"):
            return value
        try:
            with Path(value[1:]).open("rb") as file:
                return file.read(_LARGEST + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "that is no file name"
            self.fail(f"the file cannot be read: {reason}", param, ctx)


def _told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who does it, and why."""
    command = click.option(
        "--by", default="", metavar="WHO", help="Who does it; by default who is logged in."
    )(command)
    return click.option("--why", required=True, help="Why; it is in the run's history.")(command)


_payload = click.option(
    "--payload",
    type=JsonObject(),
    required=True,
    help="The input that it is to have, or @ and a file with it.",
)


@click.command("edit")
@click.argument("letter")
@_payload
@_told
def edit_letter(letter: str, payload: dict[str, Any], why: str, by: str) -> None:
    """Give the parked step of LETTER another input, and replay it with that.

    The input is checked against what the agent accepts; sensitive values that are left masked stay as they are. The old one does not run any more, whatever message of it comes
    again; it stays in the journal, with who edited it, and why. The agent is loaded from COORDINATOR_AGENTS.

    \b
    coordinator dead-letters show LETTER --json            what it has now, sensitive values masked
    coordinator dead-letters edit LETTER --payload @input.json --why "the amount was missing"
    """
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "editing a dead letter")
        found = coordinator.desk.letter(letter)
        coordinator.edit(found, payload, by=by, why=why)
        out.print(
            f"step {found.row.step} of run {found.row.run}: edited and replayed", markup=False, soft_wrap=True
        )


@click.command("skip")
@click.argument("letter")
@click.option(
    "--output",
    type=JsonObject(),
    required=True,
    help="What the step is to have made, or @ and a file with it.",
)
@_told
def skip_letter(letter: str, output: dict[str, Any], why: str, by: str) -> None:
    """Give the parked step of LETTER its outcome by hand: its agent does not run, and the run goes on after it.

    The outcome is checked against what the agent emits. The agent is loaded from COORDINATOR_AGENTS.

    \b
    coordinator dead-letters skip LETTER --output '{"order": "o-17", "cents": 990}' --why "agreed by phone"
    """
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "skipping a step")
        found = coordinator.desk.letter(letter)
        coordinator.skip(found, output, by=by, why=why)
        out.print(f"step {found.row.step} of run {found.row.run}: skipped", markup=False, soft_wrap=True)


@click.command("edit")
@click.argument("run")
@click.argument("step")
@_payload
@_told
def edit_step(run: str, step: str, payload: dict[str, Any], why: str, by: str) -> None:
    """Give STEP of RUN another input: where it is parked, or held because RUN is paused.

    STEP is its path, as `coordinator runs show RUN` has it. A parked step is replayed with the input, a held one begins with
    it when RUN is resumed.

    \b
    coordinator runs pause RUN
    coordinator runs edit RUN 3.stock.1 --payload @input.json --why "the wrong warehouse"
    coordinator runs resume RUN
    """
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "editing a step")
        coordinator.run(run).edit(step, payload, by=by, why=why)
        out.print(f"step {step} of run {run}: edited", markup=False, soft_wrap=True)
