"""Fields: what the hash of a run has in Redis. Python and the Lua scripts take the names from here.

Those of :class:`Field` are there once in a run. Those of :class:`Kind` are there once for each path (or name) of a kind, and begin
with the kind's letter. "Settling", "claiming" and so on are the scripts of that name, in ``lua/``; scripts get each kind as a
constant of its name (``SETTLED .. step``).

A run that completes forgets the kinds in :data:`FORGOTTEN_AT_END`; everything else goes with the run's time to live.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Field(StrEnum):
    """The fields that a run has once. Times are in milliseconds since 1970."""

    FLOW = "flow"
    """The name of its flow, or ``on:`` and the contract of the event that began it. Written at its start; where Redis had lost the
    run, by the first message of it that comes."""
    KEY = "key"
    """Its idempotency key."""
    TRACE = "trace"
    """The span in which it began, as a W3C ``traceparent``, where one was current: for those of its messages to which no other has led."""
    LIFE = "life"
    """Of a run that was started anew when it had ended and was forgotten: the id of its first life, and the number of this one."""
    CONTENT = "content"
    """The hash of its input: a start under the same key with another content is a conflict."""
    STATUS = "status"
    """``scheduled``, ``running``, ``completed``, ``compensating`` or ``cancelled``. Whether it is parked follows from ``p:``."""
    STARTED = "started"
    """When it was accepted; of a scheduled run, when it began."""
    DUE = "due"
    """When it begins, or was to begin, by Redis' clock, where that is not at once."""
    FIRST = "first"
    """Its first messages, until they are in the broker's hands; then the sweep has nothing to do for it."""
    PAUSED = "paused"
    """``1`` while nothing further of it begins."""
    ALIVE = "alive"
    """When somebody had a message of it in hand the last time: at work on it, where that took long enough for a lease to be renewed,
    or in a worker that has not begun it."""
    OPEN = "open"
    """How many of its steps were sent and are not settled."""
    PARKED = "parked"
    """How many ``p:`` there are."""
    UNDOABLE = "undoable"
    """How many ``c:`` were written: the number of the newest."""
    UNDO_AT = "undo_at"
    """The number of the ``c:`` that is being undone; there from the moment when it was cancelled to be undone."""
    UNDOING = "undoing"
    """How many chains of undoing steps have not ended; there from the moment when it was cancelled to be undone."""
    RESULT = "result"
    """The outcome of a run that is completed: a record."""


class Kind(StrEnum):
    """The fields that a run has for each path. A *record* is the text of an outcome, see ``record.py``."""

    SETTLED = "s:"
    """By step: its record, empty where the run has let it go (the idempotency key has it). Settling writes it, everything that
    asks whether a step has its outcome reads it. It stays when the run ends, for fence.lua."""
    SETTLED_BY = "n:"
    """By step: the fence under which it was settled; where the outcome was let go, also the record's digest. By these, settling
    knows the same settlement when it comes again."""
    FENCE = "f:"
    """By step: the lowest fence that may still settle it. Written by a worker that takes the lease over."""
    BEGUN = "r:"
    """By step: when it was claimed the last time. There until it is settled or parked; an edit is refused where it is there."""
    EDIT = "i:"
    """By step: the input that a person gave it, as JSON with its ``number``. No message with an older one is claimed or settled."""
    PARKED = "p:"
    """By step: why it is parked, as JSON. Written and removed together with the count ``parked``."""
    HELD = "h:"
    """By step: what is known of its message, as JSON, while it does not begin because the run is paused."""
    DELAYED = "d:"
    """By step: until when it is held back by a delay (ms). For people, and for whoever asks whether the run stands still; no script goes
    by it."""
    UNDO = "c:"
    """By number, in the order in which steps were settled: what undoes the step, as JSON (``undo.py``). Cancelling and whoever
    settles what undoes a step get the one that is next."""
    UNDONE = "x:"
    """By step that was settled after its run was cancelled, and is to be undone too: the number of its ``c:``. By step that undoes,
    ``1``: the last one of its chain is settled. Each is counted once in ``undoing``."""
    ARRIVED = "j:"
    """By path of a join and branch, ``j:<path>.<branch>``: the part that has arrived there, as its schemas, a line break and its
    data. ``j:<path>.one`` is what has come back from a budget or a wait: then it is spent. ``j:<path>.#`` counts the items of an
    each. The same names, after the run's id, are in the outstanding hash while a part waits for the others."""
    MARK = "m:"
    """By path of a budget: which fallback took its place. ``m:j:<path>.<branch>`` and ``m:j:<path>.#``: the same of a part of a
    join, and of how many items."""
    ITEM = "e:"
    """By path of an each and number: an item that waits for its turn, as JSON."""
    AWAITED = "w:"
    """By path of a wait: the signal that it waits for and what follows, as JSON (``signal``, ``schema``, ``since``; ``scopes`` are the
    budgets around it). Removed when the signal or its timer has come."""
    FOLLOWED = "v:"
    """By path of a wait that is over: its ``w:``, for a signal that is sent again because what followed may have been lost."""
    SIGNAL = "g:"
    """By name of a signal: the newest that came, a record."""
    SIGNAL_OF = "o:"
    """By name of a signal: the path of the wait that took it."""
    LOST = "q:"
    """By step: why nobody does it but a person who says so: the journal has an outcome of it, which Redis has lost."""
    ORIGIN = "a:"
    """By ``first``: the run's first messages once they are published, unless they are large. From these it is taken up again where
    Redis has lost what came after."""
    SPANS = "t:"
    """By path of a join: the spans in which parts have arrived there, by their ids, where spans are recorded."""
    EMITTER = "k:"
    """By agent and hash of an idempotency key: the step that sends the events of that key's outcome."""

    def of(self, path: object) -> str:
        """The field of a path, or of a name or number."""
        return f"{self}{path}"

    def pick(self, fields: Mapping[str, str]) -> dict[str, str]:
        """The fields of this kind among those of a hash, by path."""
        return {name[2:]: value for name, value in fields.items() if name.startswith(self)}


FORGOTTEN_AT_END = (
    Kind.ARRIVED, Kind.FENCE, Kind.ITEM, Kind.MARK, Kind.EDIT, Kind.BEGUN, Kind.HELD, Kind.DELAYED, Kind.FOLLOWED,
    Kind.LOST, Kind.ORIGIN, Kind.SPANS,
)  # fmt: skip
"""The kinds that a run needs no more when it completes."""


ONE = ".one"
"""Ends the field of what has come back from a budget, or a wait."""


def first_of(path: str) -> str:
    """The field of what has come back from the budget, or the wait, at ``path``."""
    return Kind.ARRIVED.of(f"{path}{ONE}")


class SetKind(StrEnum):
    """The fields that the hash of a set of events has for each part. Beside them it has ``count``, ``first`` (the part that began
    it), ``born`` (when, in ms), ``taken`` (it is worked on, and takes no more parts) and ``finished``."""

    PART = "p:"
    """By part: a line with the hash of its content, the run and the flow that it came from, then its record."""
