"""Text that needs care: values that only an envelope may show, and text that is safe to print."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, PlainSerializer, SecretStr, SerializationInfo

MASK = "**********"
REVEAL = {"reveal": True}
"""The serialisation context under which a sensitive value is written as it is: into an envelope, nowhere else."""


def _serialize(secret: SecretStr, info: SerializationInfo) -> str:
    context = info.context
    return secret.get_secret_value() if isinstance(context, dict) and context.get("reveal") else MASK


Sensitive = Annotated[
    SecretStr,
    PlainSerializer(_serialize, return_type=str, when_used="json"),
    Field(json_schema_extra={"x-sensitive": True}),
]
"""The type of a text field that is masked everywhere but in the envelope: in logs, ``repr``, errors, history,
dead letters and Flower. An agent reads it with ``.get_secret_value()``."""

_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)
_DIGITS = re.compile(r"\d(?:[ -]?\d){12,}")
_UUID = r"(?<![0-9A-Za-z-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z-])"
_SUSPECT = re.compile(f"(?P<uuid>{_UUID})|{_DIGITS.pattern}")


def printable(text: object, limit: int = 500) -> str:
    """Make ``text`` fit for a log line, a dead letter or a terminal.

    Control, bidi and zero-width characters are escaped, digits that pass for a payment card number (13 to 19
    digits that satisfy the Luhn check, ISO/IEC 7812; not those of a UUID) are masked, and the rest is cut at ``limit`` characters.
    """
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", str(text)[: limit * 4])
    masked = _SUSPECT.sub(lambda found: found["uuid"] or _without_cards(found), escaped)
    return masked if len(masked) <= limit else _DIGITS.sub(_without_cards, masked[: limit - 1]) + "…"


def is_plain(text: str) -> bool:
    """Whether ``text`` has none of the characters that :func:`printable` escapes."""
    return _CONTROL.search(text) is None


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
