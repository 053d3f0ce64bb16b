"""Current: what a run is doing now, step by step, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from handoffs.config import clock
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.path import after_which, is_onward, is_within
from handoffs.coordinator.flow.progress import Progress
from handoffs.coordinator.observe.words import duration
from handoffs.coordinator.store.progress import Seen
from handoffs.coordinator.store.run_state import RunRecord

State = Literal["queued", "running", "retrying", "waiting", "parked", "delayed", "held"]
Sent = Mapping[str, tuple[float, str, str]]
_IDLE = frozenset({"scheduled", "completed", "cancelled"})
_LONGEST = 10  # digits of a number in a path
_AGAIN = frozenset({"retried", "waits"})
_ANEW = frozenset({"parked", "replayed"})


@dataclass(frozen=True, slots=True)
class Current:
    """What a step of a run is doing now, as far as it is known.

    step
        Its path.
    state
        ``queued``: sent, and not begun. ``running``: begun; a worker that has died is not known as such before its lease has
        ended. ``retrying``: attempt ``attempt`` follows at ``until``; with ``asked`` the same one as before, since its error has said
        when to come back. ``delayed``: sent, to be begun at ``until``. ``waiting``: for
        the signal ``signal`` of ``contract``. ``parked``: its dead letter waits, ``error`` says why. ``held``: it does not begin,
        because the run is paused.
    progress, share, stalled
        How far one is that runs, as its agent said last, and which share of the work is done, 0 to 1, where it said that; since
        when it has given no sign, where that is longer than its idle limit.
    since
        Since when; None where that is not known.
    """

    step: str
    agent: str
    state: State
    since: datetime | None
    until: datetime | None = None
    attempt: int = 0
    signal: str = ""
    contract: str = ""
    error: str = ""
    asked: bool = False
    progress: str = ""
    share: float | None = None
    stalled: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the empty ones."""
        values = {name: getattr(self, name) for name in self.__slots__}
        shown = {
            name: value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        return {
            name: value
            for name, value in shown.items()
            if value not in ("", None, 0) or (name, value) == ("share", 0)
        }

    def words(self, now: datetime | None = None) -> str:
        """The state in words: ``retrying (attempt 3, next in 12 s)``."""
        at = now or clock.now()
        left = duration(self.until - at) if self.until and self.until > at else ""
        if self.state == "retrying" and self.asked:
            return f"waits as it asked (attempt {self.attempt} again{f' in {left}' if left else ', due'})"
        if self.state == "retrying":
            return f"retrying (attempt {self.attempt}, {f'next in {left}' if left else 'due'})"
        if self.state == "delayed":
            return f"delayed, {left} left" if left else "delayed"
        if self.state == "waiting":
            return f'waiting for signal "{printable(self.signal, 80)}" of {self.contract}'
        if self.state == "parked":
            return f"parked: {printable(self.error, 300)}"
        return ", ".join(("held (paused)" if self.state == "held" else self.state, *self._how_far(at)))

    def _how_far(self, at: datetime) -> Iterator[str]:
        """Of one that runs: how long it has stalled by then, and what its agent has said last."""
        if self.stalled is not None:
            yield f"stalled for {duration(max(at - self.stalled, timedelta(milliseconds=1)))}"
        if self.progress or self.share is not None:
            yield str(Progress(printable(self.progress, 200), self.share))


def current(
    record: RunRecord,
    sent: Sent,
    history: Sequence[Mapping[str, Any]],
    seen: Mapping[str, Seen] = MappingProxyType({}),
) -> list[Current]:
    """What a run is doing: ``sent`` has its steps that are not settled (:meth:`Outstanding.sent`), ``history`` its history, and
    ``seen`` what was seen of its steps at work (:meth:`ProgressOfRuns.of`)."""
    if record.status in _IDLE:
        return []
    found = (_seen(one, seen.get(one.step)) for one in _all(record, sent, history))
    return sorted(found, key=lambda one: _order(one.step))


def unsettled(doing: Iterable[Current], history: Iterable[Mapping[str, Any]]) -> list[Current]:
    """What a run was doing, without the steps of which a ``history`` that was read later has the outcome."""
    settled = {entry.get("step") for entry in history if entry.get("kind") in _OUTCOME}
    return [one for one in doing if one.state == "parked" or one.step not in settled]


_OUTCOME = frozenset({"settled", "deduplicated", "skipped", "fallback"})
"""The kinds of entries that say that a step has its outcome."""


def _seen(one: Current, seen: Seen | None) -> Current:
    """A step with what was seen of it since it began."""
    if seen is None or one.state != "running" or one.since is None or seen.at < one.since.timestamp():
        return one
    return replace(one, progress=seen.text, share=seen.share, stalled=moment_of(seen.stalled_since))


def _all(record: RunRecord, sent: Sent, history: Sequence[Mapping[str, Any]]) -> Iterator[Current]:
    for step, reason in record.parked.items():
        error = f"{reason.get('kind', '')}: {reason.get('error', '')}: {reason.get('text', '')}"
        yield Current(
            step, str(reason.get("agent", "")), "parked", _read(reason.get("at")),
            attempt=_count(reason.get("attempt")), error=error,
        )  # fmt: skip
    for path, wait in record.awaited.items():
        since, contract = wait.get("since"), contract_of(wait.get("schema"))
        yield Current(
            path,
            "",
            "waiting",
            moment_of(since / 1000 if since else None),
            signal=str(wait["signal"]),
            contract=contract,
        )
    for step, until in record.delayed.items():
        if is_onward(step) and step not in record.parked:
            yield Current(after_which(step), "", "delayed", None, moment_of(until))
    failed: dict[str, Mapping[str, Any]] = {}
    for entry in history:
        if entry["kind"] in _AGAIN:
            failed[str(entry.get("step"))] = entry
        elif entry["kind"] in _ANEW:
            failed.pop(str(entry.get("step")), None)
    for step, (at, agent, contract) in sent.items():
        spent = any(is_within(step, path) for path in record.spent)
        if not spent and step not in record.parked and step not in record.settled:
            yield _one(record, step, at, agent, contract, failed.get(step))


def _one(
    record: RunRecord, step: str, at: float, agent: str, contract: str, failed: Mapping[str, Any] | None
) -> Current:
    """A step that is on its way."""
    began, delay = moment_of(record.began.get(step)), moment_of(record.delayed.get(step))
    if record.paused and step in record.held:
        since = _read(record.held[step].get("at"))
        return Current(step, agent, "held", since, contract=contract)
    since = _read(failed.get("at")) if failed else None
    if failed and since and (began is None or began <= since):
        until = since + timedelta(milliseconds=failed.get("wait_ms") or 0)
        asked = failed["kind"] == "waits"
        attempt = _count(failed.get("attempt")) + (not asked)
        return Current(step, agent, "retrying", since, until, attempt, contract=contract, asked=asked)
    if began:
        return Current(step, agent, "running", began, contract=contract)
    if delay and delay > clock.now():
        return Current(step, agent, "delayed", moment_of(at), delay, contract=contract)
    return Current(step, agent, "queued", max(filter(None, (moment_of(at), delay))), contract=contract)


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def contract_of(uri: Any) -> str:
    """A contract by its URI; what there is where that is none."""
    try:
        return str(ContractRef.from_uri(uri))
    except (CoordinationError, TypeError, AttributeError):
        return printable(uri, 120)


def _order(path: str) -> list[tuple[int, int, str]]:
    """Paths in the order of their flow: numbers by their value."""
    return [
        (0, int(word), "") if word.isdecimal() and len(word) < _LONGEST else (1, 0, word)
        for word in path.split(".")
    ]


def moment_of(seconds: float | None) -> datetime | None:
    """A moment that is told in seconds since 1970; None for none."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _read(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
