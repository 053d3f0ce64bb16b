"""Timers: what happens when a budget is spent. The coordinator process does it, so it holds while a worker is away."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import Any

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.dataref import Fetch
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.arrival import budgets_of
from handoffs.coordinator.continuation.moves import Arrival, Cursor, Value
from handoffs.coordinator.continuation.path import is_onward, timed
from handoffs.coordinator.continuation.signature import Sig
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.outgoing import Batches
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.errors import Unanswerable
from handoffs.coordinator.flow import ways
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.wire import read_body
from handoffs.coordinator.runs.onward import Onward, value_in
from handoffs.coordinator.runs.spans import standing_in
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Fired:
    """A timer that has fired: the budget's place and chord, what the step was given, and the fallback."""

    place: StepRef
    path: str
    chord: Sig
    value: Value
    fallback: dict[str, Any]
    envelope: Envelope

    @property
    def sending(self) -> Sending:
        """What the messages say that it leads to."""
        return Sending(self.place.run, cause=self.envelope)

    @property
    def around(self) -> tuple[str, ...]:
        """The paths of the budgets that its own is in, innermost first."""
        _, *around = budgets_of(Cursor(f"{self.path}.{ways.FALLBACK}", [], self.chord))
        return tuple(around)


class Timers:
    """Takes the place of steps whose budget is spent. Safe for threads."""

    def __init__(
        self,
        store: Store,
        router: Router,
        driver: Driver,
        versions: Versions,
        limits: Limits,
        fetch: Fetch | None = None,
    ) -> None:
        """``fetch`` brings data that is kept elsewhere."""
        self._store = store
        self._versions = versions
        self._router = router
        self._driver = driver
        self._limits = limits
        self._fetch = fetch
        self._onward = Onward(store, router, driver, versions)

    def fire(self, body: bytes | str, content_type: str) -> str:
        """Handle the message of a timer; gives a line on what came of it. Doing it again changes nothing.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` for what is no timer's message, and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        message = self._opened(body, content_type)
        if is_onward(str(message[1].get("step"))):
            return self._onward.go_on(*message)
        fired = _fired(*message)
        around = fired.around
        stands = self._store.stood_in(fired.place, fired.path)
        if (stands and not stands[1]) or self._store.closed(fired.place, *around):
            return f"in time run={fired.place.run} step={fired.path}"
        with standing_in(fired.place, fired.envelope):
            batches, said = self._again(fired, *stands) if stands else self._taken(fired, fired.fallback)
            self._driver.perform(send(batches, fired.sending))
        return f"fallback ({said}) run={fired.place.run} step={fired.path}"

    def is_over(self, body: bytes | str, content_type: str) -> bool:
        """Whether nobody needs the message of a timer any more: its budget is spent, or its run has ended. Raises what
        :meth:`fire` raises."""
        message = self._opened(body, content_type)
        if is_onward(str(message[1].get("step"))):
            return self._onward.is_over(*message)
        fired = _fired(*message)
        return self._store.closed(fired.place, fired.path, *fired.around)

    def _again(self, fired: _Fired, record: Record, mark: str) -> tuple[Batches, str]:
        """The fallback took the step's place before, and perhaps nobody lived to send what follows."""
        fallback = fired.fallback
        if mark.startswith("cache"):
            return self._arrived(fired, Value(record.schema, json.loads(record.data), item=True), mark)
        while "key" in fallback:
            fallback = fallback["otherwise"]
        return self._taken(fired, fallback)

    def _taken(self, fired: _Fired, fallback: dict[str, Any]) -> tuple[Batches, str]:
        if "key" in fallback:
            kept = self._store.kept(fallback["key"])
            if kept is None or kept[1] > fallback["max_age_ms"]:
                return self._taken(fired, fallback["otherwise"])
            record, age = kept
            value = Value(record.schema, json.loads(record.data), item=True)
            try:
                return self._arrived(fired, value, f"cache age={age / 1000:.1f}s")
            except Unanswerable:  # a run of another edition kept it
                return self._taken(fired, fallback["otherwise"])
        if "body" in fallback:
            moves = advance.taken(fallback["body"], fired.chord, fired.value)
            self._driver.perform(self._router.foreseen(fired.place, moves, fired.sending))
            return self._router.took(fired.place, moves, ""), "agent"
        value = Value(fallback["schema"], fallback["constant"], item=True)
        return self._arrived(fired, value, "constant")

    def _arrived(self, fired: _Fired, value: Value, mark: str) -> tuple[Batches, str]:
        [arrival] = advance.stood_in(fired.path, ways.FALLBACK, fired.chord, value)
        assert isinstance(arrival, Arrival)
        self._driver.perform(self._router.foreseen(fired.place, [arrival], fired.sending))
        first, *others = arrival.joins
        marked = replace(arrival, joins=(replace(first, mark=mark), *others))
        entry = Entry(
            EntryKind.FALLBACK,
            fired.place.run,
            fired.place.flow,
            now(),
            step=fired.path,
            output=self._versions.shown(ContractRef.from_uri(value.schema), value.data),
            fallback=mark,
        )
        return self._router.took(fired.place, [marked], mark, entry.fields()), mark

    def _opened(
        self, body: bytes | str, content_type: str
    ) -> tuple[Envelope, dict[str, Any], dict[str, Any]]:
        text, kwargs, continuation = read_body(body, content_type, self._limits)
        return Envelope.decode(text, self._limits, self._fetch), kwargs, continuation


def _fired(envelope: Envelope, kwargs: dict[str, Any], continuation: dict[str, Any]) -> _Fired:
    """A timer as its message has it. Raises :class:`InvalidData` where that is malformed."""
    try:
        path = timed(kwargs["step"])
        place = StepRef(envelope.correlation_id, kwargs["flow"], path)
        joined = envelope.join_schemas is not None
        value = value_in(envelope, joined=joined, item=not joined)
        chord = continuation["chord"]
        advance.checked(Cursor(f"{path}.{ways.FALLBACK}", [], chord))
        return _Fired(place, path, chord, value, dict(kwargs["fallback"]), envelope)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise InvalidData("the message of a timer is malformed", "no fallback was taken") from error
