"""Calls: what an agent asks of systems outside, each with headers of its own for its trace."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from handoffs.contracts.text import is_plain, named
from handoffs.coordinator.errors import AgentError

LONGEST_NAME = 200  # characters


class Calls(Protocol):
    """Who makes the headers of an agent's calls."""

    def calling(self, name: str) -> AbstractContextManager[dict[str, str]]:
        """The headers of one call, for as long as it takes."""


class Untraced:
    """Of a function that is called without an engine, in a test for example."""

    def calling(self, name: str) -> AbstractContextManager[dict[str, str]]:  # noqa: ARG002 - nobody traces it
        """None: there is no trace."""
        return nullcontext({})


def check_call(name: object) -> None:
    """Raise :class:`AgentError` for what is no name of a call."""
    if (
        not isinstance(name, str)
        or not 1 <= len(name) <= LONGEST_NAME
        or not is_plain(name)
        or name != name.strip()
    ):
        raise AgentError(
            f"calling() is given the name {named(name)}",
            "the call was not made",
            f"name what is called by 1 to {LONGEST_NAME} plain characters, without blanks around them: 'POST /score'",
        )
