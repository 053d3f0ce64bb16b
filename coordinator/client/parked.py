"""Parked: a run that is called parked has its dead letters in the journal, as soon as the coordinator process puts them there."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from handoffs.coordinator.client.asked import Asked, Pause, perform
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import RunState

_log = logging.getLogger(__name__)

LETTERS_WITHIN = 5.0
"""How long the next letter on its way to the journal is waited for, in seconds. The coordinator process needs milliseconds for
one; where it is down they stay in the broker, and nobody can wait for that."""

_SHORTEST_PAUSE = 0.002  # seconds
_LONGEST_PAUSE = 0.1  # seconds


class ParkedRuns:
    """Waits for the dead letters of runs that are parked.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used. Where the journal cannot, nothing is waited
    for, and the log says so.
    """

    def __init__(self, services: Services, desk: Desk) -> None:
        self._services = services
        self._desk = desk

    def await_letters(self, run_id: str, limit: float | None = None) -> RunState | None:
        """Wait until the journal has the letter of each step of a run that is marked as parked, and give the run as it is then.

        Waits as long as letters come, one within :data:`LETTERS_WITHIN` seconds of the one before, but at most ``limit`` seconds.
        Where some have not come by then, a warning in the log says so.
        """
        return perform(self.awaiting_letters(run_id, limit), time.sleep)

    def awaiting_letters(self, run_id: str, limit: float | None = None) -> Asked[RunState | None]:
        """The same, which asks for what is to be called, and for the pauses between."""
        began = came = time.monotonic()
        pause = _SHORTEST_PAUSE
        record: RunState | None
        missing: dict[str, Mapping[str, Any]]
        record, missing = yield partial(self._looked, run_id)
        while missing and record is not None:
            now = time.monotonic()
            if limit is not None and now >= began + limit:
                return record  # it was not asked to wait any longer
            if now >= came + LETTERS_WITHIN:
                _log.warning(
                    "run=%s is parked, but %d of its dead letters are not in the journal yet: they wait in the broker for "
                    "the coordinator process (coordinator serve); is it running?",
                    run_id, len(missing),
                )  # fmt: skip
                return record
            yield Pause(pause if limit is None else min(pause, began + limit - now))
            before, pause = missing, min(pause * 1.5, _LONGEST_PAUSE)
            missing = yield partial(self._missing, run_id, missing)
            if len(missing) < len(before):
                came = time.monotonic()
            if not missing or pause == _LONGEST_PAUSE:  # some may have gone on, or failed, meanwhile
                record, missing = yield partial(self._looked, run_id, missing)
        return record

    def _looked(
        self, run_id: str, among: Collection[str] = ()
    ) -> tuple[RunState | None, dict[str, Mapping[str, Any]]]:
        """The run, and its parked steps of which the journal does not have the letter: those ``among`` others, where any are left."""
        record = self._services.runs.state(run_id)
        parked = record.parked if record else {}
        chosen = {step: parked[step] for step in parked if step in among}
        return record, self._missing(run_id, chosen or parked)

    def _missing(self, run_id: str, parked: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Of the steps that are ``parked``, for these reasons, those of which the journal does not have the letter; none where it
        cannot be asked: the run is parked all the same."""
        try:
            return {step: parked[step] for step in self._desk.undrained(parked)}
        except ServerError as error:
            _log.warning("run=%s is parked, and its dead letters cannot be looked for: %s", run_id, error)
            return {}
