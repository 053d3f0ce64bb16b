"""Address: an event, as the message of an agent that hears it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.envelope import message_id
from handoffs.coordinator.continuation.path import hearing
from handoffs.coordinator.messaging.wire import Body


def addressed(headers: Mapping[str, Any], read: Body, agent: str) -> tuple[dict[str, Any], str, Body]:
    """Headers, body, and body taken apart of an event that was ``read``, as the message that starts what ``agent`` does when it
    hears it. Each subscriber has a step and a message id of its own; the envelope stays as it is."""
    before = read.kwargs["step"]
    step = hearing(agent, before)
    own = read._replace(kwargs={**read.kwargs, "step": step})
    shown = str(headers.get("argsrepr") or "").replace(f"step={before} ", f"step={step} ")
    sent = {
        **headers,
        "task": agent,
        "id": message_id(headers["handoff_run"], step),
        "parent_id": headers["id"],
        "argsrepr": shown,
        "handoff_step": step,
    }
    return sent, strictjson.dumps([[own.envelope], own.kwargs, own.continuation]), own
