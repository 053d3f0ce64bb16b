"""What agents say that belong to no flow: any event, and nothing at all."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from handoffs.contracts.contract import Contract


class Nothing(Contract, name="coordinator.nothing", version=1):
    """The outcome of an agent that returns no contract of its own: it emits events, or it has done its work."""


class Event(Contract, name="coordinator.event", version=1):
    """An event of whatever contract, for agents that subscribe to a pattern of names.

    contract, version
        Its name and version.
    data
        Its data as JSON values, validated against that version, sensitive values included.
    """

    contract: str = Field(min_length=1, max_length=120)
    version: int = Field(ge=1)
    data: dict[str, Any]
