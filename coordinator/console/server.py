"""Server: serves the console until it is told to stop, in this thread or beside what goes on in it."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from handoffs.config.addresses import Address
from handoffs.config.console import ConsoleSettings
from handoffs.config.settings import SettingsError
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.app import create_app

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PATIENCE = 2  # seconds that open pages get when the console stops


class ConsoleServer:
    """A console that listens. Raises :class:`~handoffs.config.settings.SettingsError` where it may not, or nobody can, listen there."""

    def __init__(self, coordinator: Coordinator, address: Address) -> None:
        settings = coordinator.settings.console
        _refuse_open_door(settings, address)
        secret = settings.secret.get_secret_value() if settings.secret else secrets.token_urlsafe(48)
        self._socket = _listening(address)
        self.app: FastAPI = create_app(coordinator, secret=secret, settings=settings)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app, log_config=None, access_log=False, lifespan="on", server_header=False, proxy_headers=True,
                timeout_graceful_shutdown=_PATIENCE, h11_max_incomplete_event_size=65_536,
            )
        )  # fmt: skip
        self.url = settings.public_url or f"http://{Address(address.host, self._socket.getsockname()[1])}"
        """Where browsers find it."""

    def run(self) -> None:
        """Serve until a signal."""
        self._server.run(sockets=[self._socket])

    @contextmanager
    def beside(self) -> Iterator[str]:
        """Serve in a thread; gives :attr:`url`."""
        thread = threading.Thread(target=self._in_thread, name="console", daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self._server.should_exit = True
            thread.join(_PATIENCE + 5)

    def _in_thread(self) -> None:
        self._server.run(sockets=[self._socket])  # outside the main thread, it takes no signals

    def close(self) -> None:
        """Listen no more, where it never served."""
        with contextlib.suppress(OSError):
            self._socket.close()


def _refuse_open_door(settings: ConsoleSettings, address: Address) -> None:
    if not settings.is_guarded and address.host not in _LOOPBACK:
        raise SettingsError(
            f"the console is to listen on {address}, and nobody would be asked who they are",
            "it was not started",
            "set COORDINATOR_CONSOLE__TOKENS (coordinator console-token makes one) or COORDINATOR_CONSOLE__OIDC_ISSUER, or let it listen on 127.0.0.1",
        )


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address.host, address.port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise SettingsError(
            f"nobody can listen on {address}: {error.strerror or error}",
            "the console was not started",
            "give it another port: --port 0 takes one that is free",
        ) from None
    return made
