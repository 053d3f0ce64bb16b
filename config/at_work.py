"""At work: which step a thread or a task of an event loop works on, so that each line of its log can say so, an agent's own lines too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TypeVar

T = TypeVar("T")

_NOWHERE: Mapping[str, str] = MappingProxyType({})
_PLACE: ContextVar[Mapping[str, str]] = ContextVar("at_work", default=_NOWHERE)


def place() -> Mapping[str, str]:
    """Where this is: ``run``, ``flow``, ``step``, ``agent``, ``attempt`` and ``trace``; empty outside of a step."""
    return _PLACE.get()


def at(found: Mapping[str, str], function: Callable[[], T]) -> Callable[[], T]:
    """``function``, with ``found`` as its place: to be called in a copy of the context that is thrown away."""

    def call() -> T:
        _PLACE.set(found)
        return function()

    return call
