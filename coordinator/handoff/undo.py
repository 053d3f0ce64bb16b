"""Undo: what settling a step says of undoing, in either direction: what undoes it, and what it undoes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from handoffs.contracts.errors import TooLarge
from handoffs.coordinator.dispatch.sender import written
from handoffs.coordinator.dispatch.undoing import to_undo, undoes
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.store.keys import digest_of
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Advance
from handoffs.coordinator.store.undo import OutcomeRef, Undo, UndoNext

_MOST = 10**9
"""More steps than a run has to be undone."""


def with_undo(
    advance: Advance, step: str, kwargs: dict[str, Any], outcome: OutcomeRef | None = None
) -> Advance:
    """How a step moves its run on, by the arguments of its message, in whichever way it is settled; ``outcome`` is the one that it
    is settled with, None where a person gave it."""
    undo = _undo(step, kwargs, outcome)
    return replace(advance, undo=undo.text() if undo else "", undoes=undoes(kwargs))


def check_undo(
    place: StepRef, kwargs: dict[str, Any], record: Record, room: Room, outcome: OutcomeRef | None = None
) -> None:
    """Raise :class:`~handoffs.contracts.errors.TooLarge` where what a step has made could not be undone: no message has room for it."""
    undo = _undo(place.step, kwargs, outcome)
    if undo is None or room.holds(record.data):
        return
    try:
        for message, _ in written([to_undo(place, UndoNext(undo, record, _MOST))], Sending(place.run)):
            room.check(message)
    except TooLarge as error:
        raise TooLarge(
            f"it could not be undone: {error.cause}", "it was not recorded", error.remedy
        ) from None


def _undo(step: str, kwargs: dict[str, Any], outcome: OutcomeRef | None) -> Undo | None:
    """What undoes a step, by the arguments of its message."""
    undo: Any = kwargs.get("undo")
    match undo:
        case {"agent": str(agent), "accepts": str(accepts)}:
            return Undo(step, agent, accepts, undo.get("retry"), outcome)
    return None


def outcome_ref(agent: str, key: str, fence: int) -> OutcomeRef:
    """The outcome of an agent's idempotency key that was settled under a fence."""
    return OutcomeRef(agent, digest_of(key), fence)
