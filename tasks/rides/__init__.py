"""The reference system *rides*: matching, pricing and ETA at the same time, joined by a dispatch."""

from tasks.rides.agents import dispatch, eta, match, price
from tasks.rides.flow import ride

__all__ = ["dispatch", "eta", "match", "price", "ride"]
