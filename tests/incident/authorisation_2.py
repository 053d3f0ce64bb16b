"""The authorisation team, release 2: it reads the score, and what is still in the old version."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from handoffs import Contract, Key, upcast
from handoffs.coordinator.flow.agent import agent
from tests.incident.authorisation_1 import Authorised


class Scored(Contract, name="bank.scored", version=2):
    """How risky a payment is, from 0 to 100."""

    payment: str = Key(min_length=1, max_length=64)
    cents: int
    risk_score: int = Field(ge=0, le=100)


@upcast(Scored, 1, 2)
def score_from_level(data: dict[str, Any]) -> dict[str, Any]:
    """A level becomes the score that it stood for."""
    kept = {name: data[name] for name in ("payment", "cents")}
    return {**kept, "risk_score": 90 if data["risk_level"] == "high" else 10}


@agent("bank.authorisation")
def authorisation(scored: Scored) -> Authorised:
    """Hold what is risky."""
    return Authorised(payment=scored.payment, outcome="held" if scored.risk_score >= 70 else "approved")
