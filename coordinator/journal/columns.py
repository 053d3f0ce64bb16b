"""Columns: values as both databases take them, and what is read back where others may have written it there."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from sqlalchemy import Integer, String, Table

from handoffs.contracts.text import is_utf8

_LARGEST = 2**31 - 1
_WHOLE = json.JSONEncoder(ensure_ascii=False).encode
_INSTEAD = "\ufffd"


def fitted(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """A row as its columns take it: text without what no database takes (the null character, half characters) and no longer than its
    column, numbers within 32 bits. What is of another type becomes text, or 0."""
    kinds = _kinds(table)
    return {name: _fitted(kinds[name], value) for name, value in values.items()}


@cache
def _kinds(table: Table) -> dict[str, Any]:
    """The types of a table's columns."""
    return {name: column.type for name, column in table.c.items()}


def json_text(value: Any) -> str:
    """A JSON value as text that both databases take: what is no whole character stays escaped."""
    text = _WHOLE(value)
    return text if text.isascii() or is_utf8(text) else json.dumps(value)


def json_value(text: Any) -> Any:
    """What :func:`json_text` wrote. Raises :class:`ValueError` where somebody has written something else there."""
    try:
        value = json.loads(text)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {type(error).__name__}") from error
    return _whole(value) if "\\ud" in text.lower() else value


def _fitted(kind: Any, value: Any) -> Any:
    if type(value) is str and isinstance(kind, String) and value.isascii() and "\x00" not in value:
        return value if kind.length is None else value[: kind.length]  # nearly all of them
    if isinstance(kind, Integer):
        return min(max(value, -_LARGEST), _LARGEST) if isinstance(value, int) else 0
    if not isinstance(kind, String):
        return value
    text = value if isinstance(value, str) else json_text(value)
    return _text(text)[: kind.length]


def _text(text: str) -> str:
    return (
        text.replace("\x00", _INSTEAD).encode("utf-8", "replace").decode()
        if not text.isascii() or "\x00" in text
        else text
    )


def _whole(value: Any) -> Any:
    """A JSON value without half characters, which no terminal and no file takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
