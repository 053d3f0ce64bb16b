"""Objects: what a place must do in which payloads are kept. Names are ``run/digest`` (:mod:`handoffs.contracts.dataref`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError

UNFINISHED = ".unfinished-"
"""What the name of a file begins with that was not written to its end."""

_NAME = re.compile(f"([0-9A-Za-z~_-]+)/([0-9a-f]{{64}}|{re.escape(UNFINISHED)}.*)")


class Kept(NamedTuple):
    """An object that is kept, and when it was written or touched the last time, by the clock of its place."""

    name: str
    at: datetime

    @property
    def run(self) -> str:
        """The run whose it is; empty where it is nothing of ours."""
        found = _NAME.fullmatch(self.name)
        return found[1] if found else ""


class Objects(Protocol):
    """Keeps octets by name. Safe for threads, and after a fork.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the place cannot be reached or used.
    """

    def put(self, name: str, octets: bytes) -> None:
        """Keep an object: all of it is there when this returns, or what was there before. Doing it again makes it as new."""

    def get(self, name: str, most: int) -> bytes | None:
        """An object; None where it is not there. Of one of more than ``most`` octets, one octet more than that."""

    def touch(self, name: str) -> None:
        """Make an object as new, where it is there."""

    def at(self, name: str) -> datetime | None:
        """When an object was written or touched the last time; None where it is not there."""

    def each(self) -> Iterator[Kept]:
        """All objects, in any order."""

    def remove(self, name: str) -> None:
        """Remove an object, where it is there."""

    def probe(self) -> None:
        """Find out whether the place can be used."""


def unusable(error: Exception, remedy: str) -> ServerError:
    """The error for a place that cannot be reached or used, because of ``error``."""
    return ServerError(
        f"the payload store cannot be used: {type(error).__name__}: {printable(error, 200)}",
        "nothing was lost: what needs it is tried again",
        remedy,
    )
