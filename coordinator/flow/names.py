"""Names: what may be the name of a field, and the path to one, as people give it."""

from __future__ import annotations

LONGEST_NAME = 64


def is_name(value: object, longest: int | None = LONGEST_NAME) -> bool:
    """Whether ``value`` is a text that is named like a Python variable, of no more than ``longest`` characters."""
    return isinstance(value, str) and value.isidentifier() and (longest is None or len(value) <= longest)


def is_path(value: object) -> bool:
    """Whether ``value`` names a field, or one within others: ``parcel.weight``."""
    return isinstance(value, str) and all(name.isidentifier() for name in value.split("."))
