"""Nested: lines that hang beneath one another, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Item(Generic[T]):
    """Something on a line, and what hangs beneath it."""

    content: T
    below: list[Item[T]] = field(default_factory=list)
