"""Text: what people wrote, such as docstrings, made fit for a document; and as CommonMark (with GitHub's tables) in which nothing
of it is markup."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

from handoffs.contracts.text import printable

_LONGEST = 4000
_MARKUP = re.compile(r"[\\`*\[\]<>#~|!$&{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_CODE = re.compile(r"``([^`]+)``")
_BLOCK = re.compile(r"(?m)^(\s*)([-+=]|\d+(?=[.)]))")


def line(text: object) -> str:
    """The text in one line, with hidden characters escaped and card numbers masked, at most 4000 characters."""
    return printable(" ".join(str(text).split()), _LONGEST)


def paragraphs(text: str | None) -> tuple[str, ...]:
    """A docstring as paragraphs of one line each."""
    found = re.split(r"\n\s*\n", inspect.cleandoc(text or ""))
    return tuple(line(part) for part in found if part.strip())


def escaped(text: str) -> str:
    """The text with every character that Markdown or HTML could take for markup escaped."""
    shown = _MARKUP.sub(lambda found: _ENTITIES.get(found.group(), f"\\{found.group()}"), text)
    return _BLOCK.sub(_unblocked, shown)


def prose(text: str) -> str:
    """A docstring's text: escaped, but what stands between double backticks is code."""
    made, after = "", 0
    for found in _CODE.finditer(text):
        made += escaped(text[after : found.start()]) + code(found[1])
        after = found.end()
    return made + escaped(text[after:])


def code(text: str) -> str:
    """The text as a code span, in a fence longer than any run of backticks in it."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    room = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{room}{text}{room}{fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; none where there is no row."""
    lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(columns)} |", f"|{'|'.join(' --- ' for _ in columns)}|", *lines])


def _cell(text: str) -> str:
    """One line; a pipe ends a cell even within code."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def _unblocked(found: re.Match[str]) -> str:
    mark = found[2]
    return f"{found[1]}{mark}\\" if mark.isdigit() else f"{found[1]}\\{mark}"
