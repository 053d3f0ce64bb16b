"""Chosen letters: which dead letters are meant, as callers say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import named, printable
from handoffs.coordinator.client import given
from handoffs.coordinator.journal.groups import LetterGroup
from handoffs.coordinator.journal.letter_row import LetterSummary
from handoffs.coordinator.journal.letters import LetterFilter

Selection: TypeAlias = LetterSummary | LetterGroup | str | Iterable[LetterSummary | str] | LetterFilter
"""A letter, the id of one, several of either, a group, or a filter such as ``{"flow": "shop.order"}``."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen: a filter, or ids; and that in words."""

    letters: LetterFilter | tuple[str, ...]
    words: str


def chosen(selection: object) -> Chosen:
    """What a caller chose. Raises :class:`InvalidData` for what chooses no letters."""
    match selection:
        case LetterGroup():
            return Chosen({"group": selection.id}, f"group {selection.id}")
        case LetterSummary():
            return Chosen((selection.id,), f"letter {selection.id}")
        case str():
            return Chosen((selection,), f"letter {printable(selection, 200)}")
        case Mapping():
            given.letters(None, selection)
            said = ", ".join(f"{name}={value}" for name, value in sorted(selection.items()) if value)
            return Chosen(cast("LetterFilter", dict(selection)), said or "all that wait")
        case Iterable():
            return _several(list(selection))
        case _:
            raise _odd(selection)


def put_away(selection: Selection) -> Selection:
    """The same choice; of a filter those letters that are put away."""
    if isinstance(selection, Mapping):
        return cast("LetterFilter", {"state": "archived", **selection})
    return selection


def _several(values: list[object]) -> Chosen:
    ids: list[str] = []
    for value in values:
        if not isinstance(value, (LetterSummary, str)):
            raise _odd(value)
        ids.append(value if isinstance(value, str) else value.id)
    if len(ids) == 1:
        return Chosen(tuple(ids), f"letter {ids[0]}")
    return Chosen(tuple(ids), f"{len(ids)} letters")


def _odd(value: object) -> InvalidData:
    return InvalidData(
        f"dead letters are chosen by {named(value)}",
        "nothing was changed",
        'give a letter, some of them, a group of letter_groups(), or a filter: {"flow": "shop.order"}',
    )
