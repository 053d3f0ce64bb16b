"""The flow that is measured: three agents that do nothing with one kilobyte."""

from __future__ import annotations

import uuid

from handoffs.contracts import Contract, Key
from handoffs.coordinator import Flow, agent

PADDING = "x" * 1000


class Parcel(Contract, name="bench.parcel", version=1):
    """A kilobyte on its way."""

    number: str = Key()
    padding: str


@agent("bench.one")
def one(parcel: Parcel) -> Parcel:
    """The first step."""
    return parcel


@agent("bench.two")
def two(parcel: Parcel) -> Parcel:
    """The second step."""
    return parcel


@agent("bench.three")
def three(parcel: Parcel) -> Parcel:
    """The third step."""
    return parcel


flow = Flow("bench.three-steps", one >> two >> three)


def payload() -> Parcel:
    """A new parcel."""
    return Parcel(number=uuid.uuid4().hex, padding=PADDING)
