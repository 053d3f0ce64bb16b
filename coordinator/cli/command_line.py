"""Command line: the tree of commands as a whole, and how each ends. Each command is a thin skin over the Python API."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import click

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.cli.actions import actions
from handoffs.coordinator.cli.approvals import approvals
from handoffs.coordinator.cli.check import agents, check
from handoffs.coordinator.cli.console import console, console_token
from handoffs.coordinator.cli.contracts import contracts
from handoffs.coordinator.cli.demo import demo
from handoffs.coordinator.cli.doctor import doctor
from handoffs.coordinator.cli.events import events
from handoffs.coordinator.cli.exits import NOBODY_READS, raised_at
from handoffs.coordinator.cli.flows import flows
from handoffs.coordinator.cli.journal import journal
from handoffs.coordinator.cli.letters import dead_letters
from handoffs.coordinator.cli.map import topology_map
from handoffs.coordinator.cli.new import new
from handoffs.coordinator.cli.operations import operations
from handoffs.coordinator.cli.parameters import Utf8
from handoffs.coordinator.cli.processes import beat, flower, health, serve, worker
from handoffs.coordinator.cli.runs import runs
from handoffs.coordinator.cli.schedules import schedules
from handoffs.coordinator.cli.start import start
from handoffs.coordinator.cli.top import top
from handoffs.coordinator.cli.trace import trace
from handoffs.coordinator.handoff.interruption import interruption_of
from handoffs.coordinator.render.console import err, tell
from handoffs.coordinator.render.streams import OutputFailed, ReaderGone, output_failed, own_streams

_log = logging.getLogger(__name__)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give the exit status. What a person got wrong is one line on standard error."""
    with own_streams():
        try:
            status = cli.main(args=arguments, prog_name="coordinator", standalone_mode=False)
        except BaseException as error:  # people are not shown where in our code it was
            if not isinstance(error, Exception) and interruption_of(error) is not None:
                raise
            status, line = _ended(error)
            with suppress(OutputFailed, ReaderGone):
                if line:
                    tell(line)
        return status if isinstance(status, int) else 0


def _ended(error: BaseException) -> tuple[int, str]:
    """With which status an error ends a command, and the line that is told of it; empty where there is nothing to tell."""
    match error:
        case click.ClickException():
            return error.exit_code, _of_click(error)
        case click.Abort():
            return 130, "coordinator: stopped"
        case ReaderGone():
            return NOBODY_READS, ""
        case CoordinationError():
            return 1, f"coordinator: {error}"
        case OSError(errno=errno.ENOSPC):
            return 1, f"coordinator: {output_failed(error)}"
        case _:
            _log.debug("where it was raised", exc_info=error)
            return 1, f"coordinator: {_unforeseen(error)}"


def _of_click(error: click.ClickException) -> str:
    """What is wrong with a command line, and where it is said how it must be."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "coordinator"
    said = error.format_message().rstrip(".")
    return (
        f"{command}: {said}; see {command} --help"
        if isinstance(error, click.UsageError)
        else f"{command}: {said}"
    )


def _unforeseen(error: BaseException) -> str:
    """An error that is none of ours: nobody thought of it, so it says where it was raised. It may be one that would end the program
    without a word, such as the ``SystemExit`` of a validator."""
    return (
        f"{type(error).__name__}: {error}{raised_at(error)}; it is not known what was done by then; "
        "COORDINATOR_LOG_LEVEL=DEBUG shows where it comes from"
    )


_ALSO = {"letters": "dead-letters", "audit": "actions"}
"""What people call commands as well."""


class _Interruptible(click.Group):
    """Click answers Ctrl-C with a line of its own, an empty one."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or of another that people call it by."""
        return super().get_command(ctx, _ALSO.get(cmd_name, cmd_name))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is asked for. Raises :class:`click.Abort` for Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if err.is_terminal:
                err.print()  # after ^C
            raise click.Abort from None


@click.group(
    cls=_Interruptible, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="handoffs", prog_name="coordinator")
def cli() -> None:
    """Coordinates agents: starts flows, shows runs, and brings back what failed.

    Where the id of a run or of a letter is asked for, its beginning will do, four characters at least.

    Settings come from COORDINATOR_* variables. With none set everything runs in this process, and ends with it.

    \b
    coordinator demo payments                                        see it work, no server needed
    coordinator new shop                                             a small project of your own, to begin with
    coordinator start payments.payment --input payments.jsonl        a run for each line
    coordinator events emit NAME --payload '{...}'                   an event, to all who subscribe to it
    coordinator trace ID                                             what became of it, and of all that it led to
    coordinator map                                                  who is there, and what goes from whom to whom
    coordinator runs list --key o-17                                 what became of an order
    coordinator approvals list                                       what waits for a person
    coordinator console                                              all of this as pages, and an HTTP API
    coordinator dead-letters list                                    what failed and waits
    coordinator dead-letters groups                                  the same, by cause
    coordinator dead-letters replay --flow payments.payment          go on where it failed
    coordinator journal verify                                       is the history as it was written?
    coordinator doctor                                               is all in order, and what to do where it is not
    coordinator top                                                  what runs and waits now, each second
    """


for _command in (
    start, runs, approvals, dead_letters, operations, actions, journal, events, trace, topology_map, flows, schedules, contracts, agents, check,
    doctor, top, worker, serve, beat, flower, console, console_token, health, demo, new,
):  # fmt: skip
    cli.add_command(_command)


def _commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _commands(inner)


for _command in _commands(cli):  # what comes in as text goes on as text: into Redis, the journal, a message
    for _parameter in _command.params:
        if _parameter.type is click.STRING:
            _parameter.type = Utf8()
