"""Somebody who hears everything in the newsroom; it comes later, and from another module."""

from __future__ import annotations

from handoffs import Event, agent, field, on
from tests.integration.newspaper import did


@on("news.*", where=field("story") != "quiet")
@agent("news.ear", key=lambda event: f"{event.contract} {sorted(event.data.items())}")
def ear(event: Event) -> None:
    """Hear everything."""
    did("ear", f"{event.contract} {event.data['story']}")
