"""deploy/stack.py and the ports of this machine."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.servers.ports import free_port
from tests.stack import load


def test_a_port_is_free_when_nobody_listens() -> None:
    """A port is free before anybody listens on it, taken while somebody does, and free again at once."""
    stack, port = load(), free_port()
    assert stack._is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not stack._is_free(port)
    assert stack._is_free(port)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_is_taken_is_named(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port on which a program listens, on loopback or everywhere, is named before anything is started."""
    stack = load()
    monkeypatch.setattr(stack, "_run", lambda *command: subprocess.CompletedProcess(command, 0, "", ""))
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(stack.Obstacle, match=rf"port {port} \(WEB_PORT\) is taken by another program"):
            stack.Stack(tmp_path / ".env")._check_ports({"WEB_PORT": str(port)})
