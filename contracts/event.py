"""What agents say that belong to no flow: any event, and nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic import Field

from handoffs.contracts.contract import Contract
from handoffs.contracts.fields import shown


class Nothing(Contract, name="coordinator.nothing", version=1):
    """The outcome of an agent that returns no contract of its own: it emits events, or it has done its work."""


class Event(Contract, name="coordinator.event", version=1):
    """An event of whatever contract, for agents that subscribe to a pattern of names.

    contract, version
        Its name and version.
    data
        Its data as JSON values, validated against that version, sensitive values included. For people all of it is masked, but
        where it is known which of it is sensitive (:meth:`marked`).
    """

    contract: str = Field(min_length=1, max_length=120)
    version: int = Field(ge=1)
    data: dict[str, Any]

    def marked(self, sensitive: Iterable[str] | None) -> Self:
        """The same event, with the JSON pointers (``*`` for any item) of what is sensitive in its data; None: not known. They
        do not travel."""
        if sensitive is not None:
            self.__dict__[_MARKS] = tuple(sensitive)  # no field: equal events stay equal
        return self

    def _shown(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "data": shown(data["data"], self.__dict__.get(_MARKS))}


_MARKS = "sensitive paths of the data"
