"""Far off: a message whose time is further away than a queue of the broker holds it.

It waits in stages. Each ends with the coordinator process, among its timers, which sends it into the next one until its time has
come: no queue but those of the usual lengths is needed for it, no worker has to be there, and what restarts meanwhile loses
nothing. When its time is, Redis' clock says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from handoffs.contracts.contract import valid_name
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.messaging.message import Message

_DUE = "handoff_due"
"""When it is to arrive, in milliseconds since 1970 by Redis' clock."""

_FOR = "handoff_for"
"""Where: the agent, or the pseudo task."""

_MILLISECOND = timedelta(milliseconds=1)
_NEVER = 2**53


def far_off(message: Message, wait: timedelta, now: int) -> Message:
    """The message as it waits in stages, for ``wait`` from ``now`` on (milliseconds since 1970, by Redis' clock)."""
    due = now + round(wait / _MILLISECOND)
    return replace(message, agent=TIMER, headers={**message.headers, _DUE: due, _FOR: message.agent})


def is_far_off(headers: Mapping[str, Any]) -> bool:
    """Whether these are the headers of a message that waits in stages."""
    due, agent = headers.get(_DUE), headers.get(_FOR)
    is_time = isinstance(due, int) and not isinstance(due, bool) and 0 <= due < _NEVER
    return is_time and isinstance(agent, str) and valid_name(agent)


def left(message: Message, now: int) -> timedelta:
    """How long it is still to wait, by Redis' clock; nothing or less where its time has come."""
    due: int = message.headers[_DUE]
    return (due - now) * _MILLISECOND


def arrived(message: Message) -> Message:
    """The message as it was, for whom it was."""
    headers = {name: value for name, value in message.headers.items() if name not in (_DUE, _FOR)}
    return replace(message, agent=message.headers[_FOR], headers=headers)
