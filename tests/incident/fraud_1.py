"""The fraud team, release 1: a risk level."""

from __future__ import annotations

from typing import Literal

from handoffs import Contract, Key
from handoffs.coordinator.flow.agent import agent


class Payment(Contract, name="bank.payment", version=1):
    """A customer pays."""

    payment: str = Key(min_length=1, max_length=64)
    cents: int


class Scored(Contract, name="bank.scored", version=1):
    """How risky a payment is."""

    payment: str = Key(min_length=1, max_length=64)
    cents: int
    risk_level: Literal["low", "high"]


@agent("bank.fraud")
def fraud(payment: Payment) -> Scored:
    """What is large is risky."""
    level: Literal["low", "high"] = "high" if payment.cents >= 1_000_00 else "low"
    return Scored(payment=payment.payment, cents=payment.cents, risk_level=level)
