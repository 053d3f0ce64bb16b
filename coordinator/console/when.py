"""When: a moment as people type it into a page: in UTC where it names no time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

from handoffs.coordinator.observe.moments import typed_moment


def when(value: object) -> datetime | None:
    """The moment; None for an empty text. Raises :class:`ValueError` for what is none."""
    if value is None or value == "":
        return None
    text = str(value).strip()
    return typed_moment(text.replace(" ", "+") if "T" in text else text, UTC)  # in an address, + is a space


Moment = Annotated[datetime | None, BeforeValidator(when)]
"""A moment as it is typed into a page; none where nothing is."""
