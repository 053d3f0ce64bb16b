"""What is to be sent, as routing gives it out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeAlias, TypeVar

from handoffs.coordinator.continuation.moves import Go
from handoffs.coordinator.continuation.signature import Send
from handoffs.coordinator.messaging.envelopes import Written
from handoffs.coordinator.store.asking import RoundTrip

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A step to send: with what, whether that was put together by a join (of which parts), and after what wait."""

    send: Send
    written: Written
    parts: str | None
    wait: timedelta
    own: bool
    """Whether it is the output itself, which has a key, and not an item or what a join put together."""
    fallback: str = ""
    """Which fallback it is, if it is one."""
    key: str = ""
    """Its idempotency key, where that is no output's."""
    links: tuple[str, ...] = ()
    """The spans that its handoff is to link to."""

    @classmethod
    def of(cls, go: Go, written: Written, *, own: bool = True, fallback: str = "") -> Self:
        """What a move sends."""
        return cls(go.send, written, go.value.parts or None, go.wait, own and go.value.own, fallback)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be sent together. It is to be with the broker before what comes after it is asked for: that moves the run on, it
    may end, and then the message that made these events sends them no more when it comes again. Answered with None."""

    outgoing: tuple[Outgoing, ...]


Batches: TypeAlias = Generator[RoundTrip | Batch, Any, None]
"""What is to be sent, in order, and what finding it asks of Redis."""


def hand_over(
    batches: Batches, take: Callable[[tuple[Outgoing, ...]], Iterable[R]]
) -> Generator[RoundTrip | R, Any, None]:
    """Ask for what routing asks, and have each batch taken before the next is asked for; taking it may ask, too."""
    answer = None
    while True:
        try:
            request = batches.send(answer)
        except StopIteration:
            return
        if isinstance(request, Batch):
            yield from take(request.outgoing)
            answer = None
        else:
            answer = yield request
