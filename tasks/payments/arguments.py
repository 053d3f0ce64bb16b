"""Arguments: what is wrong with one that an outside system is called with, as the end of a sentence."""

from __future__ import annotations

from typing import Final

MAX_ID_LENGTH: Final = 200
"""The longest payment id, account or idempotency key, in characters."""


def wrong_type(value: object, wanted: type) -> str | None:
    """What is wrong with a value's type, as the end of a sentence; None when it is the wanted one."""
    if isinstance(value, wanted):
        return None
    return f"is of type {type(value).__name__} and not {wanted.__name__}"


def wrong_id(value: str) -> str | None:
    """What is wrong with an identifier, as the end of a sentence; None when it is fit for storing."""
    foreign = wrong_type(value, str)
    if foreign is not None:
        return foreign
    if not value.strip():
        return "is empty"
    if len(value) > MAX_ID_LENGTH:
        return f"is longer than {MAX_ID_LENGTH} characters"
    if not value.isprintable():
        return "holds a character that cannot be printed"
    return None
