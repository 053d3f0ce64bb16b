"""Inventory: what an installation has: its contracts, its topology, and its schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from handoffs.contracts.text import quoted
from handoffs.coordinator.client import given
from handoffs.coordinator.client.contract_book import ContractBook
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.errors import UnknownSchedule
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.run_summary import RunSummary
from handoffs.coordinator.observe.scheduling import (
    ScheduleStanding,
    standing,
    times_after,
    times_before,
)
from handoffs.coordinator.observe.survey import Surveyor
from handoffs.coordinator.observe.topology import LandscapeMap
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.schedules import ScheduleProgress


@dataclass(frozen=True, slots=True)
class ScheduleTime:
    """A time of a schedule, and the run that was started for it; None where none is known."""

    due: datetime
    run: RunSummary | None


@dataclass(frozen=True, slots=True)
class ScheduleStory:
    """A schedule: how it stands, its times before now with what they started, newest first, and its next ones."""

    standing: ScheduleStanding
    before: tuple[ScheduleTime, ...]
    following: tuple[datetime, ...]


class Inventory(ABC):
    """The part of a coordinator that says what an installation has. Every method raises
    :class:`~handoffs.coordinator.errors.ServerError` where a server that it asks cannot be used."""

    def __init__(
        self, services: Services, journal: Journal, loaded: Loaded, working: Mapping[str, Agent]
    ) -> None:
        self._services = services
        self._declared = loaded
        self._working = working
        self._own_journal = journal
        self._progress = ScheduleProgress(services.store.redis, services.settings)
        self.contracts = ContractBook(services, journal, loaded)
        """The contracts that are published or loaded, and who speaks them."""

    @abstractmethod
    def runs(
        self,
        *,
        flow: str = "",
        status: str = "",
        key: str = "",
        since: datetime | None = None,
        waiting: bool = False,
        failed_at: str = "",
        limit: int | None = 50,
    ) -> list[RunSummary]:
        """The newest runs.

        Many parameters because each is a filter of its own.
        """

    def landscape(self, *, asks: bool = True) -> LandscapeMap:
        """The topology now: agents with their queues, events with who emits and who hears them, flows. Where it does not ask servers
        (``asks``), it is what is loaded.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where a module cannot be loaded.
        """
        surveyor = Surveyor(
            self._services, self._own_journal, self._declared.definitions, asks=asks, working=self._working
        )
        return surveyor.landscape_map()

    def schedules(self) -> list[ScheduleStanding]:
        """The schedules that are loaded, by name, and how they stand.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where a module cannot be loaded.
        """
        declared = sorted(self._declared.definitions.schedules.values(), key=lambda one: one.name)
        now, come = self._progress.read([one.name for one in declared])
        return [standing(one, done, now) for one, done in zip(declared, come, strict=True)]

    def schedule(self, name: str, times: int = 10) -> ScheduleStory:
        """One schedule, with its last and next ``times``, 1 to 50, of each.

        Raises :class:`~handoffs.coordinator.errors.UnknownSchedule`, and :class:`~handoffs.coordinator.errors.LoadError` where a module
        cannot be loaded.
        """
        declared = self._declared.definitions.schedules.get(given.text(name, "the name of a schedule"))
        if declared is None:
            raise UnknownSchedule(
                f"there is no schedule {quoted(name, 120)}",
                remedy="list them: coordinator schedules list",
            )
        times = min(max(times, 1), 50)
        now, [done] = self._progress.read([name])
        before = times_before(declared, now, times)
        found = {due: self.runs(flow=declared.flow.name, key=declared.key(due), limit=1) for due in before}
        return ScheduleStory(
            standing(declared, done, now),
            tuple(ScheduleTime(due, next(iter(runs), None)) for due, runs in found.items()),
            tuple(times_after(declared, now, times)),
        )
