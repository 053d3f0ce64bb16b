"""Versions: the oldest servers that we work on."""

from __future__ import annotations

import re

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.doctor.check import Area, Check, failed, ok, warning

OLDEST = {"RabbitMQ": (3, 10), "Redis": (7, 0), "PostgreSQL": (14, 0), "SQLite": (3, 35)}
"""RabbitMQ: delivery limits and at-least-once dead-lettering of quorum queues came with 3.10. Redis: the oldest that the
tests run on. PostgreSQL: the oldest that its makers maintain. SQLite: RETURNING came with 3.35."""


def parsed(server: str) -> tuple[str, tuple[int, int]] | None:
    """Name and version of a server that is given as ``Name 1.2.3``; None where it is another."""
    match = re.match(r"(\w+) (\d+)\.(\d+)", server)
    return (match[1], (int(match[2]), int(match[3]))) if match and match[1] in OLDEST else None


def version_check(area: Area, server: str, setting: str) -> Check:
    """Whether a server, given as ``Name 1.2.3``, is as new as we need."""
    found = parsed(server)
    if found is None:
        return warning(
            area,
            "version",
            f"a server that was not tried: {printable(server, 80)}",
            f"let {setting} name another",
        )
    name, version = found
    oldest = ".".join(map(str, OLDEST[name]))
    if version < OLDEST[name]:
        return failed(
            area, "version", f"{server} is too old", f"{setting} must name a {name} of {oldest} or newer"
        )
    return ok(area, "version", f"{server}, {oldest} or newer is needed")
