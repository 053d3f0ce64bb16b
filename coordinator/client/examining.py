"""Examining: what a coordinator says of its installation as it is now."""

from __future__ import annotations

from handoffs.coordinator.client import given
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.doctor.check import Check
from handoffs.coordinator.observe.doctor.doctor import WITHIN as EXAMINED_WITHIN
from handoffs.coordinator.observe.doctor.doctor import Doctor
from handoffs.coordinator.observe.reading import Reading
from handoffs.coordinator.observe.readings import WITHIN, Readings
from handoffs.coordinator.services import Services


class Examining:
    """The part of a coordinator that looks at servers, workers and queues. None of it raises an error for a server that cannot be
    used: that is what it tells of."""

    def __init__(self, services: Services, journal: Journal, loaded: Loaded) -> None:
        self._readings = Readings(services, journal, loaded.agents if services.settings.embedded else tuple)
        self._doctor = Doctor(services, journal, lambda: loaded.definitions)

    def reading(self, within: float = WITHIN) -> Reading:
        """The installation in numbers: runs by status, what happens a second, letters, and by agent workers, depth and what is in hand;
        and which server does not answer, since when. It is there ``within`` seconds, and one that is a moment old is given again: it may
        be asked for each second, by many.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for a time that is none.
        """
        return self._readings.read(given.seconds(within) or WITHIN)

    def examine(self, within: float = EXAMINED_WITHIN) -> tuple[Check, ...]:
        """Whether the installation is in order, and what to do where it is not: settings, secrets, modules and published contracts; RabbitMQ
        with its permissions, exchanges and queues; Redis; the journal with its tables and chains; workers, coordinator process and beat.
        Servers are looked at side by side, and all is there after ``within`` seconds: one that is silent fails its own checks alone.
        Nothing that it writes stays. It may be asked for often.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for a time that is none.
        """
        return self._doctor.examine(given.seconds(within) or EXAMINED_WITHIN)
