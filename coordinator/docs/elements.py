"""Elements: HTML in which whatever is not made here is text."""

from __future__ import annotations

import html
import re
from typing import TypeAlias

_CODE = re.compile(r"``([^`]+)``")


_BLOCKS = frozenset(
    {
        "article",
        "dd",
        "div",
        "dl",
        "h1",
        "h2",
        "h3",
        "h4",
        "li",
        "nav",
        "p",
        "section",
        "table",
        "thead",
        "tr",
        "ul",
    }
)
"""After these there is a new line, so that two pages can be compared line by line."""


class Markup(str):
    """Text that is HTML already: made by the functions of this module, never from what somebody wrote."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | None"


def tag(name: str, *children: Child, **attributes: str) -> Markup:
    """An element. Children and attributes that are no :class:`Markup` are escaped; None is left out.

    An attribute's name may end with an underscore, and has dashes for underscores within it.
    """
    given = "".join(
        f' {word.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for word, value in attributes.items()
        if value
    )
    end = "\n" if name in _BLOCKS else ""
    return Markup(f"<{name}{given}>{join(*children)}</{name}>{end}")


def join(*children: Child) -> Markup:
    """The children one after another, escaped where they are no :class:`Markup`."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def listed(children: list[Markup], separator: str = ", ") -> Markup:
    """The children with a separator between them."""
    return Markup(html.escape(separator).join(children))


def prose(text: str) -> Markup:
    """A docstring's text: what stands between double backticks is code."""
    shown = html.escape(text)
    return Markup(_CODE.sub(lambda found: f"<code>{found[1]}</code>", shown))


def table(columns: tuple[str, ...], rows: list[tuple[Child, ...]], css: str = "") -> Markup | None:
    """A table; each cell knows its column's name, for narrow screens. None where there is no row."""
    if not rows:
        return None
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = [
        tag(
            "tr",
            *(
                tag("td", tag("div", cell) if cell else None, data_label=column)
                for column, cell in zip(columns, row, strict=True)
            ),
        )
        for row in rows
    ]
    return tag("table", tag("thead", head), tag("tbody", *body), class_=css)


def _escaped(child: str) -> str:
    return child if isinstance(child, Markup) else html.escape(child)
