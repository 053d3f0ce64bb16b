"""Asked: what a wait asks for, so that threads and coroutines wait alike: a call, which may take its time, or a pause."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from handoffs.coordinator.store.performing import driven

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds, or until something is told of the run."""

    seconds: float


Asked: TypeAlias = Generator[Callable[[], Any] | Pause, Any, T]
"""A wait: yields what is to be called, which is answered with what it gives, and pauses, answered with None."""


def perform(asked: Asked[T], pause: Callable[[float], object]) -> T:
    """Do in this thread what is asked for, and give what comes of it; ``pause`` waits so many seconds."""
    return driven(asked, lambda step: pause(step.seconds) if isinstance(step, Pause) else step())
