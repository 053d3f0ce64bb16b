"""Options that several commands have, each with one meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from handoffs.config.user import current_user
from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidJson

Command = TypeVar("Command", bound=Callable[..., Any])
_LARGEST = strictjson.DEFAULT_LIMITS.octets


class JsonValue(click.ParamType[Any]):
    """A JSON value, or ``@`` and the name of a file that has one."""

    name = "JSON|@FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value. Fails for what is no strict JSON, with the reason and without what it says."""
        text = self._text(value, param, ctx)
        try:
            return strictjson.loads(text)
        except InvalidJson as error:
            self.fail(str(error), param, ctx)

    def _text(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str | bytes:
        if not value.startswith("@"):
            return value
        try:
            with Path(value[1:]).open("rb") as file:
                return file.read(_LARGEST + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "that is no file name"
            self.fail(f"the file cannot be read: {reason}", param, ctx)


class JsonObject(JsonValue):
    """A JSON object, or ``@`` and the name of a file that has one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object. Fails for what is none, with the reason and without what it says."""
        found = super().convert(value, param, ctx)
        if not isinstance(found, dict):
            self.fail("it is no JSON object", param, ctx)
        return found


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


def limit_option(order: str, *, least: int = 0, most: int | None = None) -> Callable[[Command], Command]:
    """``--limit``: how many are listed; ``order`` says which come first."""
    return click.option(
        "--limit",
        type=click.IntRange(least, most),
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
        "--timeout", type=float, default=300.0, show_default=True, help=f"Seconds to wait for {awaited}."
    )


def no_wait_option(moment: str) -> Callable[[Command], Command]:
    """``--no-wait``: return at ``moment``, and leave the rest to workers."""
    return click.option("--no-wait", is_flag=True, help=f"Return {moment} (needs servers).")
