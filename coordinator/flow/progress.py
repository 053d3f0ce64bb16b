"""Progress: what an agent says of how far it is, while it is at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from handoffs.contracts.text import named, printable
from handoffs.coordinator.errors import AgentError

LONGEST_TEXT = 200  # characters


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an agent is: ``text`` in a line that any terminal may show, and the ``share`` of the work that is done, 0 to 1; None:
    nobody knows."""

    text: str
    share: float | None = None

    def __str__(self) -> str:
        return self.text if self.share is None else f"{int(self.share * 100)} %: {self.text}"


class Signs(Protocol):
    """Who is given the signs of an agent that is at work: that it is, and how far."""

    def tell(self, progress: Progress) -> None:
        """It has come so far."""

    def give(self) -> None:
        """It is at work. Raises :class:`~handoffs.coordinator.errors.Stalled` where it was found to be stalled before."""


class Unseen:
    """Of a function that is called without an engine, in a test for example."""

    def tell(self, progress: Progress) -> None:
        """Nobody looks."""

    def give(self) -> None:
        """Nobody looks."""


def progress_of(text: object, share: object) -> Progress:
    """What an agent says, fit to be shown. Raises :class:`AgentError` where it is no text, or no share."""
    if not isinstance(text, str):
        raise AgentError(
            f"progress() is given {named(text)} as its text", remedy="give it a text: progress('page 3 of 9')"
        )
    given: Any = share
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if given is not None and not (number and 0 <= given <= 1):
        raise AgentError(
            f"progress() is given {named(share)} as the share that is done",
            remedy="give it a number from 0 to 1, or nothing: progress('page 3 of 9', 3 / 9)",
        )
    return Progress(printable(text, LONGEST_TEXT), None if given is None else float(given))
