"""Numbers that must not be rounded on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

EXACT_PATTERN = r"^[-+]?[0-9]+(\.[0-9]+)?$"
"""How an exact decimal is written, in its schema and by us."""

_MOST_DIGITS = 1_000
_PLAIN = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?\Z")
_WITH_EXPONENT = re.compile(r"[-+]?[0-9]{1,1000}(?:\.[0-9]{1,1000})?[eE][-+]?[0-9]{1,3}\Z")


def reads_exact(text: str) -> bool:
    """Whether ``text`` is read as an exact decimal: as it is written, or with an exponent, as builds before November 2026 wrote what
    is very small or large."""
    return _PLAIN.match(text) is not None or _WITH_EXPONENT.match(text) is not None


_KINDS = {float: "a float", int: "an integer", str: "a text", bool: "true or false", type(None): "nothing"}
"""What may be given instead, in words."""


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _exact(value: Any, info: ValidationInfo) -> Any:
    wanted = str if info.mode == "json" else Decimal
    if not isinstance(value, (wanted, Decimal)):  # JSON never gives a Decimal, a field's default does
        raise ValueError(  # noqa: TRY004 - pydantic reports values, not types
            f"an exact decimal is written as a {'text' if wanted is str else 'Decimal'}, never as {_kind(value)}"
        )
    if isinstance(value, str):
        if not reads_exact(value):
            raise ValueError("an exact decimal is digits with a point, as in -12.50")
    elif _digits(value) > _MOST_DIGITS:
        raise ValueError(f"an exact decimal has {_MOST_DIGITS:,} digits at most")
    return value


def _digits(value: Decimal) -> int:
    """How many digits it has where it is written without an exponent."""
    _, digits, exponent = value.as_tuple()
    return max(len(digits) + exponent, 1 - exponent) if isinstance(exponent, int) else 0


def _written(value: Decimal) -> str:
    return format(value, "f")


ExactDecimal = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(strict=False),
    PlainSerializer(_written, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": EXACT_PATTERN}),
]
"""A decimal that travels as text: JSON numbers become binary floats in most readers, and money must not.

The text is an optional sign, ASCII digits, and a point with digits after it where there is one. An exponent of up to three digits is
read as well, and never written. Nothing else is read: no blanks, no ``1_000``, no digits of other scripts. What is made here has up to
1,000 digits.
"""


def is_exact(metadata: Iterable[Any]) -> bool:
    """Whether this stands beside a ``Decimal`` that is declared as :data:`ExactDecimal`."""
    return any(isinstance(part, BeforeValidator) and part.func is _exact for part in metadata)
