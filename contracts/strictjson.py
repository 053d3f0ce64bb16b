"""Strict JSON (RFC 8259) with limits: what two parsers could read differently is refused."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NoReturn, Self

from handoffs.contracts.errors import InvalidJson, TooLarge


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

    def inside(self, *, depth: int, nodes: int = 0) -> Self:
        """What is left of them for what is nested so deep, beside so many other values."""
        return replace(self, depth=self.depth - depth, nodes=self.nodes - nodes)


DEFAULT_LIMITS = Limits()

BY_REFERENCE = "send large payloads by reference"
"""What to do about a text of too many bytes."""

_BRACKET = re.compile(r"[\[{\]}]")
_FLAT = 8

_FORM: Any = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
_COMPACT = json.JSONEncoder(**_FORM).encode
_CANONICAL = json.JSONEncoder(**_FORM, sort_keys=True).encode


def loads(text: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Parse strict JSON.

    Raises :class:`TooLarge` for text over the limits (bytes, depth and the
    number of values are checked before parsing, lengths right after), and :class:`InvalidJson` for invalid UTF-8, NaN and
    infinities, duplicate keys, lone surrogates, and anything after the value.
    """
    document, most = _sized(text, limits)
    try:
        value = _decoder(limits.key_length).decode(document)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"the text is not JSON: {_reason(error)}") from None
    if not _is_plain(document, most, limits):
        _check_values(value, limits)
    return value


def check_size(text: bytes | str, limits: Limits) -> str:
    """The text, if it is not too large to be parsed: in bytes, in depth, in the number of values.

    Raises :class:`TooLarge`, and :class:`InvalidJson` for invalid UTF-8. What passes :func:`loads` passes this; the number of
    values is counted exactly, and lengths are checked, only there.
    """
    return _sized(text, limits)[0]


def refuse_octets(octets: int, limits: Limits) -> None:
    """Raise :class:`TooLarge` where a text of so many octets is over the limit."""
    if octets > limits.octets:
        raise TooLarge(f"the text has {octets} bytes, over the limit of {limits.octets}", remedy=BY_REFERENCE)


def dumps(value: Any) -> str:
    """Write compact JSON text (UTF-8 safe, no NaN). Raises :class:`InvalidJson` where JSON has no form for a value."""
    try:
        return _COMPACT(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidJson(f"the value cannot be written as JSON: {_reason(error)}") from None


def canonical(value: Any) -> str:
    """Write JSON text with sorted keys: equal values give equal text, so it can be hashed and compared.

    Raises :class:`InvalidJson` where JSON has no form for a value.
    """
    try:
        return _CANONICAL(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidJson(f"the value cannot be written as JSON: {_reason(error)}") from None


def told(value: Any) -> str:
    """A JSON value as people say it, a text without quotes; equal values give equal text.

    Raises :class:`InvalidJson` where JSON has no form for a value.
    """
    return str(json.loads(canonical(value)) if isinstance(value, (dict, list)) else value)


def digest(value: Any) -> str:
    """The SHA-256 of a JSON value in its canonical form: 64 hexadecimal digits, the same for equal values.

    Raises :class:`InvalidJson` where JSON has no form for a value.
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _decoded(text: bytes | str, limits: Limits) -> str:
    try:
        octets = text if isinstance(text, bytes) else text.encode()
        refuse_octets(len(octets), limits)
        return octets.decode()
    except UnicodeError:
        raise InvalidJson("the text is not UTF-8") from None


def _sized(text: bytes | str, limits: Limits) -> tuple[str, int]:
    """The text, if it is not too large to be parsed, and how many values it can have."""
    document = _decoded(text, limits)
    _check_depth(document, limits.depth)
    most = _at_most(document)
    _check_count(document, most, limits.nodes)
    return document, most


def _check_depth(document: str, most: int) -> None:
    """Count brackets outside strings, so that a deeply nested text never reaches the recursive parser."""
    if document.count("[") + document.count("{") <= most:
        return
    left = "".join(_BRACKET.findall(_bare(document))).replace("{", "[").replace("}", "]")
    passes = min(most, _FLAT)
    for _ in range(passes):  # a level each time, from the innermost on: most of a text is not nested deep
        left = left.replace("[]", "")
    depth = passes
    for bracket in left:
        depth += 1 if bracket == "[" else -1
        if depth > most:
            raise TooLarge(f"the text is nested more than {most} deep", remedy="nest it less deep")


def _check_count(document: str, most: int, limit: int) -> None:
    """Count commas and brackets outside strings: a text of very many values never reaches the parser, which would make
    objects of them all. What passes is counted exactly when it is parsed."""
    if most <= limit:
        return
    bare = _bare(document)
    if bare.count(",") + 1 > limit or bare.count("[") + bare.count("{") > limit:
        raise _too_many(limit)


def _at_most(document: str) -> int:
    """How many values a text can have: one, and one more for each comma and each bracket."""
    return 1 + document.count(",") + document.count("[") + document.count("{")


def _is_plain(document: str, most: int, limits: Limits) -> bool:
    """Whether the values of a text need not be looked at one by one: there are not too many, none can be too long, and a lone
    surrogate, which is no UTF-8, could only be there in an escaped form. Keys and numbers are looked at as they are parsed."""
    return "\\u" not in document and len(document) <= limits.text_length and most <= limits.nodes


def _bare(document: str) -> str:
    """A JSON text without its strings. Of a text that is none, because it has a backslash outside of them, it may be less."""
    return "".join(document.replace("\\\\", "").replace('\\"', "").split('"')[::2])


def _check_values(value: Any, limits: Limits) -> None:
    nodes = 0
    pending: list[Iterable[Any]] = [(value,)]
    while pending:
        for item in pending.pop():
            nodes += 1
            if nodes > limits.nodes:
                raise _too_many(limits.nodes)
            if isinstance(item, str):
                _check_text(item, limits.text_length)
            elif isinstance(item, dict):
                for key in item:
                    _check_text(key, limits.key_length)
                pending.append(item.values())
            elif isinstance(item, list):
                pending.append(item)


def _too_many(limit: int) -> TooLarge:
    return TooLarge(f"the text has more than {limit} values", remedy="send it in several parts")


def _check_text(text: str, limit: int) -> None:
    if len(text) > limit:
        raise TooLarge(
            f"a text or key has {len(text)} characters, over the limit of {limit}",
            remedy="send long texts by reference, and use shorter names",
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidJson("a text holds a lone surrogate") from None


@lru_cache(maxsize=8)
def _decoder(key_length: int) -> json.JSONDecoder:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise InvalidJson("an object has the same key twice")
        if found and max(map(len, found)) > key_length:
            _check_text(max(found, key=len), key_length)
        return found

    return json.JSONDecoder(object_pairs_hook=unique, parse_float=_finite, parse_constant=_no_constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidJson("a number is out of range")
    return number


def _no_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not JSON")


def _reason(error: BaseException) -> str:
    return str(error)[:120] if not isinstance(error, RecursionError) else "nested too deep"
