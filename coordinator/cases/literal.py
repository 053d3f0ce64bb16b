"""Literal: a JSON value as Python source, laid out as ``ruff format`` lays it out in lines of 100 columns.

It is always valid Python, and gives the same value: what cannot be printed, or has no width of its own, is escaped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WIDTH = 100
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_JOINED = ((0x1160, 0x11FF), (0xD7B0, 0xD7FF))
"""Letters of Hangul that stand in the column of the one before."""


@dataclass(frozen=True, slots=True)
class Name:
    """In the place of a value, the name of a constant of the module."""

    text: str


def assigned(name: str, value: Any) -> str:
    """The lines that assign a value to a name: JSON values, and names of constants among them."""
    return "\n".join(_laid_out(f"{name} = ", value, "", 0))


def text_of(value: str) -> str:
    """A text as a literal, in the quotes that need fewer escapes, double ones first."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(_escaped(character, quote) for character in value) + quote


def _laid_out(before: str, value: Any, after: str, indent: int) -> list[str]:
    """The lines of a value between what stands before and after it in its line."""
    line = " " * indent + before + _in_line(value) + after
    if not value or not isinstance(value, (dict, list)) or _columns(line) <= WIDTH:
        return [line]
    inner: list[str] = []
    if isinstance(value, dict):
        for key, one in value.items():
            inner += _laid_out(f"{text_of(key)}: ", one, ",", indent + 4)
        opened, closed = "{", "}"
    else:
        for one in value:
            inner += _laid_out("", one, ",", indent + 4)
        opened, closed = "[", "]"
    return [" " * indent + before + opened, *inner, " " * indent + closed + after]


def _in_line(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(key)}: {_in_line(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_in_line, value)) + "]"
    if isinstance(value, Name):
        return value.text
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, float):
        return repr(value).replace("e+", "e")
    return repr(value)


def _escaped(character: str, quote: str) -> str:
    if character == quote:
        return "\\" + character
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if 0x20 <= code < 0x7F or _stands_alone(character, code):
        return character
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _stands_alone(character: str, code: int) -> bool:
    """Whether a character can be printed, in columns of its own."""
    if not character.isprintable() or unicodedata.category(character)[0] in "MZC":
        return False
    return not any(first <= code <= last for first, last in _JOINED)


def _columns(line: str) -> int:
    if line.isascii():
        return len(line)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line)


def plain(text: Iterable[str], most: int = 160) -> str:
    """A text of others as it may stand in a comment or a docstring: letters, digits and a few signs, cut where it is long."""
    found = "".join(one if one.isascii() and (one.isalnum() or one in " ._:@/-+,()") else "?" for one in text)
    return found if len(found) <= most else f"{found[: most - 3]}..."
