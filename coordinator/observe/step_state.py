"""Step state: what became of one step, by the entries that a history has of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Entry = Mapping[str, Any]

GOOD = frozenset({"settled", "deduplicated", "gathered", "skipped", "fallback", "passed over"})
"""The states of what is dealt with."""

_LAST = frozenset({"settled", "deduplicated", "gathered", "skipped", "fallback"})
_SHOWN = 300
_LONGEST_MS = 1e12


class StepState(NamedTuple):
    """What became of a step. ``state`` is ``settled``, ``deduplicated``, ``gathered``, ``skipped``, ``fallback``, ``parked`` or
    ``open``; ``at`` is when it began (None where no time is told), ``took_ms`` how long its agent ran."""

    state: str
    attempts: int = 0
    at: datetime | None = None
    took_ms: float | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    read: str = ""


def step_state(entries: Sequence[Entry]) -> StepState:
    """What became of the step of these entries, which are in the order in which they were written."""
    if not entries:
        return StepState("open")
    kinds = [kind_of(entry) for entry in entries]
    ends = [number for number, kind in enumerate(kinds) if kind in _LAST]
    last = ends[-1] if ends else len(entries) - 1
    state, reason = kinds[last] if ends else "open", ""
    if not ends and kinds[-1] in {"parked", "late"} and "parked" in kinds:
        parked = max(number for number, kind in enumerate(kinds) if kind == "parked")
        state, reason = "parked", text_of(entries[parked], "error", _SHOWN)
    entry = entries[last]
    given: Any = entry.get("took_ms")
    took = float(given) if type(given) in (int, float) and 0 <= given <= _LONGEST_MS else None
    attempts = [one["attempt"] for one in entries if type(one.get("attempt")) is int]
    read = text_of(entry, "read") or next(
        (text_of(one, "read") for one in reversed(entries) if one.get("read")), ""
    )
    at = _before(time_of(entry), took)
    return StepState(state, max(attempts, default=0), at, took, reason, _notes(kinds, entries), read)


def kind_of(entry: Entry) -> str:
    """What an entry tells of; empty where it does not say."""
    return text_of(entry, "kind", 40)


def text_of(entry: Entry, name: str, longest: int = 1_000) -> str:
    """A text of an entry, as it is; empty where there is none. What shows it makes it printable."""
    value = entry.get(name)
    return value[:longest] if isinstance(value, str) else ""


def time_of(entry: Entry) -> datetime | None:
    """When an entry was written; None where it does not say."""
    try:
        at = datetime.fromisoformat(entry["at"])
    except (KeyError, TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _before(ended: datetime | None, took: float | None) -> datetime | None:
    if ended is None or not took:
        return ended
    try:
        return ended - timedelta(milliseconds=took)
    except OverflowError:  # it is told to have begun before there were years
        return ended


def _notes(kinds: Sequence[str], entries: Sequence[Entry]) -> tuple[str, ...]:
    """What else happened: retried, late, replayed, parked before, deduplicated; the older version that was read."""
    if len(entries) == 1 and kinds[0] in _LAST and not entries[0].get("migrated") and kinds[0] != "skipped":
        return ()
    counts = Counter(kinds)
    notes = [_counted(counts[kind], kind) for kind in ("retried", "waits", "late") if counts[kind]]
    if counts["deduplicated"] and counts["settled"]:
        notes.append(_counted(counts["deduplicated"], "deduplicated"))
    for kind in ("replayed", "skipped"):
        names = (text_of(one, "by", 60) for one in entries if kind_of(one) == kind)
        who = ", ".join(dict.fromkeys(name for name in names if name))
        if counts[kind]:
            notes.append(f"{_counted(counts[kind], kind)}{' by ' if who else ''}{who}")
    older = next((text_of(one, "read", 140) for one in entries if one.get("migrated")), "")
    return (*notes, f"read from {older}") if older else tuple(notes)


def _counted(number: int, word: str) -> str:
    return word if number == 1 else f"{word} {number} times"
