"""History: what is recorded of each handoff, as flat JSON values that people may read. Sensitive values are masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from types import NoneType
from typing import Any

from handoffs.config import clock
from handoffs.contracts.errors import InvalidData

ENGINE = "coordinator"
"""Who did it, in an entry of what the coordinator process did by itself."""

_BEGAN = "began"
"""How ``triggered``, the kind and the field, were called before; histories that were written then are read as well."""


class EntryKind(StrEnum):
    """What an entry tells of; :class:`Entry` says what each means."""

    STARTED = "started"
    BEGUN = "begun"
    SETTLED = "settled"
    DEDUPLICATED = "deduplicated"
    LATE = "late"
    RETRIED = "retried"
    WAITS = "waits"
    ALLOWED = "allowed"
    PARKED = "parked"
    REPLAYED = "replayed"
    SKIPPED = "skipped"
    EDITED = "edited"
    CANCELLED = "cancelled"
    GIVEN_UP = "given-up"
    PAUSED = "paused"
    RESUMED = "resumed"
    SIGNALLED = "signalled"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"
    FALLBACK = "fallback"
    EMITTED = "emitted"
    GATHERED = "gathered"
    TRIGGERED = "triggered"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a run.

    kind
        ``started`` (accepted), ``begun`` (its time had come, where it was accepted for later); ``settled`` (a step has its outcome), ``deduplicated`` (the outcome was known by its key),
        ``late`` (an outcome came after another stood, and counts for nothing), ``retried``, ``waits`` (an attempt
        failed, and its error said when to come back: the next one has the same number), ``allowed`` (a person said what the run may
        use up: ``output``), ``parked``, ``replayed``,
        ``skipped`` (a person gave the outcome; ``error`` is why), ``edited`` (a person gave the step another input: ``input`` is
        that of before, as far as it is known, and ``output`` that from now on; ``error`` is why),
        ``cancelled``, ``given-up`` (cancelled, and what was done is undone), ``paused``, ``resumed``; ``signalled`` (a signal came), ``refused`` (one that is not
        what the run waits for); ``overridden`` (a worker began although its contracts are not in order; it belongs to no run);
        ``fallback`` (a budget was spent, and its fallback took the step's place); ``emitted`` (an event began the story, or a flow
        emitted one after a join, a wait or a fallback, where there is no step to tell it);
        ``unreadable`` (what the journal has there was changed by hand, and is no entry; ``error`` says why);
        ``gathered`` (an event is in a set that its agent waits for); ``triggered`` (an event has started a flow).
    at
        When it was written, UTC, ISO 8601.
    key
        The idempotency key under which a run was accepted, sensitive values masked.
    due
        When a run was to begin that was accepted for later, UTC, ISO 8601.
    begins
        The step at which a run began that was started in the middle of its flow.
    took_ms
        How long the agent ran, in milliseconds.
    wait_ms
        Of a failed attempt: how long it is until the next one, in milliseconds, at least.
    wrote
        The version of the contract that was written, ``name/version``; ``read`` that of the input as it came.
    sent
        By step, the version that the next message was written in, where its readers needed another than ``wrote``.
    original
        The version that the producer of the input made, where the input was written in another for its readers.
    fallback
        Which fallback this is, or that the input was one: ``cache age=12.3s``, ``constant``, ``agent``; where
        branches were joined, which of them: ``eta: constant``; of a list: ``2 of 9 items``.
    event, emitted
        The message id of the event that the agent heard; and the events that were emitted: ``contract``, ``id``, and the
        agents that were known to hear it then (``heard``); its place in the flow (``step``) where the run tells it.
    story, triggered
        The story that an event belongs to which started this run; and the run that it started.
    into
        The step that has the set which an event was gathered into.
    trace
        Of a failed attempt and of what is parked: where it was raised, as text, the agent's own code first.
    by, why
        The person who did it, and the reason that was given; of ``skipped`` and ``edited`` the reason is ``error``.
    digest
        Names the outcome (:meth:`~handoffs.coordinator.store.record.Record.digest`) where ``output`` is all of it: nothing is masked, and no
        event was emitted with it. Where Redis has lost it, it is put back from here.
    migrated
        The migrations that the input went through here, in order.
    marks
        By what the run can be found: the values of the searchable fields of what the entry tells of, by their names
        (:func:`handoffs.contracts.searchable.marks`).
    """

    kind: EntryKind
    run: str
    flow: str
    at: str
    step: str = ""
    agent: str = ""
    attempt: int = 0
    message: str = ""
    read: str = ""
    wrote: str = ""
    due: str = ""
    begins: str = ""
    sent: dict[str, str] | None = None
    original: str = ""
    migrated: list[str] | None = None
    event: str = ""
    emitted: list[dict[str, Any]] | None = None
    into: str = ""
    story: str = ""
    triggered: str = ""
    fallback: str = ""
    input: Any = None
    output: Any = None
    took_ms: float | None = None
    worker: str = ""
    error: str = ""
    by: str = ""
    why: str = ""
    key: str = ""
    wait_ms: int = 0
    digest: str = ""
    trace: str = ""
    marks: dict[str, list[str]] | None = None

    def fields(self) -> dict[str, Any]:
        """As JSON values, without the empty ones."""
        return {name: value for name, value in zip(_FIELDS, _values(self), strict=True) if value}


_FIELDS = Entry.__slots__
_values = attrgetter(*_FIELDS)


def now() -> str:
    """This moment as it is written into the history."""
    return clock.now().isoformat(timespec="milliseconds")


def triggered_run(entry: Mapping[str, Any]) -> str:
    """The id of the run that an event has started, where that is what ``entry`` tells of; or else empty."""
    for name in (str(EntryKind.TRIGGERED), _BEGAN):
        if entry.get("kind") == name:
            run = entry.get(name)
            return run if isinstance(run, str) else ""
    return ""


_NO_TEXT: dict[str, type | tuple[type, ...]] = {
    "attempt": int, "wait_ms": (int, float), "took_ms": (int, float, NoneType), "input": object, "output": object,
    "sent": (dict, NoneType), "marks": (dict, NoneType), "migrated": (list, NoneType), "emitted": (list, NoneType),
}  # fmt: skip
"""The fields that are no text, and of which types they are."""

_KNOWN = frozenset({*Entry.__slots__, _BEGAN})
_TEXTS = _KNOWN - _NO_TEXT.keys()


def checked(value: Any) -> dict[str, Any]:
    """An entry as it was read from where others may have written it. Fields that only a newer release knows pass.

    Raises :class:`~handoffs.contracts.errors.InvalidData` where it is none.
    """
    if not isinstance(value, dict):
        raise InvalidData("it is no object")
    for name, one in value.items():
        if not (type(one) is str and name in _TEXTS) and name in _KNOWN and not _fits(name, one):
            raise InvalidData(f"its {name} is a {type(one).__name__}")
    return value


def _fits(name: str, value: Any) -> bool:
    if name == "emitted" and isinstance(value, list):
        return all(isinstance(one, dict) for one in value)
    if name == "sent" and isinstance(value, dict):
        return all(isinstance(one, str) for one in value.values())
    if name == "marks" and isinstance(value, dict):
        return all(isinstance(one, list) for one in value.values())
    return isinstance(value, _NO_TEXT.get(name, str)) and not (name == "attempt" and isinstance(value, bool))


def unreadable(run: str, at: str, why: str) -> dict[str, Any]:
    """What stands for an entry of a run that cannot be read."""
    return Entry(EntryKind.UNREADABLE, run, "", at, error=why).fields()
