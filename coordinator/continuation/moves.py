"""Moves: what an output does next, as values. :mod:`handoffs.coordinator.continuation.advance` decides which.

It is one of these, or several of them where branches begin: a message to send (:class:`Go`), a join to arrive at
(:class:`Arrival`), items to keep until their turn (:class:`Hold`), a signal to wait for (:class:`Await`), the step that is undone
next (:class:`Undoing`), the end of the run (:class:`End`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from handoffs.coordinator.continuation.signature import Send, Sig


@dataclass(frozen=True, slots=True)
class Value:
    """What passes on: data of a contract version (the URI), or of a join: then ``parts`` says what each branch made
    (``branch=uri``, separated by spaces), and ``schema`` is empty."""

    schema: str
    data: Any
    parts: str = ""
    joined: bool = False
    item: bool = False
    """Whether it is an item of a list: it has no producer who could write it in another version."""

    @property
    def own(self) -> bool:
        """Whether it is an output, which has a producer and a key, and not an item or what a join put together."""
        return not self.joined and not self.item


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a flow: after ``step``, with the rest of its chain and its chord."""

    step: str
    chain: list[Sig]
    chord: Sig | None


@dataclass(frozen=True, slots=True)
class Join:
    """One level of fan-in: the path of the step that fans out, its branches in order, and the branch that arrives.

    For items, ``count`` is how many there are, and their outputs become the list ``into``. With ``one`` the first to arrive
    is all there is; ``mark`` says that it is a fallback, and which.
    """

    path: str
    branches: tuple[str, ...]
    branch: str
    count: int = 0
    into: str = ""
    one: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """At most so many items at a time: when item ``number`` has arrived at ``path``, the item ``following`` is sent."""

    path: str
    following: int
    body: Sig
    chord: Sig


@dataclass(frozen=True, slots=True)
class Go:
    """Send a step with ``value``, after ``wait``."""

    send: Send
    value: Value
    wait: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Arrival:
    """Arrive with ``value`` at joins, innermost first; once all of them are complete, what they put together goes on
    after ``then``. ``lanes`` has for each join what arriving there sends, if anything."""

    joins: tuple[Join, ...]
    value: Value
    then: Cursor
    lanes: tuple[Lane | None, ...]
    keep: tuple[tuple[int, str, int], ...] = ()
    """Where what arrives is kept as a fallback for others once it has passed so many of the joins, and for how many
    milliseconds."""

    @property
    def place(self) -> str:
        """The branch, or the item, that arrives first: ``3.stock``, ``4.7``."""
        return f"{self.joins[0].path}.{self.joins[0].branch}"


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep items of ``path`` until their turn: JSON values by number."""

    path: str
    items: dict[int, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Await:
    """Wait at ``path`` for the signal ``name``, of the contract version ``schema``; ``chord`` is what follows."""

    path: str
    name: str
    schema: str
    flow: str
    chord: Sig


@dataclass(frozen=True, slots=True)
class Undoing:
    """Undo what is next: the step with the number ``left``, of those that the run remembers to be undone."""

    left: int


@dataclass(frozen=True, slots=True)
class End:
    """The run ends with ``value``."""

    value: Value


Move = Go | Arrival | Hold | Await | Undoing | End
