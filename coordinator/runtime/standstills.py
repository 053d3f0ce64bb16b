"""Standstills: runs that go on by nothing. No message of them is anywhere, nobody is at work on them, and no person is asked.

Nothing tells of a message that is gone. But one that is there waits in a queue, is in the hands of a worker who keeps its lease, comes
back after a delay, or waits for somebody. What nothing of that is true of, twice in succession, stands still.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime
from typing import Any

from handoffs.coordinator.continuation.path import is_story
from handoffs.coordinator.continuation.signature import EVENT, TIMER
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.runs.first_messages import restored
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.recovery import Recovery
from handoffs.coordinator.store.run_state import RunRecord

_MOST = 100_000  # runs

_MOMENT = 300.0
"""Seconds for which something may be on its way that nothing tells of: a message that is put off, for the holder of its key or the end
of a pause, one that waits in a delay queue behind one for which there was no room, or in a connection that is lost."""

_LATE = {True: 1 / 6, False: 1 / 2}
"""What part of a wait a message may come later than it: a step's, and one that is tried again."""
_LATEST = 10 * 3600.0
"""And never more seconds than so many: no message waits longer at once than twice that."""

TOLD = (
    EntryKind.RETRIED, EntryKind.WAITS, EntryKind.SETTLED, EntryKind.DEDUPLICATED, EntryKind.SKIPPED, EntryKind.RESUMED, EntryKind.REPLAYED,
    EntryKind.EDITED, EntryKind.SIGNALLED, EntryKind.FALLBACK, EntryKind.BEGUN,
)  # fmt: skip
"""What in the history of a run says that something of it was on its way."""


class Standstills:
    """Says which runs stand still. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the broker cannot be used."""

    def __init__(
        self, services: Services, grace: float, in_hand: Callable[[], Container[str]] = frozenset
    ) -> None:
        """``grace``: seconds for which a run is as it is before that says anything. ``in_hand`` gives the runs of which workers of
        this process have messages; others tell of theirs."""
        self._services = services
        self._grace = grace
        self._in_hand = in_hand
        self._recovery = Recovery(services.store.redis, services.settings)
        self._seen: dict[str, tuple[object, float]] = {}

    def is_one(self, record: RunRecord, told: Iterable[dict[str, Any]]) -> bool | None:
        """Whether a run stands still; None: it may, and is to be looked at once more after the grace. ``told`` has its entries of the
        kinds in :data:`TOLD`."""
        sent = self._services.outstanding.sent(record.id)
        left = {step: one for step, one in sent.items() if step not in record.settled}
        if self._goes_on(record, left, list(told)):
            self._seen.pop(record.id, None)
            return False
        mark, at = (record.settled, tuple(sorted(left))), time.monotonic()
        known, since = self._seen.get(record.id, (None, at))
        if known != mark:
            if len(self._seen) > _MOST:
                self._seen.clear()
            self._seen[record.id] = (mark, at)
            return None
        return True if at - since >= self._grace else None

    def _goes_on(
        self, record: RunRecord, left: dict[str, tuple[float, str, str]], told: list[dict[str, Any]]
    ) -> bool:
        if is_story(record.flow) or record.paused or record.waits or record.parked or self.begins(record):
            return True
        now = self._services.server.now().timestamp()
        last = [record.started, record.alive, *record.began.values(), *(at for at, _, _ in left.values())]
        if any(at > now - max(self._grace, _MOMENT) for at in (*last, *map(_moment, told))):
            return True
        if self.comes_back(record, now, {step: at for step, (at, _, _) in left.items()}):
            return True
        if any(_by(_moment(one), _seconds(one), exact=False) > now for one in told if _seconds(one)):
            return True
        agents = {agent for _, agent, _ in left.values()} | {str(one.get("agent", "")) for one in told}
        return (
            record.id in self._in_hand()
            or self._services.publisher.has_waiting(agents - {"", EVENT, TIMER})
            or any(_by(record.started, wait, exact=True) > now for wait in self._first_waits(record))
        )

    def begins(self, record: RunRecord) -> bool:
        """Whether the first messages of a run are still to be published, and will be."""
        return record.unpublished and self._services.runs.is_to_be_published(record.id)

    def comes_back(
        self, record: RunRecord, now: float | None = None, since: Mapping[str, float] | None = None
    ) -> bool:
        """Whether something of a run waits for the end of a delay; ``since`` says when it was sent, by step."""
        at = self._services.server.now().timestamp() if now is None else now
        begun = since or {}
        return any(
            _by(sent := begun.get(step, record.started), until - sent, exact=True) > at
            for step, until in record.delayed.items()
            if step not in record.settled
        )

    def _first_waits(self, record: RunRecord) -> list[float]:
        """The waits with which a run begins, in seconds: one that a release before began has noted none."""
        try:
            sent = restored(self._recovery.origin(record.id) or "[]")
        except (ValueError, TypeError, KeyError, AttributeError):  # changed by hand
            return []
        settled = record.settled
        return [wait.total_seconds() for one, wait in sent if one.headers.get("handoff_step") not in settled]


def _by(at: float, wait: float, *, exact: bool) -> float:
    """Until when a message that was to wait for so many seconds from then on has come, in seconds since 1970."""
    return at + wait + min(max(wait, 0.0) * _LATE[exact], _LATEST) + (_MOMENT if wait > 0 else 0.0)


def _seconds(entry: Mapping[str, Any]) -> float:
    """After how many seconds a step is tried again; 0 where it is not."""
    wait = entry.get("wait_ms") or 0
    return wait / 1000 if isinstance(wait, int | float) else 0.0


def _moment(entry: Mapping[str, Any]) -> float:
    """When something was, in seconds since 1970; 0 where that cannot be read."""
    try:
        return datetime.fromisoformat(entry["at"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0.0
