"""Pace: the options that say how letters are replayed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from handoffs.coordinator.cli.options import MOST, Command
from handoffs.coordinator.cli.parameters import SECONDS, Amount, Count
from handoffs.coordinator.client.operation import Pace

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--canary", type=Count(0, MOST), default=0, metavar="N",
        help="Replay N letters first, and the others only where none of them parks again.",
    ),
    click.option(
        "--canary-wait", type=SECONDS, default=600.0, show_default=True,
        help="Seconds to wait for what comes of the canary; where some are at work still, it is stopped.",
    ),
    click.option("--rate", type=Amount(0.001, 100_000), default=None, metavar="N", help="Replay at most N letters a second."),
    click.option(
        "--stop-on-recurrence", is_flag=True, help="Stop as soon as a letter parks again for the same cause."
    ),
)  # fmt: skip


def pace_options(command: Command) -> Command:
    """``--canary``, ``--canary-wait``, ``--rate`` and ``--stop-on-recurrence``, which the command is given together, as ``pace``."""

    @wraps(command)
    def paced(
        *given: Any,
        canary: int,
        canary_wait: float,
        rate: float | None,
        stop_on_recurrence: bool,
        **others: Any,
    ) -> Any:
        return command(*given, pace=Pace(canary, canary_wait, rate, stop_on_recurrence), **others)

    made: Any = paced
    for option in reversed(_OPTIONS):
        made = option(made)
    found: Command = made
    return found
