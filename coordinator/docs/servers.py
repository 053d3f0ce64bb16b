"""Servers: the brokers that the settings name, without who logs in to them."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from handoffs.coordinator.docs.model import Server

_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_VHOST = re.compile(r"[\w.~-]{0,200}")
_PORTS = {"amqp": 5672, "amqps": 5671}


def servers(broker_url: str | None) -> tuple[Server, ...]:
    """The brokers of ``broker_url``, several separated by semicolons.

    One is left out where it is not certain that what would be shown of it is no part of a password.
    """
    found = [_server(url.strip()) for url in (broker_url or "").split(";")]
    return tuple(server for server in found if server is not None)


def _server(url: str) -> Server | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    protocol = "amqps" if parts.scheme == "amqps" else "amqp"
    vhost = unquote(parts.path.removeprefix("/"))
    certain = url.count("@") <= 1 and url.count("@") == parts.netloc.count("@")
    if not certain or host is None or not _HOST.fullmatch(host) or not _VHOST.fullmatch(vhost):
        return None
    shown = f"[{host}]" if ":" in host else host
    return Server(f"{shown}:{port or _PORTS[protocol]}", protocol, vhost)
