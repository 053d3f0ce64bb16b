"""Examining: what a coordinator says of its installation as it is now."""

from __future__ import annotations

from handoffs.coordinator.client import given
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.reading import Reading
from handoffs.coordinator.observe.readings import WITHIN, Readings
from handoffs.coordinator.services import Services


class Examining:
    """The part of a coordinator that looks at servers, workers and queues. None of it raises an error for a server that cannot be
    used: that is what it tells of."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._readings = Readings(services, journal)

    def reading(self, within: float = WITHIN) -> Reading:
        """The installation in numbers: runs by status, what happens a second, letters, and by agent workers, depth and what is in hand;
        and which server does not answer, since when. It is there ``within`` seconds, and one that is a moment old is given again: it may
        be asked for each second, by many.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for a time that is none.
        """
        return self._readings.read(given.seconds(within) or WITHIN)
