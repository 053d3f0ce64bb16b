"""Replayed: what came of steps that were sent on their way again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.listing import waits_of
from handoffs.coordinator.observe.standing import Standings
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0  # seconds
_AT_ONCE = 200
_WAITS, _GOES_ON = "waiting", "at work"


@dataclass(frozen=True, slots=True)
class Came:
    """What came of letters that were replayed, by their ids: their run is ``completed`` or ``cancelled``, is ``parked`` again, at the same step
    or at a later one, waits for a signal after it (``waiting``), or goes on (``at_work``)."""

    completed: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    at_work: tuple[str, ...] = ()

    def words(self) -> str:
        """``3 completed, 1 parked again, 0 still at work``."""
        told = f"{len(self.completed)} completed, {len(self.parked)} parked again, {len(self.at_work)} still at work"
        more = {"waiting for a signal": self.waiting, "cancelled": self.cancelled}
        return ", ".join([told, *(f"{len(letters)} {what}" for what, letters in more.items() if letters)])


class Followed:
    """Follows letters that were replayed. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""

    def __init__(self, services: Services, standings: Standings) -> None:
        self._services = services
        self._standings = standings

    def follow(self, letters: Iterable[Letter], timeout: float) -> Came:
        """What has come of these letters once none of their runs goes on, or ``timeout`` seconds are over."""
        until, pause = time.monotonic() + timeout, _SHORTEST_PAUSE
        left = list(letters)
        came: dict[str, list[str]] = {
            "completed": [],
            "cancelled": [],
            "parked": [],
            _WAITS: [],
            _GOES_ON: [],
        }
        while True:
            going: list[Letter] = []
            for letter, state in zip(left, self._states(left), strict=True):
                if state == _GOES_ON:
                    going.append(letter)
                else:
                    came[state].append(letter.id)
            left = going
            if not left or time.monotonic() >= until:
                came[_GOES_ON] = [letter.id for letter in left]
                return Came(*map(tuple, came.values()))
            time.sleep(min(pause, max(until - time.monotonic(), 0.0)))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _states(self, letters: Sequence[Letter]) -> list[str]:
        """How the runs of these letters are: ``completed``, ``cancelled``, ``parked``, ``waiting``, or they go on."""
        found: list[str] = []
        for first in range(0, len(letters), _AT_ONCE):
            some = letters[first : first + _AT_ONCE]
            statuses = self._standings.statuses([letter.run for letter in some])
            live = [one.run for one, status in zip(some, statuses, strict=True) if status not in ENDED]
            records = dict(zip(live, self._services.runs.records(live), strict=True)) if live else {}
            for letter, status in zip(some, statuses, strict=True):
                record = records.get(letter.run)
                if status in ENDED:
                    found.append(status)
                elif record is None:
                    found.append(_GOES_ON)
                elif letter.step in record.parked or (status == "parked" and letter.step in record.settled):
                    found.append("parked")
                elif letter.step in record.settled and waits_of(record):
                    found.append(_WAITS)
                else:
                    found.append(_GOES_ON)
        return found
