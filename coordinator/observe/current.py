"""Current: what a run is doing now, step by step, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.path import is_within
from handoffs.coordinator.observe.words import duration
from handoffs.coordinator.store.run_state import RunRecord

State = Literal["queued", "running", "retrying", "waiting", "parked", "delayed", "held"]
Sent = Mapping[str, tuple[float, str, str]]
_IDLE = frozenset({"scheduled", "completed", "cancelled"})
_ANEW = frozenset({"parked", "replayed"})


@dataclass(frozen=True, slots=True)
class Current:
    """What a step of a run is doing now, as far as it is known.

    step
        Its path.
    state
        ``queued``: sent, and not begun. ``running``: begun; a worker that has died is not known as such before its lease has
        ended. ``retrying``: attempt ``attempt`` follows at ``until``. ``delayed``: sent, to be begun at ``until``. ``waiting``: for
        the signal ``signal`` of ``contract``. ``parked``: its dead letter waits, ``error`` says why. ``held``: it does not begin,
        because the run is paused.
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

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the empty ones."""
        values = {name: getattr(self, name) for name in self.__slots__}
        shown = {
            name: value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        return {name: value for name, value in shown.items() if value not in ("", None, 0)}

    def words(self, now: datetime | None = None) -> str:
        """The state in words: ``retrying (attempt 3, next in 12 s)``."""
        at = now or datetime.now(UTC)
        left = duration(self.until - at) if self.until and self.until > at else ""
        if self.state == "retrying":
            return f"retrying (attempt {self.attempt}, {f'next in {left}' if left else 'due'})"
        if self.state == "delayed":
            return f"delayed, {left} left" if left else "delayed"
        if self.state == "waiting":
            return f'waiting for signal "{printable(self.signal, 80)}" of {self.contract}'
        if self.state == "parked":
            return f"parked: {printable(self.error, 300)}"
        return "held (paused)" if self.state == "held" else self.state


def current(record: RunRecord, sent: Sent, history: Sequence[Mapping[str, Any]]) -> list[Current]:
    """What a run is doing: ``sent`` has its steps that are not settled (:meth:`Outstanding.sent`), ``history`` its history."""
    if record.status in _IDLE:
        return []
    return sorted(_all(record, sent, history), key=lambda one: _order(one.step))


def _all(record: RunRecord, sent: Sent, history: Sequence[Mapping[str, Any]]) -> Iterator[Current]:
    for step, reason in record.parked.items():
        error = f"{reason.get('kind', '')}: {reason.get('error', '')}: {reason.get('text', '')}"
        yield Current(
            step, str(reason.get("agent", "")), "parked", _read(reason.get("at")),
            attempt=int(reason.get("attempt") or 0), error=error,
        )  # fmt: skip
    for path, wait in record.awaited.items():
        since, contract = wait.get("since"), str(ContractRef.from_uri(wait["schema"]))
        yield Current(
            path,
            "",
            "waiting",
            _moment(since / 1000 if since else None),
            signal=str(wait["signal"]),
            contract=contract,
        )
    failed: dict[str, Mapping[str, Any]] = {}
    for entry in history:
        if entry["kind"] == "retried":
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
    began, delay = _moment(record.began.get(step)), _moment(record.delayed.get(step))
    if record.paused and step in record.held:
        since = _read(record.held[step].get("at"))
        return Current(step, agent, "held", since, contract=contract)
    since = _read(failed.get("at")) if failed else None
    if failed and since and (began is None or began <= since):
        until = since + timedelta(milliseconds=failed.get("wait_ms") or 0)
        attempt = int(failed.get("attempt") or 0) + 1
        return Current(step, agent, "retrying", since, until, attempt, contract=contract)
    if began:
        return Current(step, agent, "running", began, contract=contract)
    if delay and delay > datetime.now(UTC):
        return Current(step, agent, "delayed", _moment(at), delay, contract=contract)
    return Current(step, agent, "queued", max(filter(None, (_moment(at), delay))), contract=contract)


def _order(path: str) -> list[tuple[int, int, str]]:
    """Paths in the order of their flow: numbers by their value."""
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in path.split(".")]


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _read(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
