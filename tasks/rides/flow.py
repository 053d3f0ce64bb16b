"""The flow of the reference system *rides*."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from handoffs.coordinator import Flow, budget, cached, parallel
from handoffs.tasks.rides.agents import dispatch, eta, flat_fare, match, no_driver, price, straight_line

MATCHING_WITHIN: Final = timedelta(milliseconds=500)
PRICING_WITHIN: Final = timedelta(milliseconds=200)
ETA_WITHIN: Final = timedelta(milliseconds=300)
LONGEST_KEPT: Final = timedelta(minutes=10)
"""How old the ETA of another trip may be: traffic changes."""


def dispatching(
    *,
    matching: timedelta = MATCHING_WITHIN,
    pricing: timedelta = PRICING_WITHIN,
    routing: timedelta = ETA_WITHIN,
) -> Flow:
    """Matching, pricing and ETA at the same time, each within its budget, joined by a dispatch.

    Whoever is late is stood in for: a match by no driver, a price by a flat fare, an ETA by that of the last trip between the
    same two zones, or else by one as the crow flies.
    """
    kept = cached(
        "pickup_zone", "dropoff_zone", max_age=LONGEST_KEPT, otherwise=straight_line, shared=True
    )  # it says the pickup and the dropoff of that other trip, which nobody goes by
    return Flow(
        "rides.dispatch",
        parallel(
            match=budget(match, within=matching, fallback=no_driver),
            price=budget(price, within=pricing, fallback=flat_fare),
            eta=budget(eta, within=routing, fallback=kept),
        )
        >> dispatch,
    )


ride = dispatching()
