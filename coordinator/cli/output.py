"""Output: results to standard output, what happens meanwhile to standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from contracts.text import escaped_json, printable

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

STYLES = {
    "completed": "green", "settled": "green", "running": "cyan", "started": "cyan", "begun": "cyan", "scheduled": "blue", "parked": "red", "late": "yellow",
    "retried": "yellow", "fallback": "yellow", "paused": "yellow", "resumed": "cyan", "signalled": "green", "replayed": "magenta", "edited": "magenta", "skipped": "magenta", "deduplicated": "blue", "cancelled": "dim", "given-up": "dim", "waiting": "red",
    "published": "green", "unchanged": "green", "not published": "yellow", "would be published": "green",
    "changed": "red", "breaks": "red", "refused": "red",
}  # fmt: skip


def print_json(value: Any) -> None:
    """Print ``value`` as JSON and nothing else, with escapes for what a terminal would obey or hide."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    out.print(escaped_json(text), markup=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of texts; a word that is a status is coloured."""
    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(styled(cell) for cell in row))
    return made


def styled(cell: object) -> str:
    """A cell as markup: escaped, printable, coloured where it is a status."""
    text = escape(printable(cell, 2000))
    style = STYLES.get(str(cell))
    return f"[{style}]{text}[/]" if style else text


def bar() -> Progress:
    """A progress bar on standard error."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err
    )
