"""Wire: how a message is read. What it lets through is what :func:`~handoffs.coordinator.messaging.message.message` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from handoffs.contracts import strictjson
from handoffs.contracts.contract import valid_name
from handoffs.contracts.errors import InvalidInput, InvalidJson
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.text import is_plain
from handoffs.coordinator.continuation.signature import EVENT

_NAMES = {"id": 200, "task": 200, "handoff_run": 200, "handoff_flow": 120, "handoff_step": 1000}
"""The headers that must be there, with the most characters that each may have."""

_SHOWN = {"argsrepr": 2000, "kwargsrepr": 2000, "origin": 300, "root_id": 200, "parent_id": 200, "lang": 20}
"""The headers that people get to see, with the most characters that each may have."""

_MOST = 1_000_000


class Body(NamedTuple):
    """A message's body: the text of its envelope, the arguments of its step, and what is to come after it."""

    envelope: str
    kwargs: dict[str, Any]
    continuation: dict[str, Any]


def read_message(
    headers: Mapping[str, Any],
    body: bytes | str,
    content_type: str | None,
    content_encoding: str | None,
    limits: Limits,
) -> Body:
    """Check everything about a message that Celery or the handoff relies on, and take its body apart.

    Raises :class:`InvalidInput` where it is not what :func:`handoffs.coordinator.messaging.message.message` makes.
    """
    if (content_encoding or "").lower() != "utf-8":
        raise InvalidInput("the content encoding is not utf-8")
    _check_headers(headers)
    read = read_body(body, content_type, limits)
    kwargs = read.kwargs
    if (kwargs.get("flow"), kwargs.get("step")) != (headers["handoff_flow"], headers["handoff_step"]):
        raise InvalidInput("headers and arguments name different steps")
    _check_event(headers, kwargs)
    return read


def _check_headers(headers: Mapping[str, Any]) -> None:
    """Raise :class:`InvalidInput` where a header is not what the handoff, a log or Celery may rely on."""
    for name, longest in _NAMES.items():
        value = headers.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= longest or not is_plain(value):
            raise InvalidInput(f"the header {name!r} is missing or malformed")
    for name, longest in _SHOWN.items():
        value = headers.get(name)
        if value is not None and not (isinstance(value, str) and len(value) <= longest and is_plain(value)):
            raise InvalidInput(f"the header {name!r} is malformed: logs and Flower would show it")
    for name in ("retries", "handoff_replays", "handoff_looks"):
        count = headers.get(name, 0)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST:
            raise InvalidInput(f"the header {name!r} is no count")
    for name in ("eta", "expires", "shadow", "group", "stamped_headers", "compression", "compressed"):
        if headers.get(name) is not None:
            raise InvalidInput(f"the header {name!r} is set: Celery would act on it, past the handoff")
    if headers.get("timelimit") not in (None, [None, None]):
        raise InvalidInput("the header 'timelimit' is set: the agent declares its own")


def _check_event(headers: Mapping[str, Any], kwargs: Mapping[str, Any]) -> None:
    """Raise :class:`InvalidInput` where headers and arguments do not name the same event, by a name that a contract may have:
    it becomes a routing key."""
    event = kwargs.get("event")
    if event != headers.get("handoff_event") or (event is None and headers["task"] == EVENT):
        raise InvalidInput("headers and arguments name different events")
    if event is not None and not valid_name(event):
        raise InvalidInput("the header 'handoff_event' is no name of a contract")


def read_body(body: bytes | str, content_type: str | None, limits: Limits) -> Body:
    """Take a message's body apart.

    Raises :class:`InvalidJson` where it is not what :func:`handoffs.coordinator.messaging.message.message` makes.
    """
    if content_type != "application/json":
        raise InvalidJson("the content type is not application/json")
    value = strictjson.loads(body, limits)
    match value:
        case [[str(envelope)], dict(kwargs), dict(continuation)]:
            if _has_types([kwargs, continuation]):
                raise InvalidJson("the body holds objects that Celery would make into something else")
            return Body(envelope, kwargs, continuation)
    raise InvalidJson("the body is not [[envelope], arguments, continuation]")


def _has_types(value: Any) -> bool:
    """Whether there is a mark in it by which Kombu's decoder turns objects into dates, bytes or numbers."""
    if isinstance(value, dict):
        return "__type__" in value or any(map(_has_types, value.values()))
    return isinstance(value, list) and any(map(_has_types, value))
