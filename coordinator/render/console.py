"""Console: results to standard output, what happens meanwhile to standard error."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from textwrap import indent
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from handoffs.contracts.text import escaped_json, printable


class _Console(Console):
    """A console that cuts nothing off: what a program reads has its lines whole, and a terminal wraps what it has no room for."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*objects, **{"crop": False, **options})


out = _Console(markup=False, emoji=False, highlight=False)
err = Console(markup=False, emoji=False, highlight=False, stderr=True)
"""No text is markup: what stands in brackets may be a person's."""

_LONGEST_LINE = 4000

_IDS = frozenset({"run", "letter", "event", "story", "build", "group", "operation", "example"})
"""The columns that have ids: what is copied from there must be whole."""

_NARROWEST = 8
_WIDEST = 100_000
"""Of how many characters a column is: at least in a terminal that has too little room, and at most."""

STYLES = {
    "completed": "green", "settled": "green", "running": "cyan", "started": "cyan", "begun": "cyan", "scheduled": "blue", "parked": "red", "late": "yellow",
    "retried": "yellow", "waits": "yellow", "allowed": "magenta", "fallback": "yellow", "paused": "yellow", "resumed": "cyan", "signalled": "green", "replayed": "magenta", "edited": "magenta", "skipped": "magenta", "deduplicated": "blue", "cancelled": "dim", "given-up": "dim", "waiting": "red",
    "published": "green", "unchanged": "green", "not published": "yellow", "would be published": "green",
    "changed": "red", "breaks": "red", "refused": "red", "ok": "green", "warning": "yellow", "failed": "red",
}  # fmt: skip


def say(text: object) -> None:
    """Print one line of a result, with escapes for what a terminal would obey or hide."""
    out.print(_line(text), soft_wrap=True)


def tell(text: object) -> None:
    """Print one line on what happens meanwhile, or on why nothing does, to standard error, as :func:`say` does."""
    err.print(_line(text), soft_wrap=True)


def say_lines(text: str) -> None:
    """Print a text of several lines, each as :func:`say` does."""
    for line in text.splitlines():
        out.print(printable(line, _LONGEST_LINE), soft_wrap=True)


def _line(text: object) -> str:
    return printable(" ".join(str(text).splitlines()), _LONGEST_LINE)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON and nothing else, with escapes for what a terminal would obey or hide."""
    out.print(_json(value), soft_wrap=True)


def say_json(value: Any) -> None:
    """Print ``value`` as JSON in one line, as :func:`print_json` does."""
    text = json.dumps(value, ensure_ascii=out.options.ascii_only, default=str)
    out.print(escaped_json(text), soft_wrap=True)


def print_json_items(items: Iterable[Any]) -> None:
    """Print ``items`` as a JSON list, as :func:`print_json` does, but one after the other: none of them is kept."""
    between = "[\n"
    for item in items:
        out.print(between + indent(_json(item), "  "), end="", soft_wrap=True)
        between = ",\n"
    out.print("[]" if between == "[\n" else "\n]")


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=out.options.ascii_only, indent=2, default=str)
    return escaped_json(text)


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """Print rows as a table, or as a list of JSON objects."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        out.print(table(title, columns, rows))


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = ()
) -> Group:
    """A table of texts; a word that is a status is coloured. ``right`` are the columns that are flush right.

    In a terminal no word is broken where there is room for it, and an id never is. Where something else reads it, each row is one line,
    however long."""
    made = _Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(columns),
    )
    made.collapse_padding, made.show_edge = True, False
    cells = [[_text(cell) for cell in row] for row in rows]
    headed = [[Text(heading), *(row[at] for row in cells)] for at, heading in enumerate(columns)]
    whole = [at for at, heading in enumerate(columns) if heading in _IDS]
    for heading, width in zip(
        columns, _widths(headed, out.width - 2 * (len(columns) - 1), whole), strict=True
    ):
        justify: JustifyMethod = "right" if heading in right else "left"
        no_wrap = heading in _IDS or not out.is_terminal
        made.add_column(heading, overflow="fold", width=width, justify=justify, no_wrap=no_wrap)
    for row in cells:
        made.add_row(*row)
    named = [Text(printable(title, 400), style="bold")] if title else []
    return Group(*named, made, Text())


class _Table(Table):
    """A table that is as wide as its columns are to be, wider than the console where that is needed."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [column.width or 0 for column in self.columns]
        width = max(options.max_width, sum(widths) + 2 * len(widths))
        yield from super().__rich_console__(console, options.update(width=width))


def _widths(columns: Sequence[Sequence[Text]], room: int, whole: Sequence[int]) -> list[int]:
    """How wide each column is to be: as wide as its longest line where all have room, or something else than a terminal reads it. Where
    they have not, as much as its longest word, and of what is left in proportion to what it lacks; words are broken where there is
    too little room for that. The columns ``whole`` are never narrower than their longest line."""
    measured = [
        [Measurement.get(out, out.options.update(width=_WIDEST), cell) for cell in cells] for cells in columns
    ]
    most = [max(cell.maximum for cell in cells) for cells in measured]
    least = [max(cell.minimum for cell in cells) for cells in measured]
    least = [most[at] if at in whole else low for at, low in enumerate(least)]
    if not out.is_terminal or sum(most) <= room:
        return most
    left = room - sum(least)
    if left >= 0:
        lacking = sum(most) - sum(least)
        return [low + left * (high - low) // lacking for low, high in zip(least, most, strict=True)]
    fixed = sum(most[at] for at in whole)
    others = sum(least) - fixed
    return [
        low if at in whole else max(min(low, _NARROWEST), (room - fixed) * low // max(others, 1))
        for at, low in enumerate(least)
    ]


def _text(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(cell, 2000), STYLES.get(str(cell), ""))


def bar() -> Progress:
    """A progress bar on standard error."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err
    )
