"""Timeline: a run's history as a table, one line for each thing that happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from contracts.text import printable
from coordinator.cli.output import styled


def timeline(run: str, story: Sequence[dict[str, Any]]) -> Table:
    """The history of ``run``: when (seconds since it was started), what, which step and agent, and what came of it."""
    made = Table(title=f"run {run}", title_justify="left", title_style="bold", header_style="bold")
    made.add_column("+s", justify="right", no_wrap=True)
    made.add_column("", no_wrap=True)
    made.add_column("step", no_wrap=True)
    made.add_column("agent", no_wrap=True)
    made.add_column("ms", justify="right", no_wrap=True)
    made.add_column("what came of it", no_wrap=True, overflow="ellipsis", ratio=1)
    began = datetime.fromisoformat(story[0]["at"]) if story else None
    for entry in story:
        since = (datetime.fromisoformat(entry["at"]) - began).total_seconds() if began else 0.0
        took = entry.get("took_ms")
        made.add_row(
            f"{since:.3f}",
            styled(entry["kind"]),
            entry.get("step", ""),
            entry.get("agent", ""),
            f"{took:.1f}" if took is not None else "",
            styled(_came_of(entry)),
        )
    return made


def _came_of(entry: dict[str, Any]) -> str:
    if entry["kind"] in {"parked", "retried"}:
        return f"attempt {entry.get('attempt', 1)}: {entry.get('error', '')}"
    if entry["kind"] in {"replayed", "cancelled"}:
        return f"by {entry['by']}" if entry.get("by") else ""
    given = entry.get("input") or {}
    made = entry.get("output") or {}
    news = {name: value for name, value in made.items() if given.get(name) != value} if made else given
    said = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in news.items())
    return printable(f"{entry.get('wrote', '')}  {said}", 220)
