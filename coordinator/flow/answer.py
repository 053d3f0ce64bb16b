"""Answer: what a condition says of a payload: yes, no, or that it cannot be answered, and why.

Yes and no go before what cannot be answered: ``all`` of several is no where one of them is, ``any`` is yes where one is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Unclear:
    """There is no answer. ``absent``: the payload has no such field at all, as those of another contract may not."""

    why: str
    absent: bool = False


Answer: TypeAlias = bool | Unclear


def opposite(answer: Answer) -> Answer:
    """The answer to the opposite question."""
    return answer if isinstance(answer, Unclear) else not answer


def together(answers: Iterable[Answer], *, decides: bool) -> Answer:
    """One answer of several: ``decides`` where one of them is that (``all``: no, ``any``: yes), else its opposite."""
    unclear: Unclear | None = None
    for answer in answers:
        if isinstance(answer, Unclear):
            unclear = unclear or answer
        elif answer is decides:
            return decides
    return unclear or not decides
