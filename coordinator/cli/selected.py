"""Selected: the dead letters that a command is to work on, by their ids or by a filter."""

from __future__ import annotations

from collections.abc import Sequence

import click

from handoffs.coordinator.cli.filtered import id_of_run
from handoffs.coordinator.client.chosen_letters import Selection
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.journal.letters import LetterFilter


def refuse_none(letters: Sequence[str], everything: bool, chosen: LetterFilter) -> None:
    """Raise :class:`click.UsageError` where nothing says which letters are meant."""
    if not letters and not everything and not any(chosen.values()):
        raise click.UsageError("name letters, give a filter such as --flow, or say --all")


def selected(coordinator: Coordinator, letters: Sequence[str], chosen: LetterFilter) -> Selection:
    """The letters whose ids, or beginnings of ids, are given; or those of the filter. Raises what :meth:`Coordinator.find_letter`,
    :meth:`Coordinator.find_run` and :meth:`Coordinator.letter_group` raise."""
    if letters:
        return list(dict.fromkeys(coordinator.find_letter(one).id for one in letters))
    chosen["run"] = id_of_run(coordinator, chosen.get("run", ""))
    resolve_group(coordinator, chosen)
    return chosen


def resolve_group(coordinator: Coordinator, chosen: LetterFilter) -> None:
    """Put the whole id of a group in the place of its beginning."""
    if group := chosen.get("group"):
        chosen["group"] = coordinator.letter_group(group).id
