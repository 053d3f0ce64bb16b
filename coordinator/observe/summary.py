"""Summary: what came of something that happened in a run, in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.moments import moment

_LONGEST = 220
_BY_A_PERSON = frozenset({"edited", "skipped"})
"""By whom and why is what people look for."""


def summary(entry: Mapping[str, Any]) -> str:
    """What an entry of a history says: an error with its attempt, who did it, or the fields that are new, with versions."""
    return printable(_words(entry), _LONGEST)


def _words(entry: Mapping[str, Any]) -> str:
    attempt = entry.get("attempt") or 1
    if entry["kind"] in {"parked", "retried"}:
        return f"attempt {attempt}: {entry.get('error', '')}"
    if entry["kind"] == "waits":
        return f"attempt {attempt} waits{_until(entry)}: {entry.get('error', '')}"
    if entry["kind"] in {"replayed", "cancelled", "given-up", "paused", "resumed"}:
        return ": ".join(filter(None, (f"by {entry['by']}" if entry.get("by") else "", entry.get("why", ""))))
    if entry["kind"] == "waiting":
        return f"for signal {entry['signal']} of {entry['wrote']}"
    if entry["kind"] == "refused":
        return f"{entry.get('error', '')}" + (f", by {entry['by']}" if entry.get("by") else "")
    noted = ", ".join(_notes(entry, attempt))
    return " ".join(_news(entry)) + (f"  ({noted})" if noted else "")


def _news(entry: Mapping[str, Any]) -> list[str]:
    """The fields that are new, and before them what people look for."""
    given = _fields(entry.get("input"))
    made = _fields(entry.get("output"))
    news = {name: value for name, value in made.items() if given.get(name) != value} if made else given
    words = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in news.items()]
    if entry["kind"] == "fallback":
        words.insert(0, f"{entry.get('fallback', '')}:" if words else str(entry.get("fallback", "")))
    if entry.get("begins"):
        words.insert(0, f"at step {entry['begins']}" + (":" if words else ""))
    if entry.get("due"):
        words.insert(0, f"due {entry['due']}" + (":" if words else ""))
    if entry["kind"] in _BY_A_PERSON:
        words.insert(0, f"by {entry.get('by', '')}: {entry.get('error') or '(no reason given)'};")
    return words


def _notes(entry: Mapping[str, Any], attempt: int) -> Iterator[str]:
    """What stands in parentheses."""
    versions = _versions(entry)
    if versions:
        yield versions
    if entry.get("fallback") and entry["kind"] != "fallback":
        yield f"from a fallback: {entry['fallback']}"
    if entry.get("by") and entry["kind"] not in _BY_A_PERSON:
        yield f"by {entry['by']}" + (f": {entry['why']}" if entry.get("why") else "")
    if attempt > 1:
        yield f"attempt {attempt}"


def _fields(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _versions(entry: Mapping[str, Any]) -> str:
    """What was written; where it was sent in another version, or its input came in one, that too."""
    sent = "".join(f", sent as {ref}" for ref in dict.fromkeys((entry.get("sent") or {}).values()))
    read = f", read from {entry['read']}" if entry.get("original") or entry.get("migrated") else ""
    return f"{entry.get('wrote', '')}{sent}{read}".removeprefix(", ")


def _until(entry: Mapping[str, Any]) -> str:
    """When a step is tried again that has said so; nothing where that cannot be told."""
    wait = entry.get("wait_ms")
    try:
        ends = datetime.fromisoformat(entry["at"]) + timedelta(milliseconds=wait or 0)
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""
    return f" until {moment(ends)}"
