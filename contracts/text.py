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

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_CARD = re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)")


def printable(text: object, limit: int = 500) -> str:
    """Make ``text`` fit for a log line, a dead letter or a terminal.

    Control, bidi and zero-width characters are escaped, digits that pass for a payment card number (13 to 19
    digits that satisfy the Luhn check, ISO/IEC 7812) are masked, and the rest is cut at ``limit`` characters.
    """
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", str(text)[: limit * 4])
    masked = _CARD.sub(lambda found: MASK if luhn(found.group()) else found.group(), escaped)
    return masked if len(masked) <= limit else masked[: limit - 1] + "…"


def luhn(number: str) -> bool:
    """Whether the digits of ``number`` satisfy the Luhn check (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in reversed(number) if character.isdigit()]
    doubled = (sum(divmod(digit * 2, 10)) for digit in digits[1::2])
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0
