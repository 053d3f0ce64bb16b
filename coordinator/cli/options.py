"""Options that several commands have, each with one meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from handoffs.config.user import current_user
from handoffs.coordinator.cli.parameters import SECONDS, Count, JsonValue, Since

Command = TypeVar("Command", bound=Callable[..., Any])
MOST = 10**9
"""The most that a number of things can be asked to be."""


def json_option(command: Command) -> Command:
    """``--json``: print for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")(command)


def by_option(command: Command) -> Command:
    """``--by``: who does it."""
    return click.option(
        "--by",
        default=current_user,
        show_default="who is logged in",
        metavar="WHO",
        help="Who does it; it is kept with what was done.",
    )(command)


def build_option(command: Command) -> Command:
    """``--build``: the name of a build that is made from the loaded code."""
    return click.option(
        "--build", default="", help="Name the build; by default a digest of its manifest does."
    )(command)


def why_option(command: Command) -> Command:
    """``--why``: the reason, which must be given."""
    return click.option("--why", required=True, help="Why; it is in the run's history.")(command)


def reason_option(command: Command) -> Command:
    """``--why``: the reason, which may be given."""
    return click.option(
        "--why",
        "--note",
        "why",
        default="",
        help="Why; it is kept with what was done: coordinator actions list.",
    )(command)


def since_option(what: str) -> Callable[[Command], Command]:
    """``--since``: ``what`` says what happened then or later."""
    return click.option(
        "--since",
        type=Since(),
        default=None,
        help=f"Only {what} then or later: 2026-11-30, 2026-11-30T12:00, 12:00 (the time here), or how long ago: 30min, 2h, 7d.",
    )


def until_option(what: str) -> Callable[[Command], Command]:
    """``--until``: ``what`` says what happened before."""
    return click.option(
        "--until", type=Since(), default=None, help=f"Only {what} before: a moment as for --since."
    )


def limit_option(order: str, *, least: int = 0, most: int = MOST) -> Callable[[Command], Command]:
    """``--limit``: how many are listed; ``order`` says which come first."""
    return click.option(
        "--limit",
        type=Count(least, most),
        default=50,
        show_default=True,
        help=f"How many to list, {order}.",
    )


def yes_option(command: Command) -> Command:
    """``--yes``: do it without a question."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def payload_option(
    meaning: str, *, required: bool = True, kind: click.ParamType[Any] | None = None
) -> Callable[[Command], Command]:
    """``--payload``: a JSON object, or a file of one; ``meaning`` says what it is. Its contract says what is wrong with it,
    unless ``kind`` does."""
    return click.option(
        "--payload",
        type=kind or JsonValue(),
        required=required,
        help=f"{meaning}, as a JSON object, or @ and a file of one.",
    )


def timeout_option(awaited: str) -> Callable[[Command], Command]:
    """``--timeout``: how long to wait for ``awaited``, in seconds."""
    return click.option(
        "--timeout", type=SECONDS, default=300.0, show_default=True, help=f"Seconds to wait for {awaited}."
    )


def no_wait_option(moment: str) -> Callable[[Command], Command]:
    """``--no-wait``: return at ``moment``, and leave the rest to workers."""
    return click.option("--no-wait", is_flag=True, help=f"Return {moment} (needs servers).")
