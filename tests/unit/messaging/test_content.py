"""Content names what a message carries, the same for every copy of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handoffs.coordinator.messaging.content import content

ENVELOPE = {
    "id": "m-1",
    "source": "/agents/a",
    "type": "shop.thing",
    "time": "2026-11-29T12:00:00Z",
    "correlationid": "r-1",
    "causationid": "m-0",
    "idempotencykey": "k",
    "traceparent": "00-1-2-01",
    "data": {"n": 1},
}


def named(**changed: Any) -> str:
    return content("shop.b", "m-1", json.dumps({**ENVELOPE, **changed}), {"step": "2"}, {"chain": None})


@pytest.mark.parametrize("name", ["time", "source", "causationid", "traceparent", "tracestate", "baggage"])
def test_made_once_more(name: str) -> None:
    """A message that is made once more, by another branch of a join and at another time, carries the same."""
    assert named(**{name: "other"}) == named()


@pytest.mark.parametrize("name", ["data", "idempotencykey", "correlationid", "type", "id"])
def test_another(name: str) -> None:
    """One that says anything else to its agent is another."""
    assert named(**{name: "other"}) != named()
