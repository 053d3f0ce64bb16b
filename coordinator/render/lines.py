"""Lines: nested lines with the lines that connect them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.cells import cell_len, chop_cells

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.nested import Item

T = TypeVar("T")
_PLAIN = str.maketrans(
    {
        "├": "|",
        "└": "`",
        "│": "|",
        "─": "-",
        "━": "-",
        "█": "#",
        "·": ".",
        "░": "~",
        "◆": "*",
        "→": ">",
        "…": ".",
        "⋯": ".",
        "≤": "<",
        "\u00d7": "x",
    }
)


def connected(items: Sequence[Item[T]], above: str = "") -> Iterator[tuple[str, str, T]]:
    """Each item with what stands before its first line, and before its further lines."""
    for number, item in enumerate(items, 1):
        last = number == len(items)
        rest = above + ("   " if last else "│  ")
        yield above + ("└─ " if last else "├─ "), rest + ("│  " if item.below else "   "), item.content
        yield from connected(item.below, rest)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most ``width`` cells, broken between words where that is possible."""
    lines = [""]
    for word in printable(text, 2000).split(" "):
        for number, piece in enumerate(chop_cells(word, max(width, 2)) or [""]):
            longer = f"{lines[-1]} {piece}" if lines[-1] and not number else lines[-1] + piece
            if cell_len(longer) <= width and not number:
                lines[-1] = longer
            elif lines[-1]:
                lines.append(piece)
            else:
                lines[-1] = piece
    return lines


def cut(text: str, width: int) -> str:
    """The text in one line of at most ``width`` cells, ``…`` in place of what is left out."""
    shown = printable(text, 2000)
    if cell_len(shown) <= width:
        return shown
    return (chop_cells(shown, max(width - 1, 1)) or [""])[0] + "…"


def padded(text: str, width: int) -> str:
    """The text with spaces up to ``width`` cells."""
    return text + " " * (width - cell_len(text))


def as_ascii(text: str) -> str:
    """The text in ASCII rails, for a terminal that has no others."""
    return text.translate(_PLAIN)
