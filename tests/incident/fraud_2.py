"""The fraud team, release 2: a score, and the way there and back."""

from __future__ import annotations

from typing import Any

from handoffs import downcast, upcast
from tests.incident.fraud_hasty import Scored, fraud

__all__ = ["Scored", "fraud"]


@upcast(Scored, 1, 2)
def score_from_level(data: dict[str, Any]) -> dict[str, Any]:
    """A level becomes the score that it stood for."""
    kept = {name: data[name] for name in ("payment", "cents")}
    return {**kept, "risk_score": 90 if data["risk_level"] == "high" else 10}


@downcast(Scored, 2, 1, lossy="the score within its level")
def level_from_score(data: dict[str, Any]) -> dict[str, Any]:
    """A score becomes the level that it lies in."""
    kept = {name: data[name] for name in ("payment", "cents")}
    return {**kept, "risk_level": "high" if data["risk_score"] >= 70 else "low"}
