"""A way to a server that can be frozen: it takes connections, and what is sent, and gives nothing back."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Passage:
    """Passes on what comes to it, until it is frozen; thawed, it passes on what came meanwhile."""

    def __init__(self, url: str, port: int) -> None:
        """``port`` is the server's where the URL names none."""
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        self._closed = False
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        here = f"{user}127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=here))
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._closed = True
        self.thaw()
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        self._open.wait()
        try:
            if self._closed:
                raise ConnectionAbortedError
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        self._sockets.append(server)
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                self._open.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
