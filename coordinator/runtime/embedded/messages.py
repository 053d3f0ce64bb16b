"""A message of the embedded broker: as it was published, and at its position in a queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from kombu.transport import virtual

from handoffs.coordinator.messaging.properties import is_text, read_values

_MOST_DESCRIBED = 131_072  # characters
_NESTED: frozenset[type] = frozenset({dict, list, tuple})


@dataclass(eq=False, slots=True)
class PublishedMessage:
    """A message as published; shared by the queues it was routed to and never modified."""

    body: Any
    content_type: str | None
    content_encoding: str | None
    headers: dict[str, Any]
    properties: dict[str, Any]
    exchange: str
    routing_key: str
    deaths: tuple[dict[str, Any], ...] = ()
    fault: str = ""
    octets: bytes = b""

    def ttl(self) -> float | None:
        """The message's own time to live, in seconds."""
        expiration = self.properties.get("expiration")
        return None if expiration is None else int(expiration) / 1000


@dataclass(eq=False, slots=True)
class QueuedMessage:
    """A message at its position in one queue; ``expires_at`` is on the monotonic clock."""

    published: PublishedMessage
    position: int
    expires_at: float | None
    delivery_count: int = 0


class Received(virtual.Message):
    """A message for Kombu's consumers, with what is wrong with it."""

    def __init__(self, payload: dict[str, Any], channel: Any, fault: str, octets: bytes) -> None:
        super().__init__(payload, channel=channel)  # type: ignore[no-untyped-call]
        self.fault = fault
        self.octets = octets


def copied(table: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a message's headers that shares no dict or list with them."""
    return {
        key: _copied_value(value) if value.__class__ in _NESTED else value for key, value in table.items()
    }


def _copied_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return copied(value)
    if isinstance(value, list | tuple):
        return [_copied_value(item) for item in value]
    return value


def as_published(message: Mapping[str, Any], exchange: Any, routing_key: Any) -> PublishedMessage:
    """What Kombu gives a channel to publish, as it is kept: octets and texts, or with what is wrong with it."""
    properties = dict(message.get("properties") or {})
    for ours in ("delivery_info", "body_encoding", "delivery_tag"):
        properties.pop(ours, None)
    headers, fault = read_values(message.get("headers") or {})
    named = {"content_type": message.get("content-type"), "content_encoding": message.get("content-encoding")}
    for name, value in {**properties, **named, "routing key": routing_key, "exchange": exchange}.items():
        if not (value is None or isinstance(value, (int, float)) or is_text(value)):
            fault = fault or f"its {name} is no text"
    body = message.get("body")
    if isinstance(body, str) and not is_text(body):
        body = body.encode("utf-8", "surrogatepass")
    elif not isinstance(body, str | bytes):
        fault, body = fault or "its body is no octets", ascii(body).encode() if body else b""
    content_type, content_encoding = (value if is_text(value) else None for value in named.values())
    kept = {name: value for name, value in properties.items() if not isinstance(value, str) or is_text(value)}
    place = exchange or "", routing_key or ""
    octets = _described([message.get("headers"), message.get("properties"), named, place]) if fault else b""
    return PublishedMessage(
        body, content_type, content_encoding, headers, kept, *place, fault=fault, octets=octets
    )


def _described(given: Any) -> bytes:
    """What has no form in AMQP, as far as it can be written down; each time another text where it cannot."""
    try:
        return ascii(given)[:_MOST_DESCRIBED].encode()
    except Exception:  # noqa: BLE001 - it is nested too deep, or cannot be shown
        return uuid4().hex.encode()
