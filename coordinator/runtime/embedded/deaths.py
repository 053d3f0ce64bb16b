"""Deaths: what a dead-lettered message says of where it died, when, and why, in ``x-death`` and its companions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from handoffs.coordinator.runtime.embedded.messages import PublishedMessage

EXPIRED = "expired"
REJECTED = "rejected"
DELIVERY_LIMIT = "delivery_limit"

Deaths = tuple[dict[str, Any], ...]
"""The deaths of a message, the latest first, each counted by queue and reason."""


def died(
    message: PublishedMessage, queue: str, reason: str, exchange: str, key: str | None
) -> PublishedMessage:
    """A message that died in ``queue``, as it is published to a dead-letter exchange; ``key`` replaces its routing key."""
    properties = dict(message.properties)
    expiration = properties.pop("expiration", None)
    deaths = _with_death(message, queue, reason, expiration)
    headers = {**message.headers, "x-death": list(deaths), **_headers("last", queue, reason, message)}
    if not message.deaths:
        headers.update(_headers("first", queue, reason, message))
    return replace(
        message,
        headers=headers,
        properties=properties,
        exchange=exchange,
        routing_key=message.routing_key if key is None else key,
        deaths=deaths,
    )


def is_cycle(queue: str, deaths: Deaths) -> bool:
    """Whether a message died in this queue before, and was not rejected since."""
    for death in deaths:
        if death["reason"] == REJECTED:
            return False
        if death["queue"] == queue:
            return True
    return False


def _with_death(message: PublishedMessage, queue: str, reason: str, expiration: str | None) -> Deaths:
    same = [death for death in message.deaths if (death["queue"], death["reason"]) == (queue, reason)]
    others = [death for death in message.deaths if death not in same]
    if same:
        death = {**same[0], "count": same[0]["count"] + 1}
    else:
        death = {
            "queue": queue,
            "reason": reason,
            "count": 1,
            "exchange": message.exchange,
            "routing-keys": [message.routing_key],
            "time": datetime.now(UTC).replace(microsecond=0, tzinfo=None),
        }
        if expiration is not None:
            death["original-expiration"] = expiration
    return (death, *others)


def _headers(which: str, queue: str, reason: str, message: PublishedMessage) -> dict[str, str]:
    prefix = f"x-{which}-death"
    return {f"{prefix}-queue": queue, f"{prefix}-reason": reason, f"{prefix}-exchange": message.exchange}
