"""A message as the dead-letter queue gives it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.text import is_plain
from handoffs.coordinator.store.record import StepRef


@dataclass(frozen=True, slots=True)
class RawLetter:
    """A message as the dead-letter queue gives it. Anybody may have sent it: no header is trusted to be there or sane."""

    headers: dict[str, Any]
    body: bytes
    content_type: str
    content_encoding: str = "utf-8"

    @property
    def id(self) -> str:
        """The message id, empty where it has none that can be one."""
        return _name(self.headers.get("id"), 200)

    @property
    def digest(self) -> str:
        """Names a message that has no id of its own."""
        return "sha256:" + hashlib.sha256(self.body).hexdigest()

    @property
    def place(self) -> StepRef:
        run, flow, step = (self.headers.get(f"handoff_{name}") for name in ("run", "flow", "step"))
        return StepRef(_name(run, 200), _name(flow, 120), _name(step, 1000))

    @property
    def event(self) -> str:
        """The id of the event that an agent was to hear; empty where it is a step of a flow."""
        return _name(self.headers.get("parent_id"), 200) if self.headers.get("handoff_event") else ""

    @property
    def attempt(self) -> int:
        """Which attempt it was, from 1; 0 where it does not say."""
        retries = self.headers.get("retries")
        return retries + 1 if isinstance(retries, int) and 0 <= retries < 1_000_000 else 0

    @property
    def death(self) -> dict[str, Any]:
        """The newest entry of the broker's ``x-death``."""
        deaths = self.headers.get("x-death")
        newest = deaths[0] if isinstance(deaths, list) and deaths else {}
        return newest if isinstance(newest, dict) else {}


def _name(value: object, longest: int) -> str:
    """``value`` where it can name something of ours, otherwise nothing."""
    return value if isinstance(value, str) and len(value) <= longest and is_plain(value) else ""
