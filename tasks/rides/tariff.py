"""Tariff: what a trip costs. Money is Decimal, in main units of the currency."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from handoffs.contracts.reference.rides import Currency

CURRENCY: Final[Currency] = "EUR"
LOWEST_FARE: Final = Decimal("6.00")
"""Before surge."""

FLAT_FARE: Final = Decimal("18.00")
"""For a trip whose price cannot be found out in time, surge and all."""

_BASE = Decimal("3.50")
_PER_KILOMETRE = Decimal("1.10")
_PER_MINUTE = Decimal("0.35")
_CENT = Decimal("0.01")


def fare(metres: int, seconds: int, surge: Decimal) -> Decimal:
    """The fare of a trip of that length and time, to the cent, halves up."""
    plain = _BASE + _PER_KILOMETRE * metres / 1000 + _PER_MINUTE * seconds / 60
    return (max(plain, LOWEST_FARE) * surge).quantize(_CENT, ROUND_HALF_UP)
