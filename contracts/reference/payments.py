"""The contracts of the reference system *payments*."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.migration import downcast, upcast
from handoffs.contracts.numbers import ExactDecimal
from handoffs.contracts.text import Sensitive, luhn

Currency = Literal["EUR", "USD", "GBP", "JPY", "BHD"]
_MINOR_UNIT_DIGITS = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0, "BHD": 3}
HIGH_RISK = 70
"""From this score on a payment is held."""
_TEST_CARD = "4111111111111111"
"""Known everywhere as the number of no card."""
_LOWEST_SCORES = {"low": 0, "medium": 40, "high": HIGH_RISK}


class PaymentTerms(Contract):
    """What every contract of the chain carries on, so that no agent needs to ask another."""

    payment_id: str = Key(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", examples=["p-1001"]
    )
    amount: ExactDecimal = Field(gt=0, max_digits=15, decimal_places=3, examples=["120"])
    currency: Currency
    debtor: str = Field(min_length=1, max_length=64, examples=["customer-1"])
    creditor: str = Field(min_length=1, max_length=64, examples=["merchant-1"])

    @model_validator(mode="after")
    def _amount_fits_its_currency(self) -> Self:
        """No more decimals than the currency's minor unit has (ISO 4217)."""
        exponent = self.amount.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > _MINOR_UNIT_DIGITS[self.currency]:
            raise ValueError(f"{self.currency} has {_MINOR_UNIT_DIGITS[self.currency]} decimals")
        return self


class PaymentSubmitted(PaymentTerms, name="payments.payment-submitted", version=1):
    """A customer pays. ``country`` is the merchant's, ``card_country`` the card issuer's (ISO 3166-1 alpha-2)."""

    card_number: Sensitive = Field(min_length=12, max_length=19, examples=[_TEST_CARD])
    country: str = Field(pattern=r"^[A-Z]{2}$", examples=["DE"])
    card_country: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    submitted_at: datetime

    @field_validator("card_number")
    @classmethod
    def _card_number_is_whole(cls, number: SecretStr) -> SecretStr:
        """The check digit is right (Luhn, ISO/IEC 7812)."""
        if not number.get_secret_value().isdecimal() or not luhn(number.get_secret_value()):
            raise ValueError("the card number is not digits with the right check digit")
        return number


class FraudScored(PaymentTerms, name="payments.fraud-scored", version=2):
    """How risky a payment is: ``risk_score`` from 0 (none) to 100. Version 1 had a ``risk_level``."""

    card_number: Sensitive = Field(examples=[_TEST_CARD])
    risk_score: int = Field(ge=0, le=100)


@upcast(FraudScored, 1, 2)
def score_from_level(data: dict[str, Any]) -> dict[str, Any]:
    """A level becomes the lowest score at which it was given, so that *high* is held as before."""
    terms = {name: value for name, value in data.items() if name != "risk_level"}
    return {**terms, "risk_score": _LOWEST_SCORES[data["risk_level"]]}


@downcast(FraudScored, 2, 1, lossy="the score within its level")
def level_from_score(data: dict[str, Any]) -> dict[str, Any]:
    """A score becomes the level that it lies in."""
    terms = {name: value for name, value in data.items() if name != "risk_score"}
    levels = [level for level, lowest in _LOWEST_SCORES.items() if data["risk_score"] >= lowest]
    return {**terms, "risk_level": levels[-1]}


class PaymentAuthorised(PaymentTerms, name="payments.payment-authorised", version=1):
    """What became of the card: a decline is an outcome, not a failure. ``code`` is the gateway's."""

    outcome: Literal["approved", "declined", "held"]
    code: str = Field(default="", max_length=64)
    reason: str = Field(default="", max_length=64)


class PaymentBooked(PaymentTerms, name="payments.payment-booked", version=1):
    """What the ledger did: booked the transfer, or nothing because the payment was not approved."""

    outcome: Literal["booked", "declined", "held"]
    reason: str = Field(default="", max_length=64)
    booked_at: datetime | None = None


class CustomerNotified(PaymentTerms, name="payments.customer-notified", version=1):
    """The customer was told. ``notice`` is what was said."""

    outcome: Literal["booked", "declined", "held"]
    notice: str = Field(max_length=500)
