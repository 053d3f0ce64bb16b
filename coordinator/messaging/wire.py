"""Wire: how a message is read. What it lets through is what :func:`~handoffs.coordinator.messaging.message.message` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from celery.app.task import Context

from handoffs.contracts import strictjson
from handoffs.contracts.contract import valid_name
from handoffs.contracts.errors import InvalidData, InvalidInput, InvalidJson
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.text import is_plain
from handoffs.coordinator.continuation import schema
from handoffs.coordinator.continuation.signature import EVENT, TIMER
from handoffs.coordinator.messaging.delivery import HEADERS
from handoffs.coordinator.messaging.trace_context import HEADERS as TRACE_HEADERS
from handoffs.coordinator.messaging.trace_context import LINKS

NAMES = {"id": 200, "task": 200, "handoff_run": 200, "handoff_flow": 120, "handoff_step": 1000}
"""The headers that must be there, with the most characters that each may have."""

_SHOWN = {
    "argsrepr": 2000, "kwargsrepr": 2000, "origin": 300, "root_id": 200, "parent_id": 200, "lang": 20,
    LINKS: 8_192, **dict.fromkeys(TRACE_HEADERS, 8_192),
}  # fmt: skip
"""The headers that people get to see, with the most characters that each may have."""

_COUNTS = {
    "retries": 1_000_000,
    "handoff_replays": 1_000_000,
    "handoff_looks": 2**53,
    "handoff_waited": 2**53,
    "replaced_task_nesting": 1_000_000,
}
"""The headers that are counts, with the most that each may be: older releases counted looks without a bound."""

_UNSET = (
    "eta", "expires", "shadow", "group", "group_index", "stamped_headers", "stamps", "compression", "compressed",
)  # fmt: skip
"""The headers of Celery's that nothing of ours sets."""

_OVERRIDES = frozenset(dir(Context)) - frozenset(HEADERS)
"""Names of headers that would take the place of what Celery's request has, or can do, under the same name."""


class Body(NamedTuple):
    """A message's body: the text of its envelope, the arguments of its step, and what is to come after it."""

    envelope: str
    kwargs: dict[str, Any]
    continuation: dict[str, Any]


class MalformedBody(InvalidData):
    """A message's arguments or its continuation are not of the schema. ``body`` is what it has all the same, for whoever keeps it."""

    body: Body


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
    check_headers(headers)
    read = read_body(body, content_type, limits)
    kwargs = read.kwargs
    if (kwargs.get("flow"), kwargs.get("step")) != (headers["handoff_flow"], headers["handoff_step"]):
        raise InvalidInput("headers and arguments name different steps")
    _check_event(headers, kwargs)
    if schema.is_timer(kwargs) != (headers["task"] == TIMER):
        raise InvalidInput("headers and arguments do not agree whether it is a timer")
    return read


def check_headers(headers: Mapping[str, Any]) -> None:
    """Raise :class:`InvalidInput` where a header is not what the handoff, a log or Celery may rely on."""
    if not _OVERRIDES.isdisjoint(headers):
        name = min(_OVERRIDES.intersection(headers))
        raise InvalidInput(
            f"the header {name!r} is set: Celery would take it for what the message was checked for"
        )
    for name, longest in NAMES.items():
        if name not in headers or not _is_plain(headers[name], longest, least=1):
            raise InvalidInput(f"the header {name!r} is missing or malformed")
    for name, longest in _SHOWN.items():
        if headers.get(name) is not None and not _is_plain(headers[name], longest):
            raise InvalidInput(f"the header {name!r} is malformed: logs and Flower would show it")
    for name, most in _COUNTS.items():
        count = headers.get(name, 0)
        if type(count) is not int or not 0 <= count <= most:
            raise InvalidInput(f"the header {name!r} is no count")
    for name in _UNSET:
        if headers.get(name) not in (None, {}):
            raise InvalidInput(f"the header {name!r} is set: Celery would act on it, past the handoff")
    if headers.get("timelimit") not in (None, [None, None]):
        raise InvalidInput("the header 'timelimit' is set: the agent declares its own")
    if headers.get("ignore_result") not in (None, True):
        raise InvalidInput("the header 'ignore_result' is set: Celery keeps nothing of ours")


def _is_plain(value: object, longest: int, least: int = 0) -> bool:
    return isinstance(value, str) and least <= len(value) <= longest and is_plain(value)


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

    Raises :class:`InvalidJson` where it is not what :func:`handoffs.coordinator.messaging.message.message` makes, and
    :class:`MalformedBody` where its arguments or its continuation are not of the :mod:`~handoffs.coordinator.continuation.schema`.
    """
    if content_type != "application/json":
        raise InvalidJson("the content type is not application/json")
    value = strictjson.loads(body, limits)
    match value:
        case [[str(envelope)], dict(kwargs), dict(continuation)]:
            read = Body(envelope, kwargs, continuation)
            try:
                schema.check(kwargs, continuation)
            except InvalidData as error:
                malformed = MalformedBody(*error.args)
                malformed.body = read
                raise malformed from None
            return read
    raise InvalidJson("the body is not [[envelope], arguments, continuation]")
