"""Plain: texts that people wrote, such as docstrings, made fit for a document."""

from __future__ import annotations

import inspect
import re

from handoffs.contracts.text import printable

_LONGEST = 4000


def line(text: object) -> str:
    """The text in one line, with hidden characters escaped and card numbers masked, at most 4000 characters."""
    return printable(" ".join(str(text).split()), _LONGEST)


def paragraphs(text: str | None) -> tuple[str, ...]:
    """A docstring as paragraphs of one line each."""
    found = re.split(r"\n\s*\n", inspect.cleandoc(text or ""))
    return tuple(line(part) for part in found if part.strip())
