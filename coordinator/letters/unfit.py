"""Unfit: letters without a message that could be sent again: of what nobody can read, so that it is not lost and not tried for ever,
and of steps whose message nobody has any more."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from handoffs.contracts.text import printable
from handoffs.coordinator.handoff.failure import Failure, FailureKind
from handoffs.coordinator.history import now
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.store.record import StepRef

_LONGEST = 1_000_000  # characters


def unfit_letter(name: str, why: str, held: dict[str, str], *, run: str = "", flow: str = "") -> LetterRow:
    """The letter of what is called ``name`` and cannot be used, because of ``why``; ``held`` is what there was, as text."""
    at = now()
    message: dict[str, Any] = {key: text[:_LONGEST] for key, text in held.items()}
    return LetterRow(
        id=name, state="waiting", run=run, flow=flow, step="", agent="", kind=str(FailureKind.UNDECODABLE),
        error="Unreadable", text=printable(why, 1_000), contract="", attempt=0, worker="", payload=None, first_failed_at=at,
        last_failed_at=at, times=1, replays=0, message=message,
    )  # fmt: skip


def bare_letter(place: StepRef, failure: Failure) -> LetterRow:
    """The letter of a step whose message nobody has any more."""
    return LetterRow(
        id=failure.message, state="waiting", run=place.run, flow=place.flow, step=place.step, agent="", kind=failure.kind,
        error=failure.error, text=failure.text, contract="", attempt=0, worker="", payload=None, first_failed_at=failure.at,
        last_failed_at=failure.at, times=1, replays=0, message={},
    )  # fmt: skip


def as_it_came(message: Any, why: str) -> LetterRow:
    """The letter of a message that cannot be made out, as it came from the broker."""
    body, headers = message.body, message.headers
    octets = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
    try:
        told = ascii(headers)
    except RecursionError:
        told = "nested too deep"
    name = hashlib.sha256(told.encode() + b"\n" + octets).hexdigest()
    held = {"properties": told, "octets_base64": base64.b64encode(octets).decode()}
    return unfit_letter(f"sha256:{name}", f"the message cannot be made out: {why}", held)
