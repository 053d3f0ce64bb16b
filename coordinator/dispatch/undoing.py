"""Undoing: the message that undoes one step of a run, and by which the step before it is undone after that.

It carries what that step has made, and which one is next only as a number: what there is to undo may be long, and no message is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from handoffs.contracts import strictjson
from handoffs.coordinator.continuation.path import undo_of
from handoffs.coordinator.continuation.signature import UNDO, Send, signature
from handoffs.coordinator.dispatch.outgoing import Outgoing
from handoffs.coordinator.flow import ways
from handoffs.coordinator.messaging.envelopes import Written
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.undo import OutcomeRef, UndoNext

_UNDOES = "undoes"


def to_undo(place: StepRef, next_one: UndoNext) -> Outgoing:
    """What is to be sent so that a step of the run of ``place`` is undone.

    An outcome is undone once, whichever of the runs that share it asks: its name is the key, beside what the agent's own key says.
    """
    undo, record = next_one.undo, next_one.record
    name = undo.outcome.name if undo.outcome else f"{place.run}/{undo.step}"
    named: dict[str, Any] = {
        "flow": place.flow,
        "step": undo_of(undo.step),
        "accepts": undo.accepts,
        "turn": f"{ways.UNDO}@{name}",
    }
    if undo.retry is not None:
        named["retry"] = dict(undo.retry)
    if undo.outcome is not None:
        named[_UNDOES] = undo.outcome.to_json()
    then = signature(UNDO, {"step": ways.UNDO, "flow": place.flow, "left": next_one.left})
    written = Written(record.schema, strictjson.dumps(record.parsed()))
    return Outgoing(
        Send(signature(undo.agent, named), [then] if next_one.left else []),
        written,
        None,
        timedelta(),
        own=False,
        key=name,
    )


def undoes(kwargs: dict[str, Any]) -> OutcomeRef | None:
    """The outcome that a step undoes, by the arguments of its message; None where it undoes none."""
    return OutcomeRef.from_json(kwargs.get(_UNDOES))
