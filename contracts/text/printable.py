"""Printable: text that is safe in a log line, a dead letter or a terminal."""

from __future__ import annotations

import json
import re

from handoffs.contracts.text.sensitive import MASK

_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(chr(plane + end) for plane in range(0x10000, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF))
    + r"]|(?<![\u203c\u2049\u2100-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff])\ufe0f"
)
"""Controls, line separators, bidi, and all that is shown as nothing; one emoji selector after a symbol may stand."""

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
_LAYOUT = "\n\r\t"
_DIGITS = re.compile(r"\d(?:[ -]?\d){12,}")
_UUID = r"(?<![0-9A-Za-z-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z-])"
_SUSPECT = re.compile(f"(?P<uuid>{_UUID})|{_DIGITS.pattern}")


def printable(text: object, limit: int = 500) -> str:
    """Make ``text`` fit for a log line, a dead letter or a terminal.

    Control, bidi, tag and zero-width characters and variation selectors are escaped, digits that pass for a payment card
    number (13 to 19 digits that satisfy the Luhn check, ISO/IEC 7812; not those of a UUID) are masked, and the rest is cut
    at ``limit`` characters.
    """
    begin = str(text)[: limit * 4]
    escaped = begin if is_plain(begin) else _CONTROL.sub(_escape, begin)
    masked = _SUSPECT.sub(lambda found: found["uuid"] or _without_cards(found), escaped)
    return masked if len(masked) <= limit else _DIGITS.sub(_without_cards, masked[: limit - 1]) + "…"


def quoted(text: object, limit: int = 500) -> str:
    """What somebody gave, between quotation marks, as :func:`printable` has it: each character is escaped once."""
    shown = printable(text, limit)
    mark = '"' if "'" in shown and '"' not in shown else "'"
    return f"{mark}{shown}{mark}"


def named(value: object, limit: int = 120) -> str:
    """Something that code was given, in words for an error: a function or a class by its name, anything else as Python writes it, and
    nothing by its address in memory."""
    try:
        if isinstance(value, type):
            return printable(f"the class {value.__name__}", limit)
        called = getattr(value, "__name__", None)
        if callable(value) and isinstance(called, str):
            return printable(f"the function {called}", limit)
        text = repr(value)
        if not _ADDRESS.search(text):
            return printable(text, limit)
        name = getattr(value, "name", None)
    except Exception:  # noqa: BLE001 - it may be anything
        name = None
    kind = f"something of the class {type(value).__name__}"
    return printable(f"{kind}, called {name}" if isinstance(name, str) else kind, limit)


def escaped_json(document: str) -> str:
    """The same JSON text with escapes for what a terminal would obey or not show: its value stays what it was."""
    return _CONTROL.sub(
        lambda found: found.group() if found.group() in _LAYOUT else json.dumps(found.group())[1:-1], document
    )


def is_plain(text: str) -> bool:
    """Whether ``text`` has none of the characters that :func:`printable` escapes."""
    return text.isprintable() if text.isascii() else _CONTROL.search(text) is None


def is_utf8(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8: it has no half of a pair of surrogates."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def luhn(number: str) -> bool:
    """Whether the digits of ``number`` satisfy the Luhn check (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in reversed(number) if character.isdecimal()]
    doubled = (sum(divmod(digit * 2, 10)) for digit in digits[1::2])
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0


def _without_cards(found: re.Match[str]) -> str:
    """Mask each card number in groups of digits, whatever other groups (an expiry date, a check code) stand beside it."""
    text = found.group()
    groups = [group.span() for group in re.finditer(r"\d+", text)]
    shown, after, number = "", 0, 0
    while number < len(groups):
        start = groups[number][0]
        ends = [end for _, end in groups[number : number + 19] if _is_card(text[start:end])]
        if ends:
            shown += text[after:start] + MASK
            after = max(ends)
            number += sum(start <= begin < after for begin, _ in groups)
        else:
            number += 1
    return shown + text[after:]


def _is_card(number: str) -> bool:
    return 13 <= sum(map(str.isdecimal, number)) <= 19 and luhn(number)
