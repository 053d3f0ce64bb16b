"""History: what is recorded of each handoff, as flat JSON values that people may read. Sensitive values are masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a run.

    kind
        ``started`` (accepted), ``begun`` (its time had come, where it was accepted for later); ``settled`` (a step has its outcome), ``deduplicated`` (the outcome was known by its key),
        ``late`` (an outcome came after another stood, and counts for nothing), ``retried``, ``parked``, ``replayed``,
        ``skipped`` (a person gave the outcome; ``error`` is why), ``edited`` (a person gave the step another input: ``input`` is
        that of before, as far as it is known, and ``output`` that from now on; ``error`` is why),
        ``cancelled``, ``given-up`` (cancelled, and what was done is undone), ``paused``, ``resumed``; ``signalled`` (a signal came), ``refused`` (one that is not
        what the run waits for); ``overridden`` (a worker began although its contracts are not in order; it belongs to no run);
        ``fallback`` (a budget was spent, and its fallback took the step's place); ``emitted`` (an event began the story, or a flow
        emitted one after a join, a wait or a fallback, where there is no step to tell it);
        ``gathered`` (an event is in a set that its agent waits for); ``triggered`` (an event has started a flow).
    at
        When it was written, UTC, ISO 8601.
    due
        When a run was to begin that was accepted for later, UTC, ISO 8601.
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
    migrated
        The migrations that the input went through here, in order.
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
    wait_ms: int = 0

    def fields(self) -> dict[str, Any]:
        """As JSON values, without the empty ones."""
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in values if value not in ("", None, 0, [], {})}


def now() -> str:
    """This moment as it is written into the history."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def triggered_run(entry: Mapping[str, Any]) -> str:
    """The id of the run that an event has started, where that is what ``entry`` tells of; or else empty."""
    for name in (str(EntryKind.TRIGGERED), _BEGAN):
        if entry.get("kind") == name:
            run = entry.get(name)
            return run if isinstance(run, str) else ""
    return ""
