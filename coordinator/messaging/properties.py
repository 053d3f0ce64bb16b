"""Properties: what an AMQP 0-9-1 message has beside its body, read without trust. Anybody may have written it.

Nothing here raises, whatever the octets are. What is read is what the product may go by: texts are text, times are in the calendar,
numbers are finite, tables are neither deep nor endless. Of anything else the reader says what is wrong, and gives as much as can be
shown to people.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from struct import Struct
from typing import Any

from handoffs.contracts.text import is_utf8

MOST_HEADERS = 1_000
"""How many headers a message may have, with the values in them. The product's own messages have about 30. What the broker adds is
counted by itself."""
DEEPEST = 16
"""How deep tables and arrays may be nested in headers: the product's own two deep, the broker's ``x-death`` four."""

LAST_SECOND = 253_402_300_799
"""Of the year 9999, in seconds since 1970: no time is later."""

_OF_THE_BROKER = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
"""How the headers begin that the broker adds. They repeat routing keys and names of others, which may be any octets."""

_TEXT, _TABLE, _OCTET, _TIME = range(4)
_NAMES = (
    ("content_type", _TEXT), ("content_encoding", _TEXT), ("application_headers", _TABLE), ("delivery_mode", _OCTET),
    ("priority", _OCTET), ("correlation_id", _TEXT), ("reply_to", _TEXT), ("expiration", _TEXT), ("message_id", _TEXT),
    ("timestamp", _TIME), ("type", _TEXT), ("user_id", _TEXT), ("app_id", _TEXT), ("cluster_id", _TEXT),
)  # fmt: skip
_PROPERTIES = tuple((0x8000 >> number, name, kind) for number, (name, kind) in enumerate(_NAMES))

_NUMBERS = {
    ord(tag): (Struct(form).unpack_from, Struct(form).size)
    for tag, form in zip(
        "bBUsuIiLlfd", [">b", ">B", ">h", ">h", ">H", ">i", ">I", ">q", ">q", ">f", ">d"], strict=True
    )
}
_S, _F, _A, _X, _V, _D, _BOOL, _MOMENT = b"SFAxVDtT"
_x = ord("x")
_TWO, _FOUR, _EIGHT = (Struct(form).unpack_from for form in (">H", ">I", ">Q"))
_PLAIN = frozenset({bool, float, type(None), bytes, datetime, Decimal})
_NOTED = tuple(name.encode() for name in _OF_THE_BROKER)
_DECIMAL = Struct(">Bi").unpack_from


class _Unreadable(Exception):
    """What follows cannot be told apart."""


@dataclass(slots=True)
class _State:
    """What is wrong, the first that was found; how many values there may still be, of others and of the broker."""

    fault: str = ""
    left: int = MOST_HEADERS
    left_to_broker: int = MOST_HEADERS
    of_the_broker: bool = False

    def wrong(self, what: str) -> None:
        if not self.fault:
            self.fault = what

    def count(self, values: int) -> None:
        if self.of_the_broker:
            self.left_to_broker -= values
        else:
            self.left -= values
        if self.left < 0 or self.left_to_broker < 0:
            raise _Unreadable(f"it has more than {MOST_HEADERS} headers, with the values in them")


def read_properties(octets: bytes, at: int = 0) -> tuple[dict[str, Any], str]:
    """The properties that ``octets`` hold from ``at`` on, by the names that the client's library has for them, and what is wrong
    with them: empty where nothing is. Where something is, texts have escapes for what is none, and what cannot be told apart is
    missing."""
    state = _State()
    found: dict[str, Any] = {}
    try:
        (flags,) = _TWO(octets, at)
        at += 2
        for bit, name, kind in _PROPERTIES:
            if flags & bit:
                at = _property(found, name, kind, octets, at, state)
        if flags & 0x0003:
            state.wrong("it has properties that AMQP does not know")
        elif at != len(octets):
            state.wrong("its properties are longer than they say")
    except _Unreadable as error:
        state.wrong(str(error))
    except (struct.error, IndexError):
        state.wrong("its properties are cut off")
    return found, state.fault


def read_text(octets: bytes) -> tuple[str, bool]:
    """Octets as text, and whether they are text; where not, with escapes for those that are none."""
    try:
        return octets.decode(), True
    except UnicodeDecodeError:
        return octets.decode("utf-8", "backslashreplace"), False


def read_values(given: Any) -> tuple[dict[str, Any], str]:
    """The same of headers that are Python values, as a broker in this process is given them: a copy, and what is wrong."""
    state = _State()
    if not isinstance(given, Mapping):
        return {}, "its headers are no table"
    try:
        return _copied(given, 1, state), state.fault
    except _Unreadable as error:
        return {}, str(error)


def is_text(value: object) -> bool:
    """Whether a value is a text that can be written: it has no half of a pair of surrogates."""
    return isinstance(value, str) and is_utf8(value)


def sent(octets: bytes, *, headers: bool = True) -> bytes:
    """Properties without what the broker has noted in them on the way, or without any ``headers``; from where they cannot be told
    apart, all that follows."""
    kept, at = [octets[:2]], 2
    try:
        (flags,) = _TWO(octets)
        for bit, _, kind in _PROPERTIES[:3]:
            if flags & bit and kind == _TEXT:
                begin, at = at, at + 1 + octets[at]
                kept.append(octets[begin:at])
            elif flags & bit:
                at, end = _extent(octets, at, len(octets))
                while at < end:
                    begin, name = at, octets[at + 1 : at + 1 + octets[at]]
                    after = _after(octets, at + 1 + len(name), end)
                    if headers and not name.startswith(_NOTED):
                        kept.append(octets[begin:after])
                    at = after
    except (_Unreadable, struct.error, IndexError):
        pass
    return b"".join([*kept, octets[at:]])


def _after(octets: bytes, at: int, end: int) -> int:
    """Where a value with its type ends: nothing of it is read."""
    tag = octets[at]
    if tag in {_S, _F, _A, _X}:
        return _extent(octets, at + 1, end)[1]
    sizes = {_V: 0, _BOOL: 1, _D: 5, _MOMENT: 8}
    if tag not in sizes and tag not in _NUMBERS:
        raise _Unreadable
    return at + 1 + (sizes[tag] if tag in sizes else _NUMBERS[tag][1])


def _property(found: dict[str, Any], name: str, kind: int, octets: bytes, at: int, state: _State) -> int:
    """Read one property into ``found``; gives where the next begins."""
    if kind == _TEXT:
        begin = at + 1
        at = begin + octets[at]
        if at > len(octets):
            raise _Unreadable(f"its {name} is cut off")
        try:
            found[name] = octets[begin:at].decode()
        except UnicodeDecodeError:
            found[name], _ = read_text(octets[begin:at])
            state.wrong(f"its {name} is no text")
        return at
    if kind == _TABLE:
        found[name] = headers = dict[str, Any]()
        begin, end = _extent(octets, at, len(octets))
        _fill(headers, octets, begin, end, 1, state)
        return end
    if kind == _OCTET:
        found[name] = octets[at]
        return at + 1
    (found[name],) = _EIGHT(octets, at)
    if found[name] > LAST_SECOND:
        state.wrong(f"its {name} is beyond the year 9999")
    return at + 8


def _fill(found: dict[str, Any], octets: bytes, at: int, end: int, depth: int, state: _State) -> None:
    """Read a table into ``found``, for what is read of it is kept where the rest cannot be. Most values are short texts: they are
    read here, the others by a function each."""
    number = 0
    while at < end:
        begin, number = at + 1, number + 1
        at = begin + octets[at]
        try:
            name = octets[begin:at].decode()
        except UnicodeDecodeError:
            name, _ = read_text(octets[begin:at])
            state.wrong("the name of a header is no text")
        if depth == 1:
            state.of_the_broker = octets[begin] == _x and name.startswith(_OF_THE_BROKER)
        tag = octets[at]
        if tag == _S:
            begin = at + 5
            at = begin + _FOUR(octets, at + 1)[0]
            if at > end:
                raise _Unreadable("its headers are cut off")
            try:
                found[name] = octets[begin:at].decode()
            except UnicodeDecodeError:
                found[name] = _escaped(octets[begin:at], state)
        elif tag == _V:
            found[name] = None
            at += 1
        else:
            found[name], at = _value(tag, octets, at + 1, end, depth, state)
    if at != end:
        raise _Unreadable("a table of its headers is longer than it says")
    if len(found) != number:
        state.wrong("a header comes twice")
    if depth == 1:
        state.of_the_broker = False
        if number > MOST_HEADERS:
            number -= sum(name.startswith(_OF_THE_BROKER) for name in found)
    state.count(number)


def _escaped(octets: bytes, state: _State) -> str:
    text, is_text = read_text(octets)
    if not is_text and not state.of_the_broker:
        state.wrong("a header is no text")
    return text


def _value(tag: int, octets: bytes, at: int, end: int, depth: int, state: _State) -> tuple[Any, int]:
    """A value of a type, and where the next begins."""
    if tag in _NUMBERS:
        unpack, size = _NUMBERS[tag]
        (number,) = unpack(octets, at)
        if number.__class__ is float and not math.isfinite(number):
            state.wrong("a header is no finite number")
            number = str(number)
        return number, at + size
    if tag in {_F, _A}:
        return _nested(tag, octets, at, end, depth, state)
    if tag in {_S, _X}:
        at, after = _extent(octets, at, end)
        return _escaped(octets[at:after], state) if tag == _S else octets[at:after], after
    return _fixed(tag, octets, at, state)


def _fixed(tag: int, octets: bytes, at: int, state: _State) -> tuple[Any, int]:
    if tag in {_V, _BOOL}:
        return (None, at) if tag == _V else (octets[at] != 0, at + 1)
    if tag == _D:
        scale, number = _DECIMAL(octets, at)
        return Decimal(number).scaleb(-scale), at + 5
    if tag != _MOMENT:
        raise _Unreadable(f"a header has a type that AMQP does not know: {bytes([tag])!r}")
    (seconds,) = _EIGHT(octets, at)
    if seconds > LAST_SECOND:
        state.wrong("a header is a time beyond the year 9999")
        return seconds, at + 8
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None), at + 8


def _nested(tag: int, octets: bytes, at: int, end: int, depth: int, state: _State) -> tuple[Any, int]:
    if depth >= DEEPEST:
        raise _Unreadable(f"its headers are nested more than {DEEPEST} deep")
    at, after = _extent(octets, at, end)
    if tag == _F:
        table: dict[str, Any] = {}
        _fill(table, octets, at, after, depth + 1, state)
        return table, after
    array = []
    while at < after:
        value, at = _value(octets[at], octets, at + 1, after, depth + 1, state)
        array.append(value)
    if at != after:
        raise _Unreadable("an array of its headers is longer than it says")
    state.count(len(array))
    return array, after


def _copied(given: Mapping[Any, Any], depth: int, state: _State) -> dict[str, Any]:
    found = {}
    for name, value in given.items():
        if isinstance(name, str) and len(name) < 256 and is_text(name):
            found[name] = _copy(value, depth, state)
        else:
            state.wrong("the name of a header is no text")
            found[repr(name)[:256]] = _copy(value, depth, state)
    return found


def _copy(value: Any, depth: int, state: _State) -> Any:
    state.count(1)
    kind = type(value)
    if kind in _PLAIN and not (kind is float and not math.isfinite(value)):
        return value
    if kind is str and is_text(value):
        return value
    if kind is int and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, Mapping | list | tuple):
        if depth >= DEEPEST:
            raise _Unreadable(f"its headers are nested more than {DEEPEST} deep")
        if isinstance(value, Mapping):
            return _copied(value, depth + 1, state)
        return [_copy(item, depth + 1, state) for item in value]
    state.wrong(
        "a header is no text" if isinstance(value, str) else "a header has a type that AMQP does not know"
    )
    return ascii(value)[:1_000]


def _extent(octets: bytes, at: int, end: int) -> tuple[int, int]:
    """Where what follows its length begins and ends."""
    (size,) = _FOUR(octets, at)
    if at + 4 + size > end:
        raise _Unreadable("its headers are cut off")
    return at + 4, at + 4 + size
