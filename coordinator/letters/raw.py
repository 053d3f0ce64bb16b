"""A message as the dead-letter queue gives it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.text import is_plain
from handoffs.coordinator.messaging.properties import sent
from handoffs.coordinator.store.record import StepRef

_NOTED = (
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
    "x-delay",
    "x-opt-",
)
_COUNTS = frozenset({"retries", "handoff_replays", "handoff_looks", "handoff_waited"})
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class RawLetter:
    """A message as the dead-letter queue gives it. Anybody may have sent it: no header is trusted to be there or sane.

    ``octets`` are its properties as they came, where the broker is another process. ``fault`` says what is wrong with them, where they
    cannot be read: then the headers, and whatever else is read of them, is for people, and nobody is to go by it.
    """

    headers: dict[str, Any]
    body: bytes
    content_type: str
    content_encoding: str = "utf-8"
    fault: str = ""
    octets: bytes = b""

    @property
    def id(self) -> str:
        """The message id, empty where it has none that can be one."""
        return _name(self.headers.get("id"), 200)

    @property
    def digest(self) -> str:
        """Names a message that has no id of its own, or not the one that it says: by all that was sent, and not by what the broker has
        noted on it, or by how often it was tried."""
        headers = {name: value for name, value in self.headers.items() if not _is_noted(name)}
        told = _spelt([headers, self.content_type, self.content_encoding]).encode("utf-8", "surrogatepass")
        octets = sent(self.octets, headers=bool(self.fault))
        return "sha256:" + hashlib.sha256(b"\n".join([told, octets, self.body])).hexdigest()

    @property
    def place(self) -> StepRef:
        if self.fault:
            return StepRef("", "", "")
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
    def replays(self) -> int:
        """How often it had been replayed when it was sent."""
        replays = self.headers.get("handoff_replays")
        return replays if type(replays) is int and 0 <= replays < 1_000_000 else 0

    @property
    def death(self) -> dict[str, Any]:
        """The newest entry of the broker's ``x-death``."""
        deaths = self.headers.get("x-death")
        newest = deaths[0] if isinstance(deaths, list) and deaths else {}
        return newest if isinstance(newest, dict) else {}


def _is_noted(name: object) -> bool:
    """Whether a header is the broker's, or counts tries."""
    return isinstance(name, str) and (name in _COUNTS or name.startswith(_NOTED))


def _spelt(value: object, depth: int = 0) -> str:
    """A value of a header as text, another one as another text."""
    if depth > _DEEPEST:
        return "deeper"
    if isinstance(value, dict):
        inside = sorted(f"{_spelt(name, depth)}:{_spelt(item, depth + 1)}" for name, item in value.items())
        return f"{{{','.join(inside)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_spelt(item, depth + 1) for item in value)}]"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"b{bytes(value).hex()}"
    return ascii(value)


def _name(value: object, longest: int) -> str:
    """``value`` where it can name something of ours, otherwise nothing."""
    return value if isinstance(value, str) and len(value) <= longest and is_plain(value) else ""
