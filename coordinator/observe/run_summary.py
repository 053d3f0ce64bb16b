"""RunSummary: a run in a list, with the signals that it waits for and its steps that are parked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.standing import Status


@dataclass(frozen=True, slots=True)
class SignalWait:
    """A signal that a run waits for: at the ``step`` of that path, of the ``contract`` (``name/version``), ``since`` then (UTC; None
    where that is not known)."""

    signal: str
    contract: str
    since: datetime | None
    step: str

    def words(self) -> str:
        """``signal "approval"``."""
        return f'signal "{printable(self.signal, 80)}"'


@dataclass(frozen=True, slots=True)
class ParkedStep:
    """A step that waits in the dead-letter queue: its path, its agent, and of which ``kind`` and ``error`` it failed."""

    step: str
    agent: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list.

    key
        The idempotency key under which it was accepted, sensitive values masked; empty where it has none, or where a release accepted it
        that did not write it down.
    status
        As :meth:`Run.status <handoffs.coordinator.client.run.Run.status>` has it.
    started, due
        When it was accepted; when it begins, or was to begin, where that was to be later. UTC.
    waiting
        The signals that it waits for; it may be ``running`` meanwhile, and goes on with the first that comes.
    parked
        Its steps that wait in the dead-letter queue.
    cursor
        Where it is in the list: what is given as ``before`` for those that come after it.
    """

    id: str
    flow: str
    key: str
    status: Status
    started: datetime
    due: datetime | None = None
    waiting: tuple[SignalWait, ...] = ()
    parked: tuple[ParkedStep, ...] = ()
    cursor: str = field(default="", compare=False, repr=False)

    @property
    def shown(self) -> str:
        """As :func:`shown_status` has it."""
        return shown_status(self.status, waits=bool(self.waiting))

    def to_json(self) -> dict[str, Any]:
        """As JSON values; moments in ISO 8601."""
        return {
            "run": self.id,
            "flow": self.flow,
            "key": self.key or None,
            "status": self.status,
            "started": told_at(self.started),
            "due": told_at(self.due),
            "waiting": [wait_json(one) for one in self.waiting],
            "parked": [
                {"step": one.step, "agent": one.agent, "kind": one.kind, "error": one.error}
                for one in self.parked
            ],
        }


def shown_status(status: Status, *, waits: bool) -> str:
    """The status of a run for people: ``waiting`` where it goes on, and waits for a signal."""
    return "waiting" if waits and status == "running" else status


def wait_json(wait: SignalWait) -> dict[str, Any]:
    """A wait as JSON values."""
    return {"signal": wait.signal, "contract": wait.contract, "since": told_at(wait.since), "step": wait.step}


def told_at(moment: datetime | None) -> str | None:
    """A moment in ISO 8601, to the millisecond."""
    return moment.isoformat(timespec="milliseconds") if moment else None
