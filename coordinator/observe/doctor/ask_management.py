"""Asks RabbitMQ's management API what the doctor wants to know."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.doctor.management import ManagementFacts

_COLUMNS = "name,arguments,policy,operator_policy,effective_policy_definition,members,online"
_MOST_OCTETS = 32 * 2**20


def virtual_host(broker_url: str) -> str:
    """The virtual host that a URL of RabbitMQ names."""
    path = urlsplit(broker_url.split(";", maxsplit=1)[0].strip()).path
    return unquote(path[1:]) or "/"


def management_facts(url: str, vhost: str, seconds: float) -> ManagementFacts:
    """What it says. Raises :class:`~handoffs.coordinator.errors.ServerError` where it cannot be asked; nothing of the URL is told."""
    try:
        nodes = _get(url, "nodes?columns=name,running,mem_alarm,disk_free_alarm,partitions", seconds)
        queues = _get(url, f"queues/{quote(vhost, safe='')}?disable_stats=true&columns={_COLUMNS}", seconds)
    except (OSError, HTTPException, ValueError) as error:
        raise ServerError(
            f"RabbitMQ's management API cannot be asked: {type(error).__name__}: {printable(error, 200)}",
            "policies, delay queues and nodes are not known",
            "check FLOWER_BROKER_API, and that its user has the tag monitoring",
        ) from error
    return ManagementFacts(_listed(nodes), _listed(queues))


def _get(url: str, path: str, seconds: float) -> Any:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # whose text has a part of the URL
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("it is no URL: http://USER:PASSWORD@HOST:15672/api/")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    connection = kind(host, port, timeout=max(seconds, 0.01))
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/{path}", headers=headers)
        answer = connection.getresponse()
        body = answer.read(_MOST_OCTETS)
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"it answers {answer.status} {answer.reason}")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("it answers what is no JSON") from None


def _listed(found: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()
