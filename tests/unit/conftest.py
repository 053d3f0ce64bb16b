"""No test in this folder opens a socket: what needs one is no unit test."""

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_sockets() -> Iterator[None]:
    """Refuse every new socket, Unix ones included, with `pytest_socket.SocketBlockedError`.

    Left open is what reaches nobody: socket pairs, on which event loops and `multiprocessing.Pipe` are built,
    and the Unix sockets through which multiprocessing talks to its own children.
    """
    disable_socket(allow_unix_socket=False)
    refusing_socket: Any = socket.socket
    true_socket: Any = refusing_socket.__base__

    class GuardedSocket(refusing_socket):
        def __new__(cls, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> Any:
            caller = str(sys._getframe(1).f_globals.get("__name__"))
            from_multiprocessing = family == socket.AF_UNIX and caller.startswith("multiprocessing.")
            if fileno is not None or from_multiprocessing:
                return true_socket.__new__(cls)
            return refusing_socket.__new__(cls, family, type, proto, fileno)

    socket.socket = GuardedSocket  # type: ignore[misc]
    yield
    enable_socket()
