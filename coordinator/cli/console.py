"""`coordinator console` and `console-token`: the pages and the HTTP API, and who may use them."""

from __future__ import annotations

import secrets
import webbrowser
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from handoffs.config.addresses import Address
from handoffs.config.console import Role, Token, digest_of
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.parameters import Count
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import NotInstalled
from handoffs.coordinator.render.console import print_json, say, tell

if TYPE_CHECKING:
    from handoffs.coordinator.console.server import ConsoleServer

PORT = 8470
"""Where it listens unless another port is asked for."""


def console_server(coordinator: Coordinator, host: str, port: int) -> ConsoleServer:
    """The console of ``coordinator``, listening.

    Raises :class:`~handoffs.coordinator.errors.NotInstalled` where its packages are not there, and what
    :class:`~handoffs.coordinator.console.server.ConsoleServer` raises.
    """
    if missing := [
        name
        for name in ("authlib", "fastapi", "httpx2", "itsdangerous", "python_multipart", "uvicorn")
        if find_spec(name) is None
    ]:
        raise NotInstalled(
            f"the console needs packages that are not installed: {', '.join(missing)}",
            "it was not started",
            "pip install 'handoffs[console]'",
        )
    from handoffs.coordinator.console.server import ConsoleServer  # noqa: PLC0415 - an extra, for this command only

    return ConsoleServer(coordinator, Address(host, port))


@click.command("console")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=Count(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
@click.option("--open", "opens", is_flag=True, help="Open it in a browser.")
def console(host: str, port: int, opens: bool) -> None:
    """Serve pages to look at runs and dead letters and to work on them, and the HTTP API, until Ctrl-C.

    On 127.0.0.1 everybody on this machine may do everything. Elsewhere it asks for a token (COORDINATOR_CONSOLE__TOKENS) or has people
    sign in with OpenID Connect. Without servers in the settings, all of the system runs in this process, and ends with it.
    """
    with opened(recorded=True) as coordinator:
        server = console_server(coordinator, host, port)
        tell(f"coordinator: console at {server.url}")
        if coordinator.settings.embedded:
            tell(
                "coordinator: no servers are set, so everything is in this process, and is gone when it ends"
            )
        if opens:
            webbrowser.open(server.url)
        server.run()


@click.command("console-token")
@click.argument("name")
@click.option("--role", type=click.Choice(list(Role)), default=Role.OPERATOR, show_default=True)
@json_option
def console_token(name: str, role: str, as_json: bool) -> None:
    """Make a token for NAME, a person or a program, and what to put into COORDINATOR_CONSOLE__TOKENS for it.

    The token is shown once, and kept nowhere. With --json both are told as JSON.
    """
    token = secrets.token_urlsafe(32)
    try:
        made = Token.read(f"{name}:{role}:sha256={digest_of(token)}")
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        print_json({"name": name, "role": str(made.role), "token": token, "setting": str(made)})
        return
    say(f"token of {made.name}: {token}")
    say(f"COORDINATOR_CONSOLE__TOKENS={made}")
