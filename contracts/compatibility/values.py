"""Values: JSON instances, their types, and their equality (JSON Schema core 2020-12, section 4.2.2)."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

TYPES: Final = ("null", "boolean", "number", "string", "array", "object")


def type_of(value: Any) -> str:
    """The JSON type of a parsed value; "" for what JSON does not have. An integer is a "number" here."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal) or (isinstance(value, float) and math.isfinite(value)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list | tuple):
        return "array"
    return "object" if isinstance(value, dict) else ""


def exact(number: float | Decimal) -> Fraction:
    """The number that its JSON text states: 0.1 is one tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))


def freeze(value: Any) -> Any:
    """A hashable form of ``value``: equal for equal JSON values, so 1 is 1.0 and is not true."""
    kind = type_of(value)
    if kind == "number":
        return exact(value)
    if kind == "boolean":
        return ("true",) if value else ("false",)
    if kind == "array":
        return ("array", *map(freeze, value))
    if kind == "object":
        return frozenset((str(name), freeze(item)) for name, item in value.items())
    return value


def as_json(number: Fraction) -> int | float | None:
    """The JSON number that equals ``number``; None where no short text of it exists."""
    if number.denominator == 1:
        return number.numerator
    try:
        near = float(number)
    except OverflowError:
        return None
    return near if exact(near) == number else None
