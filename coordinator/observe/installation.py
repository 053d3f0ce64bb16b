"""Installation: what its servers say of it now."""

from __future__ import annotations

from collections.abc import Mapping

from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.survey import Surveyor
from handoffs.coordinator.observe.topology import LandscapeMap
from handoffs.coordinator.services import Services


class Installation:
    """Asks RabbitMQ, Redis and the journal; nobody's code is loaded for it: agents are those that workers have announced.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where one of them cannot be used.
    """

    def __init__(self, services: Services, journal: Journal) -> None:
        self._journal = journal
        self._surveyor = Surveyor(services, journal, Definitions(), asks=True, working={})

    def landscape(self) -> LandscapeMap:
        """The agents and queues that there are now."""
        return self._surveyor.landscape_map()

    def letters(self) -> Mapping[str, tuple[int, str]]:
        """How many letters wait, and when the oldest of them failed first, by why they were parked."""
        return self._journal.letters.by_reason()
