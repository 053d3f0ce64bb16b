"""A message of the embedded broker: as it was published, and at its position in a queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
