"""LetterRow: a dead letter as it is kept, and LetterSummary: what is read of it to list and to count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from handoffs.coordinator.journal.columns import fitted, json_text, json_value
from handoffs.coordinator.journal.fingerprint import fingerprint
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.journal.tables import dead_letters


@dataclass(frozen=True, slots=True)
class LetterSummary:
    """A dead letter without its input, its message and the traceback of its failure: each of them may be large.

    ``state`` is ``waiting``, ``replayed``, ``settled`` (the step has its outcome by another way), ``cancelled``, ``archived`` (a person
    put it away) or ``unheard``. ``times`` counts how often it was parked.
    """

    id: str
    state: str
    run: str
    flow: str
    step: str
    agent: str
    kind: str
    error: str
    text: str
    contract: str
    attempt: int
    worker: str
    first_failed_at: str
    last_failed_at: str
    times: int
    replays: int

    @property
    def fingerprint(self) -> str:
        """The id of the group of letters that it is one of: those that failed at the same step for the same cause."""
        place = (self.flow, self.step, self.agent)
        return fingerprint(self.kind, place, self.contract, self.error, self.text)


@dataclass(frozen=True, slots=True)
class LetterDetails:
    """What people may see of a letter beside its summary: ``payload`` is the input with sensitive values masked, ``trace`` where
    it failed."""

    payload: Any
    trace: str = ""


@dataclass(frozen=True, slots=True)
class LetterRow(LetterSummary):
    """A dead letter, whole.

    ``payload`` is the input with sensitive values masked; ``message`` is the message itself, for replaying. ``trace`` says where
    it failed, as text; empty where no agent's code was reached.
    """

    payload: Any
    message: dict[str, Any] = field(repr=False)
    trace: str = ""


SUMMARY = tuple(one.name for one in fields(LetterSummary))
"""The columns of a summary."""


def summary_of(found: Mapping[Any, Any], namespace: Namespace) -> LetterSummary:
    """The summary in a row of the table."""
    values = {name: found[name] for name in SUMMARY}
    return LetterSummary(**values | {"id": namespace.plain(values["id"])})


def details_of(found: Mapping[Any, Any]) -> LetterDetails:
    """The details in a row of the table."""
    return LetterDetails(_payload(found), found["trace"])


def letter_of(found: Mapping[Any, Any], namespace: Namespace, seal: Seal) -> LetterRow:
    """The letter in a row of the table. Raises :class:`~handoffs.coordinator.errors.SealBroken`."""
    values = {name: found[name] for name in SUMMARY}
    return LetterRow(
        **values | {"id": namespace.plain(values["id"])},
        payload=_payload(found),
        message=message_of(seal.opened(found["message"], found["id"])),
        trace=found["trace"],
    )


def _payload(found: Mapping[Any, Any]) -> Any:
    """The input in a row of the table; None where that was changed by hand and is none."""
    try:
        return json_value(found["payload"])
    except ValueError:
        return None


def message_of(text: str) -> dict[str, Any]:
    """The message in a row of the table; where that was changed by hand, what is there, which is not sent anywhere."""
    try:
        message = json_value(text)
    except ValueError:
        message = None
    return message if isinstance(message, dict) else {"unreadable": text}


def values_of(row: LetterRow, namespace: Namespace, seal: Seal) -> dict[str, Any]:
    """A letter as a row of the table."""
    key = namespace.key(row.id)
    values = {
        **{name: getattr(row, name) for name in SUMMARY},
        "id": key,
        "payload": json_text(row.payload),
        "message": seal.closed(json_text(row.message), key),
        "trace": row.trace,
        "namespace": namespace.name,
    }
    values = fitted(dead_letters, values)
    place = (values["flow"], values["step"], values["agent"])
    named = fingerprint(values["kind"], place, values["contract"], values["error"], values["text"])
    return {**values, "fingerprint": named}
