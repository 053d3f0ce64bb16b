"""Sizes: texts that have room in a message each, and not together, and agents that make them; what the tests of size share."""

from __future__ import annotations

from handoffs import Contract, Key, Retry, agent
from handoffs.coordinator.flow.agent import Agent

LIMIT = 16_384
"""Octets that a message may have."""
PART = 9_000
"""Octets of which a message has room for one text, and a join not for two."""


class Size(Contract, name="size.size", version=1):
    id: str = Key()
    text: str = ""


class Sizes(Contract, name="size.sizes", version=1):
    a: Size
    b: Size


class Count(Contract, name="size.count", version=1):
    octets: int


def fill(name: str, octets: int) -> Agent:
    """An agent that gives a text of so many octets back."""

    def run(size: Size) -> Size:
        return Size(id=size.id, text="x" * octets)

    return agent(f"size.{name}", retry=Retry(attempts=1))(run)


@agent("size.both")
def both(sizes: Sizes) -> Count:
    return Count(octets=len(sizes.a.text) + len(sizes.b.text))
