"""Edit: an input that a person gives to a step, in place of the one that its message has."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.strictjson import digest
from handoffs.coordinator.continuation.schema import MOST_EDITS, MOST_SUPERSEDED
from handoffs.coordinator.messaging.message import summary

_MARK = "edit"
_SOURCE = "/operators"


@dataclass(frozen=True, slots=True)
class Edit:
    """The newest input of a step, as its run has it.

    number
        From 1; each edit of the step has the next one. A message says which it has (:func:`number_of`); the newest runs.
    schema, data
        What the input is written in, a URI, and the input. ``original_schema`` is that of the envelope, where it was written in
        another version for its readers. ``original_digest`` names its content.
    key
        The idempotency key of the input, empty where it has none of its own.
    supersedes
        The digests of the inputs before it.
    """

    number: int
    schema: str
    data: dict[str, Any]
    by: str
    why: str
    at: str
    key: str = ""
    original_schema: str = ""
    original_digest: str = ""
    supersedes: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The digest that names this input."""
        return self.original_digest or digest(self.data)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "supersedes": list(self.supersedes)}

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The edit that a run has; None for an empty text. Raises :class:`InvalidData` where it is none."""
        if not text:
            return None
        try:
            fields = json.loads(text)
            edit = cls(**{**fields, "supersedes": tuple(fields["supersedes"])})
            ContractRef.from_uri(edit.schema)
            if _is_number(edit.number) and isinstance(edit.data, dict):
                return edit
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise InvalidData("what the run has as the edited input of the step cannot be read")

    def applied(self, envelope: Envelope, kwargs: dict[str, Any]) -> tuple[Envelope, dict[str, Any]]:
        """The envelope and the arguments of the step's message with this input; the same where they have a newer one."""
        if number_of(kwargs) >= self.number:
            return envelope, kwargs
        before = [*superseded(kwargs), envelope.original_digest or digest(envelope.data)]
        contents = [one for one in dict.fromkeys([*self.supersedes, *before]) if one != self.content][
            -MOST_SUPERSEDED:
        ]
        edited = envelope.model_copy(
            update={
                "source": _SOURCE,
                "type": ContractRef.from_uri(self.schema).name,
                "data_schema": self.schema,
                "data": self.data,
                "subject": self.key or envelope.subject,
                "idempotency_key": self.key or envelope.idempotency_key,
                "original_schema": self.original_schema or None,
                "original_digest": self.original_digest or None,
                "join_schemas": None,
                "fallback": None,
            }
        )
        return edited, {**kwargs, _MARK: {"number": self.number, "supersedes": contents}}


def number_of(kwargs: dict[str, Any]) -> int:
    """The number of the edit that a message has; 0 where nobody has edited it. Raises :class:`InvalidData`."""
    return _mark(kwargs)[0]


def superseded(kwargs: dict[str, Any]) -> tuple[str, ...]:
    """The digests of the inputs whose place that of a message has taken. Raises :class:`InvalidData`."""
    return _mark(kwargs)[1]


def shown_as(headers: dict[str, Any], envelope: Envelope) -> dict[str, Any]:
    """The headers of a message that has another input now."""
    run, flow, step = (str(headers.get(f"handoff_{name}", "")) for name in ("run", "flow", "step"))
    return {**headers, "argsrepr": summary(run, flow, step, envelope.contract)}


def _mark(kwargs: dict[str, Any]) -> tuple[int, tuple[str, ...]]:
    match kwargs.get(_MARK):
        case None:
            return 0, ()
        case {"number": number, "supersedes": list(digests)} if (
            _is_number(number) and len(digests) <= MOST_SUPERSEDED and all(map(_is_digest, digests))
        ):
            return number, tuple(digests)
    raise InvalidData("the edit in the message is malformed")


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 < value <= MOST_EDITS


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and value.isalnum()
