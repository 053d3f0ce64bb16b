"""Main: the command line as a whole. Each command is a thin skin over the Python API."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.cli.actions import actions
from handoffs.coordinator.cli.check import agents, check
from handoffs.coordinator.cli.contracts import contracts
from handoffs.coordinator.cli.demo import demo
from handoffs.coordinator.cli.events import events
from handoffs.coordinator.cli.flows import flows
from handoffs.coordinator.cli.letters import dead_letters
from handoffs.coordinator.cli.map import topology_map
from handoffs.coordinator.cli.processes import beat, flower, health, serve, worker
from handoffs.coordinator.cli.runs import runs
from handoffs.coordinator.cli.schedules import schedules
from handoffs.coordinator.cli.start import start
from handoffs.coordinator.cli.trace import trace
from handoffs.coordinator.render.console import err


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. A user's mistake ends in one line on standard error and a non-zero exit.

    Raises :class:`SystemExit` with the status, unless that is 0.
    """
    try:
        status = cli.main(args=arguments, prog_name="coordinator", standalone_mode=False)
        if isinstance(status, int) and status:
            sys.exit(status)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        err.print("coordinator: stopped")
        sys.exit(130)
    except CoordinationError as error:
        err.print(f"coordinator: {error}", markup=False, soft_wrap=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="handoffs", prog_name="coordinator")
def cli() -> None:
    """Coordinates agents: starts flows, shows runs, and brings back what failed.

    Settings come from COORDINATOR_* variables. With none set everything runs in this process, and ends with it.

    \b
    coordinator demo payments                                        see it work, no server needed
    coordinator start payments.payment --input payments.jsonl        a run for each line
    coordinator events emit NAME --payload '{...}'                   an event, to all who subscribe to it
    coordinator trace ID                                             what became of it, and of all that it led to
    coordinator map                                                  who is there, and what goes from whom to whom
    coordinator dead-letters list                                    what failed and waits
    coordinator dead-letters replay --flow payments.payment          go on where it failed
    """


for _command in (
    start, runs, dead_letters, actions, events, trace, topology_map, flows, schedules, contracts, agents, check,
    worker, serve, beat, flower, health, demo,
):  # fmt: skip
    cli.add_command(_command)
