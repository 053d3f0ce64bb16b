"""HistoryEntry: one thing that happened to a run, with types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.history import EntryKind

_KINDS: dict[str, EntryKind] = {str(kind): kind for kind in EntryKind}
_REASONS: dict[str, FailureKind] = {str(kind): kind for kind in FailureKind}
_FAILED = frozenset({EntryKind.RETRIED, EntryKind.WAITS, EntryKind.PARKED})
_WHY_IS_ERROR = frozenset({EntryKind.SKIPPED, EntryKind.EDITED})


class HistoryEntry(Mapping[str, Any]):
    """One thing that happened to a run. Nothing of it can be set.

    What it tells has types as attributes. It is also the mapping that ``--json`` prints, of JSON values and without what is empty
    (``entry["kind"]``, ``entry.get("by")``), which is where rarer fields are too: see :class:`handoffs.coordinator.history.Entry`.
    An attribute of which the entry says nothing is empty: ``""``, ``0`` or None.
    """

    __slots__ = ("_fields",)
    _fields: Mapping[str, Any]

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """``fields`` are JSON values, as the journal has them."""
        object.__setattr__(self, "_fields", dict(fields))

    @property
    def kind(self) -> EntryKind | str:
        """What happened; a plain text where a newer release wrote what this one does not know."""
        kind = self._text("kind")
        return _KINDS.get(kind, kind)

    @property
    def step(self) -> str:
        """The path of the step: ``"2"``, ``"3.stock.1"``."""
        return self._text("step")

    @property
    def agent(self) -> str:
        """The name of the agent."""
        return self._text("agent")

    @property
    def attempt(self) -> int:
        """Which attempt it was, from 1."""
        value = self._fields.get("attempt")
        return value if type(value) is int else 0

    @property
    def at(self) -> datetime | None:
        """When it was written, in UTC; None where the journal was changed by hand and has no time there."""
        try:
            return datetime.fromisoformat(self._text("at"))
        except ValueError:
            return None

    @property
    def contract(self) -> ContractRef | None:
        """The contract and version that was written, or else that of the input as it came."""
        return self.wrote or self.read

    @property
    def read(self) -> ContractRef | None:
        """The contract and version of the input as it came."""
        return _ref(self._text("read"))

    @property
    def wrote(self) -> ContractRef | None:
        """The contract and version that was written."""
        return _ref(self._text("wrote"))

    @property
    def input(self) -> Any:
        """The input, as JSON values, sensitive ones masked; of ``started`` and ``signalled`` the payload."""
        return self._fields.get("input")

    @property
    def output(self) -> Any:
        """The outcome, as JSON values, sensitive ones masked."""
        return self._fields.get("output")

    @property
    def error(self) -> str:
        """What went wrong, in one line; of ``skipped`` and ``edited`` empty: see :attr:`why`."""
        return "" if self.kind in _WHY_IS_ERROR else self._text("error")

    @property
    def reason(self) -> FailureKind | str:
        """Of what was parked: why, such as ``error`` or ``invalid-input``."""
        reason = self._told_error()[0]
        return _REASONS.get(reason, reason)

    @property
    def error_class(self) -> str:
        """Of a failed attempt, and of what was parked: the name of the error's class."""
        return self._told_error()[1]

    @property
    def detail(self) -> str:
        """Of a failed attempt, and of what was parked: what the error says."""
        return self._told_error()[2]

    @property
    def trace(self) -> str:
        """Of a failed attempt, and of what was parked: where it was raised, as text, the agent's own code first."""
        return self._text("trace")

    @property
    def by(self) -> str:
        """The person who did it."""
        return self._text("by")

    @property
    def why(self) -> str:
        """The reason that the person gave."""
        return self._text("error") if self.kind in _WHY_IS_ERROR else self._text("why")

    @property
    def took(self) -> timedelta | None:
        """How long the agent ran."""
        return _milliseconds(self._fields.get("took_ms"))

    @property
    def wait(self) -> timedelta | None:
        """Of a failed attempt: how long it is until the next one, at least."""
        return _milliseconds(self._fields.get("wait_ms"))

    @property
    def message(self) -> str:
        """The id of the message that the agent was given."""
        return self._text("message")

    @property
    def fallback(self) -> str:
        """Which fallback this is, or that the input was one: ``constant``, ``cache age=12.3s``, ``agent``."""
        return self._text("fallback")

    @property
    def worker(self) -> str:
        """The worker that did it."""
        return self._text("worker")

    def to_json(self) -> dict[str, Any]:
        """The entry as ``--json`` prints it."""
        return dict(self._fields)

    def told(self) -> str:
        """The entry in a few words: ``retried 2 shop.charge attempt 1: Transient: busy``."""
        place = " ".join(part for part in (self.step, self.agent) if part)
        attempt = f"attempt {self.attempt}" if self.kind in _FAILED and self.attempt else ""
        head = " ".join(part for part in (str(self.kind), place, attempt) if part)
        return f"{head}: {self.error}" if self.error else head

    def __repr__(self) -> str:
        return f"<{self.told()}>"

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an entry of a history does not change: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an entry of a history does not change: {name} cannot be deleted")

    def __reduce__(self) -> tuple[type[HistoryEntry], tuple[dict[str, Any]]]:
        return type(self), (self.to_json(),)

    def _text(self, name: str) -> str:
        value = self._fields.get(name)
        return value if isinstance(value, str) else ""

    def _told_error(self) -> tuple[str, str, str]:
        """The reason, the class and the text in the error of what failed."""
        if self.kind not in _FAILED:
            return "", "", ""
        reason, rest = "", self._text("error")
        if self.kind == EntryKind.PARKED:
            reason, _, rest = rest.partition(": ")
        name, _, text = rest.partition(": ")
        return reason, name, text


def _ref(text: str) -> ContractRef | None:
    name, _, version = text.rpartition("/")
    try:
        return ContractRef.from_uri(f"urn:contract:{name}:{version}")
    except InvalidData:
        return None


def _milliseconds(value: object) -> timedelta | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return timedelta(milliseconds=value)
        except (OverflowError, ValueError):
            return None
    return None
