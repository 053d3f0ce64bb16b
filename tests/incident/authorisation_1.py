"""The authorisation team, release 1: it reads the risk level."""

from __future__ import annotations

from typing import Literal

from handoffs import Contract, Key
from handoffs.coordinator.flow.agent import agent


class Scored(Contract, name="bank.scored", version=1):
    """How risky a payment is."""

    payment: str = Key(min_length=1, max_length=64)
    cents: int
    risk_level: Literal["low", "high"]


class Authorised(Contract, name="bank.authorised", version=1):
    """What became of a payment."""

    payment: str = Key(min_length=1, max_length=64)
    outcome: Literal["approved", "held"]


@agent("bank.authorisation")
def authorisation(scored: Scored) -> Authorised:
    """Hold what is risky."""
    return Authorised(payment=scored.payment, outcome="held" if scored.risk_level == "high" else "approved")
