"""The fraud team, on the day of the incident: the field has another name, and nobody was told."""

from __future__ import annotations

from pydantic import Field

from handoffs import Contract, Key
from handoffs.coordinator.flow.agent import agent
from tests.incident.fraud_1 import Payment


class Scored(Contract, name="bank.scored", version=1):
    """How risky a payment is."""

    payment: str = Key(min_length=1, max_length=64)
    cents: int
    risk_score: int = Field(ge=0, le=100)


@agent("bank.fraud")
def fraud(payment: Payment) -> Scored:
    """What is large is risky."""
    return Scored(
        payment=payment.payment, cents=payment.cents, risk_score=90 if payment.cents >= 1_000_00 else 10
    )
