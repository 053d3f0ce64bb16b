"""A schedule of the shop: an order each second."""

from __future__ import annotations

from datetime import datetime, timedelta

from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.schedule import schedule
from tests.integration import shop


def order_of(due: datetime) -> str:
    """The order of a time."""
    return f"night-{due:%H%M%S}"


def _item(due: datetime) -> shop.Item:
    return shop.Item(order=order_of(due))


nightly = Flow("shop.nightly", shop.one >> shop.three)
each_second = schedule("shop.each-second", nightly, every=timedelta(seconds=1), payload=_item, catch_up=True)
