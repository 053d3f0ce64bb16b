"""Many: starts many runs of one flow, a batch at a time. Each is started as one alone is (:mod:`handoffs.coordinator.runs.start`);
what all of a batch ask of Redis leaves in one round trip, and their messages leave side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, TypeAlias, TypeGuard

from handoffs.contracts.contract import Contract
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.dispatch.together import Together
from handoffs.coordinator.errors import Interrupted, ServerError, Unpublished, passes
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.runs import due
from handoffs.coordinator.runs.acceptance import accepting
from handoffs.coordinator.runs.spans import Accepted
from handoffs.coordinator.runs.start import Starts
from handoffs.coordinator.services import Services

Payload: TypeAlias = Contract | Mapping[str, Any]
KeyOf: TypeAlias = Callable[[Any], str | None]
"""The idempotency key of a payload; None for its own."""

AT_ONCE = 500
"""Runs of one batch, at most."""
_FRESH = 0.5  # seconds
_OCTETS = 4_194_304
"""What Redis is given for one batch, about, however few runs those are."""


class ManyStarts:
    """Starts many runs of a flow. In eager mode, where each is run at once, one after the other. Safe for threads."""

    def __init__(self, services: Services, starts: Starts, at_once: int = AT_ONCE) -> None:
        self._services = services
        self._starts = starts
        self._at_once = at_once

    def start(
        self,
        flow: Flow,
        payloads: Iterable[Payload],
        *,
        idempotency_key: KeyOf | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
    ) -> Iterator[Accepted | Exception]:
        """Start a run for each payload, as :meth:`Starts.start` does, and give for each, in order, what that gives or raises. A batch
        is started when its first result is asked for. What the iterable raises is raised after the results of what it gave before.

        Raises :class:`~handoffs.contracts.errors.InvalidData` at once where ``at`` is no time to start at, and
        :class:`~handoffs.coordinator.errors.Interrupted` after the results of a batch in which a server failed.
        """
        begins = due.checked(at) if at is not None else None
        clock = _Clock(self._services) if deadline else None

        def asking(payload: Payload) -> Asking[Accepted]:
            key = idempotency_key(payload) if idempotency_key is not None else None
            now = clock.now() if clock is not None else None
            return (
                yield from self._starts.asking(
                    flow, payload, idempotency_key=key, deadline=deadline, at=begins, now=now
                )
            )

        return self._started(map(asking, payloads))

    def _started(self, askings: Iterator[Asking[Accepted]]) -> Iterator[Accepted | Exception]:
        taken = accepted = 0
        while True:
            found, end = self._eagerly(askings) if self._services.settings.eager else self._batch(askings)
            yield from found
            taken += len(found)
            accepted += sum(isinstance(one, Accepted | Unpublished) for one in found)
            if failed := next(filter(_is_away, found), None):
                raise _interrupted(failed, taken, accepted) from failed
            if end is not None:
                if not isinstance(end, StopIteration):
                    raise end
                return

    def _batch(
        self, askings: Iterator[Asking[Accepted]]
    ) -> tuple[list[Accepted | Exception], Exception | None]:
        """What came of the next payloads, and with what they ended, where they did."""
        end: Exception | None = None
        together: Together[Accepted] = Together(self._services.driver)
        while end is None and len(together) < self._at_once and together.octets < _OCTETS:
            try:
                together.add(next(askings))
            except Exception as raised:  # noqa: BLE001 - it is raised once those before it are started
                end = raised
            else:
                if _is_away(together.last):  # it would be waited for with each of the others as well
                    break
        return together.perform(), end

    def _eagerly(
        self, askings: Iterator[Asking[Accepted]]
    ) -> tuple[list[Accepted | Exception], Exception | None]:
        """The same for one, which is run before the next is started."""
        try:
            asking = next(askings)
        except Exception as raised:  # noqa: BLE001 - it is raised by whoever asked for the next
            return [], raised
        try:
            return [self._services.perform(asking)], None
        except Exception as error:  # noqa: BLE001 - it is what start() raises
            return [error], None


class _Clock:
    """What time it is by the clock of Redis, which is not asked for each payload: half a second old at most."""

    def __init__(self, services: Services) -> None:
        self._server = services.server
        self._asked, self._said = -inf, datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Raises :class:`~handoffs.coordinator.errors.ServerError` where nothing was accepted."""
        since = time.monotonic() - self._asked
        if since > _FRESH:
            with accepting():
                self._asked, self._said, since = time.monotonic(), self._server.now(), 0.0
        return self._said + timedelta(seconds=since)


def _is_away(found: object) -> TypeGuard[ServerError]:
    """Whether it is an error of whatever is started: not where a server refuses one run for what it holds of it."""
    origin = found
    while isinstance(origin, ServerError) and isinstance(origin.__cause__, ServerError):
        origin = origin.__cause__
    return isinstance(origin, ServerError) and passes(origin)


def _interrupted(error: ServerError, taken: int, accepted: int) -> Interrupted:
    found = Interrupted(
        error.cause,
        f"of {taken} payloads that were taken {accepted} are accepted for certain: each has its result, and none after them"
        " was looked at",
        "start the same again once the server is back: under the same keys what is accepted stays as it is",
    )
    found.taken, found.accepted = taken, accepted
    return found
