"""The flow of the reference system *rides*."""

from coordinator.flow import Flow
from coordinator.step import parallel
from tasks.rides.agents import dispatch, eta, match, price

ride = Flow("rides.dispatch", parallel(match=match, price=price, eta=eta) >> dispatch)
