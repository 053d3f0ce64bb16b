"""Octets: the parts of AMQP 0-9-1, with anything in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from struct import pack
from typing import Any

_PROPERTIES = (
    "content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id", "reply_to", "expiration",
    "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id",
)  # fmt: skip

Pairs = Sequence[tuple[bytes, bytes]]


def short(text: bytes) -> bytes:
    """A short string."""
    return pack("B", len(text)) + text


def long(text: bytes) -> bytes:
    """A long string, without its type."""
    return pack(">I", len(text)) + text


def table(pairs: Pairs) -> bytes:
    """A table of names and items, without its type."""
    return long(b"".join(short(name) + item for name, item in pairs))


@cache
def nested(depth: int, inner: bytes, *, arrays: bool = False) -> bytes:
    """An item in so many tables, or arrays."""
    for _ in range(depth):
        inner = b"A" + long(inner) if arrays else b"F" + table([(b"n", inner)])
    return inner


def item(value: Any) -> bytes:
    """A value as an item of a table, in its type."""
    simple: dict[type, Callable[[Any], bytes]] = {
        type(None): lambda _: b"V",
        bool: lambda given: b"t" + pack("B", given),
        int: lambda given: b"l" + pack(">q", given),
        float: lambda given: b"d" + pack(">d", given),
        str: lambda given: b"S" + long(given.encode()),
        bytes: lambda given: b"S" + long(given),
        dict: lambda given: b"F" + table(pairs(given)),
        list: lambda given: b"A" + long(b"".join(map(item, given))),
    }
    return simple[type(value)](value)


def pairs(values: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Names and items, for :func:`table`."""
    return [(name.encode(), item(value)) for name, value in values.items()]


def properties(headers: Pairs | bytes | None = None, **others: bytes | int) -> bytes:
    """The flags and the properties of a message; texts and the table of headers in octets."""
    flags, parts = 0, b""
    given: dict[str, bytes | int] = dict(others)
    if headers is not None:
        given["headers"] = headers if isinstance(headers, bytes) else table(headers)
    for number, name in enumerate(_PROPERTIES):
        if name not in given:
            continue
        value = given[name]
        flags |= 1 << (15 - number)
        if isinstance(value, int):
            parts += pack(">Q" if name == "timestamp" else "B", value)
        else:
            parts += value if name == "headers" else short(value)
    return pack(">H", flags) + parts
