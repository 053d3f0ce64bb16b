"""Timeline: a run's history as a table, one line for each thing that happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table

from contracts.text import printable
from coordinator.cli.output import out, styled

_COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("+s", "right"), ("", "left"), ("step", "left"), ("agent", "left"), ("ms", "right"),
)  # fmt: skip
_LAST = "what came of it"
_PADDING = 3


def timeline(run: str, story: Sequence[dict[str, Any]]) -> Table:
    """The history of ``run``: when (seconds since it was started), what, which step and agent, and what came of it."""
    began = datetime.fromisoformat(story[0]["at"]) if story else None
    rows = [_row(entry, began) for entry in story]
    made = Table(title=f"run {run}", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    widths: list[int] = []
    for number, (name, justify) in enumerate(_COLUMNS):
        widths.append(max([len(row[number]) for row in rows] + [len(name)]))
        made.add_column(name, justify=justify, no_wrap=True, width=widths[-1])
    made.add_column(_LAST, no_wrap=True)
    room = max(out.width - sum(widths) - _PADDING * (len(_COLUMNS) + 1), len(_LAST))
    for *fixed, last in rows:
        made.add_row(*map(styled, fixed), styled(last if len(last) <= room else last[: room - 1] + "…"))
    return made


def _row(entry: dict[str, Any], began: datetime | None) -> tuple[str, ...]:
    since = (datetime.fromisoformat(entry["at"]) - began).total_seconds() if began else 0.0
    took = f"{entry['took_ms']:.1f}" if entry.get("took_ms") is not None else ""
    return f"{since:.3f}", entry["kind"], entry.get("step", ""), entry.get("agent", ""), took, _came_of(entry)


def _came_of(entry: dict[str, Any]) -> str:
    if entry["kind"] in {"parked", "retried"}:
        return f"attempt {entry.get('attempt', 1)}: {entry.get('error', '')}"
    if entry["kind"] in {"replayed", "cancelled"}:
        return f"by {entry['by']}" if entry.get("by") else ""
    given = entry.get("input") or {}
    made = entry.get("output") or {}
    news = {name: value for name, value in made.items() if given.get(name) != value} if made else given
    said = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in news.items())
    return printable(f"{said}  ({_versions(entry)})", 220)


def _versions(entry: dict[str, Any]) -> str:
    """What was written; where it was sent in another version, or its input came in one, that too."""
    sent = "".join(f", sent as {ref}" for ref in dict.fromkeys((entry.get("sent") or {}).values()))
    read = f", read from {entry['read']}" if entry.get("original") or entry.get("migrated") else ""
    return f"{entry.get('wrote', '')}{sent}{read}"
