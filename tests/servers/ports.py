"""Free loopback ports that stay free while a server is down."""

import secrets
import socket
from pathlib import Path

from tests.servers.model import ServersUnavailable

_LOWEST = 20_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _first_ephemeral_port() -> int:
    return int(_EPHEMERAL_RANGE.read_text().split()[0]) if _EPHEMERAL_RANGE.exists() else 32_768


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on, below those that the kernel hands to outgoing connections.

    A client that keeps trying to reach a stopped server would otherwise be given the server's own port as its
    source sooner or later: it would be connected to itself, and the server could not start again.

    Raises
    ------
    ServersUnavailable
        A hundred ports were tried and taken.
    """
    highest = max(_first_ephemeral_port(), _LOWEST + 1_000)
    for _ in range(100):
        port = _LOWEST + secrets.randbelow(highest - _LOWEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServersUnavailable(f"servers: no free port found between {_LOWEST} and {highest}")
