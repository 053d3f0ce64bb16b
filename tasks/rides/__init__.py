"""The reference system *rides*: matching, pricing and ETA at the same time, within their budgets, joined by a dispatch."""

from handoffs.tasks.rides.agents import dispatch, eta, flat_fare, match, no_driver, price, straight_line
from handoffs.tasks.rides.flow import ride

__all__ = ["dispatch", "eta", "flat_fare", "match", "no_driver", "price", "ride", "straight_line"]
