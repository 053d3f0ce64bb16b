"""Console: results to standard output, what happens meanwhile to standard error."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, JustifyMethod
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from handoffs.contracts.text import escaped_json, printable

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


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """Print rows as a table, or as a list of JSON objects."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        out.print(table(title, columns, rows))


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = ()
) -> Padding:
    """A table of texts; a word that is a status is coloured. No word is broken where the terminal has room for it. ``right``
    are the columns that are flush right."""
    made = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(columns),
    )
    made.collapse_padding, made.show_edge = True, False
    cells = [[_text(cell) for cell in row] for row in rows]
    headed = [[Text(heading), *(row[at] for row in cells)] for at, heading in enumerate(columns)]
    for heading, width in zip(columns, _widths(headed, out.width - 2 * (len(columns) - 1)), strict=True):
        justify: JustifyMethod = "right" if heading in right else "left"
        made.add_column(heading, overflow="fold", width=width, justify=justify)
    for row in cells:
        made.add_row(*row)
    return Padding(Group(Text(title, style="bold"), made) if title else made, (0, 0, 1, 0))


def _widths(columns: Sequence[Sequence[Text]], room: int) -> list[int | None]:
    """How wide each column is to be: as much as its longest word, and of what is left in proportion to what it lacks. None
    where all have room enough, or too little for that."""
    measured = [[Measurement.get(out, out.options, cell) for cell in cells] for cells in columns]
    least = [max(cell.minimum for cell in cells) for cells in measured]
    most = [max(cell.maximum for cell in cells) for cells in measured]
    left, lacking = room - sum(least), sum(most) - sum(least)
    if left < 0 or lacking <= left:
        return [None] * len(columns)
    return [low + left * (high - low) // lacking for low, high in zip(least, most, strict=True)]


def _text(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text.from_markup(styled(cell))


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
