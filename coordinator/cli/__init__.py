"""The command line: tables for people, ``--json`` for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from handoffs.config.terminal import forget_odd_size
from handoffs.coordinator.cli.opening import open_demo


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. What a person got wrong ends in one line on standard error and a non-zero exit.

    Raises :class:`SystemExit` with the status, unless that is 0: 1 nothing could be done, 2 the command line or a file is malformed,
    3 a part was refused or has not ended, 4 the journal is not as it was written, 130 it was interrupted.
    """
    forget_odd_size()
    try:
        open_demo(sys.argv[1:] if arguments is None else arguments)
        from handoffs.coordinator.cli.command_line import run  # noqa: PLC0415 - so that Ctrl-C meanwhile is caught, too

        status = run(arguments)
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("coordinator: stopped\n")
        status = 130
    if status:
        sys.exit(status)
