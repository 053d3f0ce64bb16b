"""Asking: what is needed of Redis, as values. A handoff asks, and a driver performs what it asks for (``performing.py``).

A method that asks is a generator: it yields a :class:`RoundTrip`, is sent the list of its replies, one for each call, and
returns what it found. A driver that cannot perform a round trip throws the
:class:`~handoffs.coordinator.errors.ServerError` into the generator, which may catch it to clean up. Nothing in this module
knows a client of Redis.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

T = TypeVar("T")

Arguments: TypeAlias = Mapping[str, str | int]
"""The arguments of a script, by their names. One that is not there is an empty text; a list is a text of words, or of lines."""


class Call(NamedTuple):
    """One script, with its keys and arguments by the names that it has for them. An argument that is not there is an empty
    text, a list is a text of words or lines."""

    script: str
    keys: Mapping[str, str]
    arguments: Arguments


class Command(tuple[str | int, ...]):
    """One plain command of Redis with its arguments: ``Command("HGET", key, field)``."""

    __slots__ = ()

    def __new__(cls, *words: str | int) -> Self:
        return super().__new__(cls, words)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What is asked of Redis at once. The answer is the list of replies, one for each call."""

    calls: tuple[Call | Command, ...]

    @classmethod
    def of(cls, *calls: Call | Command) -> RoundTrip:
        return cls(calls)


Asking: TypeAlias = Generator[RoundTrip, list[Any], T]
"""A question to Redis that is answered by a ``T``, in as many round trips as it needs."""
