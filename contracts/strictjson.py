"""Strict JSON (RFC 8259) with limits: what two parsers could read differently is refused."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from handoffs.contracts.errors import InvalidJson


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a JSON text from outside may be.

    ``octets`` counts bytes of UTF-8, ``depth`` nested arrays and objects, ``nodes`` values of every kind,
    ``key_length`` and ``text_length`` code points.
    """

    octets: int = 1_048_576
    depth: int = 64
    nodes: int = 50_000
    key_length: int = 256
    text_length: int = 262_144


DEFAULT_LIMITS = Limits()

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or the rest of the text where it does not end: linear in every case."""
_BRACKET = re.compile(r"[\[{\]}]")


def loads(text: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Parse strict JSON.

    Raises :class:`InvalidJson` for text over the limits (bytes, depth and the
    number of values are checked before parsing, lengths right after), invalid UTF-8, NaN and
    infinities, duplicate keys, lone surrogates, and anything after the value.
    """
    document = _decoded(text, limits)
    _check_depth(document, limits.depth)
    _check_count(document, limits.nodes)
    try:
        value = json.loads(document, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"the text is not JSON: {_reason(error)}") from None
    _check_values(value, limits)
    return value


def dumps(value: Any) -> str:
    """Write compact JSON text (UTF-8 safe, no NaN). Raises :class:`InvalidJson` where JSON has no form for a value."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidJson(f"the value cannot be written as JSON: {_reason(error)}") from None


def canonical(value: Any) -> str:
    """Write JSON text with sorted keys: equal values give equal text, so it can be hashed and compared.

    Raises :class:`InvalidJson` where JSON has no form for a value.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidJson(f"the value cannot be written as JSON: {_reason(error)}") from None


def digest(value: Any) -> str:
    """The SHA-256 of a JSON value in its canonical form: 64 hexadecimal digits, the same for equal values.

    Raises :class:`InvalidJson` where JSON has no form for a value.
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _decoded(text: bytes | str, limits: Limits) -> str:
    try:
        octets = text if isinstance(text, bytes) else text.encode()
        if len(octets) > limits.octets:
            raise InvalidJson(
                f"the text has {len(octets)} bytes, over the limit of {limits.octets}",
                remedy="send large payloads by reference",
            )
        return octets.decode()
    except UnicodeError:
        raise InvalidJson("the text is not UTF-8") from None


def _check_depth(document: str, limit: int) -> None:
    """Count brackets outside strings, so that a deeply nested text never reaches the recursive parser."""
    if document.count("[") + document.count("{") <= limit:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", document)):
        depth += 1 if bracket in "[{" else -1
        if depth > limit:
            raise InvalidJson(f"the text is nested more than {limit} deep")


def _check_count(document: str, limit: int) -> None:
    """Count commas and brackets outside strings: a text of very many values never reaches the parser, which would make
    objects of them all. What passes is counted exactly when it is parsed."""
    if document.count(",") + document.count("[") + document.count("{") < limit:
        return
    bare = _STRING.sub("", document)
    if bare.count(",") + 1 > limit or bare.count("[") + bare.count("{") > limit:
        raise InvalidJson(f"the text has more than {limit} values")


def _check_values(value: Any, limits: Limits) -> None:
    nodes = 0
    pending: list[Iterable[Any]] = [(value,)]
    while pending:
        for item in pending.pop():
            nodes += 1
            if nodes > limits.nodes:
                raise InvalidJson(f"the text has more than {limits.nodes} values")
            if isinstance(item, str):
                _check_text(item, limits.text_length)
            elif isinstance(item, dict):
                for key in item:
                    _check_text(key, limits.key_length)
                pending.append(item.values())
            elif isinstance(item, list):
                pending.append(item)
            elif isinstance(item, float) and not math.isfinite(item):
                raise InvalidJson("a number is out of range")


def _check_text(text: str, limit: int) -> None:
    if len(text) > limit:
        raise InvalidJson(f"a text or key has {len(text)} characters, over the limit of {limit}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidJson("a text holds a lone surrogate") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidJson("an object has the same key twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not JSON")


def _reason(error: BaseException) -> str:
    return str(error)[:120] if not isinstance(error, RecursionError) else "nested too deep"
