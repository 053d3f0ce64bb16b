"""Step report: all that a history tells of one step: its attempts, and what it was given and made, in which versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handoffs.coordinator.observe.step_state import Entry, kind_of, step_state, text_of, time_of

_GIVEN_BY_HAND = frozenset({"edited"})


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One thing that happened to a step: an attempt, or what a person did. Times are in milliseconds; ``error`` is why it failed, ``trace``
    where."""

    kind: str
    at: datetime | None
    attempt: int = 0
    took_ms: float | None = None
    wait_ms: float | None = None
    worker: str = ""
    error: str = ""
    trace: str = ""
    by: str = ""
    why: str = ""
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step.

    input, read, original, migrated
        What its agent was given last, as JSON values; the contract version in which it came (``name/version``), the one that its producer
        had made where that was another, and the migrations that it went through here.
    output, wrote, sent
        What it made; the version that was written, and by step the one that was sent where its readers needed another.
    message
        The id of the message that it was given.
    """

    step: str
    agent: str
    state: str
    events: tuple[StepEvent, ...]
    input: Any = None
    read: str = ""
    original: str = ""
    migrated: tuple[str, ...] = ()
    output: Any = None
    wrote: str = ""
    sent: Mapping[str, str] | None = None
    message: str = ""


def step_report(step: str, history: Sequence[Entry]) -> StepReport | None:
    """What ``history`` tells of the step of that path; None where it tells nothing."""
    entries = [
        one for one in history if one.get("step") == step and kind_of(one) not in ("signalled", "refused")
    ]
    if not entries:
        return None
    given = _last(entries, "input")
    made = next(
        (
            one
            for one in reversed(entries)
            if one.get("output") is not None and kind_of(one) not in _GIVEN_BY_HAND
        ),
        {},
    )
    edited = next((one for one in reversed(entries) if kind_of(one) in _GIVEN_BY_HAND), None)
    read_from = _last(entries, "read")
    is_edited = edited is not None and (given is None or entries.index(edited) > entries.index(given))
    sent = made.get("sent")
    return StepReport(
        step,
        text_of(_last(entries, "agent") or {}, "agent", 200),
        step_state(entries).state,
        tuple(map(_event, entries)),
        input=edited.get("output") if is_edited and edited else (given or {}).get("input"),
        read=text_of(read_from or {}, "read", 300),
        original=text_of(read_from or {}, "original", 300),
        migrated=_texts((read_from or {}).get("migrated")),
        output=made.get("output"),
        wrote=text_of(made, "wrote", 300),
        sent={str(place): str(ref) for place, ref in sent.items()} if isinstance(sent, Mapping) else None,
        message=text_of(_last(entries, "message") or {}, "message", 200),
    )


def _last(entries: Sequence[Entry], name: str) -> Entry | None:
    """The last entry that has it, of those that are not an edit."""
    return next(
        (one for one in reversed(entries) if one.get(name) and kind_of(one) not in _GIVEN_BY_HAND), None
    )


def _event(entry: Entry) -> StepEvent:
    kind, error = kind_of(entry), text_of(entry, "error", 2_000)
    by_hand = kind in ("skipped", "edited")
    return StepEvent(
        kind,
        time_of(entry),
        attempt=entry["attempt"] if type(entry.get("attempt")) is int else 0,
        took_ms=_number(entry.get("took_ms")),
        wait_ms=_number(entry.get("wait_ms")),
        worker=text_of(entry, "worker", 200),
        error="" if by_hand else error,
        trace=text_of(entry, "trace", 20_000),
        by=text_of(entry, "by", 200),
        why=error if by_hand else text_of(entry, "why", 1_000),
        fallback=text_of(entry, "fallback", 200),
    )


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
