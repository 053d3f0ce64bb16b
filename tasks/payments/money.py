"""Money: amounts in the main unit of a currency, as people write them, and in its minor unit, as they are stored."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from handoffs.tasks.payments.arguments import wrong_type

MAX_MINOR_UNITS: Final = 10**15
"""The largest amount of one booking or charge, in minor units: sums of many still fit 64 bits."""

_NO_MINOR_UNIT: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"
_TWO_DECIMALS: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB "
    "SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH "
    "USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)

CURRENCY_EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}
"""The currencies of ISO 4217 in use in 2026, each with its number of decimals."""


class UnknownCurrency(ValueError):
    """The currency is not an ISO 4217 code in use."""

    def __init__(self, currency: str) -> None:
        super().__init__(currency)
        self.currency = currency

    def __str__(self) -> str:
        return (
            f"The currency {self.currency!r} is not an ISO 4217 code in use, so nothing was recorded. "
            "Give a code of three capital letters, such as EUR."
        )


class InvalidAmount(ValueError):
    """The amount is not a positive, finite Decimal that the currency's minor unit can express."""

    def __init__(self, amount: str, currency: str, reason: str) -> None:
        super().__init__(amount, currency, reason)
        self.amount = amount
        self.currency = currency
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The amount {self.amount} {self.currency} {self.reason}, so nothing was recorded. "
            "Give a positive Decimal with no more decimals than the currency has."
        )


def currency_exponent(currency: str) -> int:
    """The number of decimals of the currency (EUR 2, JPY 0, BHD 3).

    Raises UnknownCurrency.
    """
    try:
        return CURRENCY_EXPONENTS[currency]
    except (KeyError, TypeError):
        raise UnknownCurrency(str(currency)) from None


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount in the currency's minor unit, exactly: 12.50 EUR is 1250 (cents).

    Raises UnknownCurrency, and InvalidAmount when the amount is not a Decimal, not finite, not
    positive, larger than MAX_MINOR_UNITS, or has more decimals than the currency.
    """
    exponent = currency_exponent(currency)
    foreign = wrong_type(amount, Decimal)
    if foreign is not None:
        raise InvalidAmount(repr(amount), currency, foreign)
    if not amount.is_finite():
        raise InvalidAmount(str(amount), currency, "is not a finite number")
    if amount <= 0:
        raise InvalidAmount(str(amount), currency, "is not positive")
    if amount.adjusted() + exponent > len(str(MAX_MINOR_UNITS)):
        raise InvalidAmount(str(amount), currency, "is larger than one record may hold")
    return _exact_minor_units(amount, currency, exponent)


def _exact_minor_units(amount: Decimal, currency: str, exponent: int) -> int:
    too_many = InvalidAmount(str(amount), currency, f"has more decimals than the {exponent} of {currency}")
    if amount.adjusted() < -exponent:
        raise too_many
    numerator, denominator = amount.as_integer_ratio()
    units: int = 10**exponent
    minor, rest = divmod(numerator * units, denominator)
    if rest:
        raise too_many
    if minor > MAX_MINOR_UNITS:
        raise InvalidAmount(str(amount), currency, "is larger than one record may hold")
    return minor


def major_units(minor: int, currency: str) -> Decimal:
    """The amount in the currency's main unit, with all its decimals: 1250 of EUR is 12.50.

    Raises UnknownCurrency.
    """
    digits = tuple(int(digit) for digit in str(abs(minor)))
    return Decimal((1 if minor < 0 else 0, digits, -currency_exponent(currency)))
