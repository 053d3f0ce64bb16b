"""Would undo: what would be undone if a run were given up now, and what would not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handoffs.coordinator.continuation.path import follows_event, is_undo
from handoffs.coordinator.observe.current import Current, contract_of
from handoffs.coordinator.store.undo import Undo

_OUTCOMES = frozenset({"settled", "deduplicated", "skipped"})
_AT_WORK = frozenset({"running", "retrying"})


@dataclass(frozen=True, slots=True)
class UndoneStep:
    """A step that would be undone: its path, its agent (empty where the history does not tell), which agent would undo it, and of which
    contract version (``name/version``) that is told what the step made."""

    step: str
    agent: str
    undone_by: str
    contract: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class WouldUndo:
    """What compensating a run would do.

    undone
        The steps that would be undone, in that order: the last one first.
    at_work
        The steps that run now: one of them that finishes is undone too, where its flow says by what.
    stays
        The steps that have their outcome, and which nothing undoes: what they did stays.
    """

    undone: tuple[UndoneStep, ...]
    at_work: tuple[str, ...]
    stays: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "undone": [one.to_json() for one in self.undone],
            "at_work": list(self.at_work),
            "stays": list(self.stays),
        }


def would_undo(
    undos: Iterable[Undo], history: Sequence[Mapping[str, Any]], doing: Iterable[Current]
) -> WouldUndo:
    """What would be undone, where ``undos`` is what the run knows of that, the last step first."""
    agents = {
        str(entry.get("step")): str(entry.get("agent") or "")
        for entry in history
        if entry.get("kind") in _OUTCOMES and entry.get("step")
    }
    undone = tuple(
        UndoneStep(one.step, agents.get(one.step, ""), one.agent, contract_of(one.accepts)) for one in undos
    )
    known = {one.step for one in undone}
    stays = tuple(
        step for step in agents if step not in known and not is_undo(step) and not follows_event(step)
    )
    return WouldUndo(undone, tuple(one.step for one in doing if one.state in _AT_WORK), stays)
