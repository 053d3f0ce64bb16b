"""Services: the parts of one process, as a value. Made in the composition root only: runtime/engine.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from celery import Celery

from handoffs.config.settings import Settings
from handoffs.config.topology import Topology
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.versions import Versions
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.manifest import manifest_of
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.payloads.payloads import Payloads
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.history_stream import HistoryStream
from handoffs.coordinator.store.outstanding import Outstanding
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.server import Server
from handoffs.coordinator.store.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """What the rooms above the handoff need of their process. None of it opens a connection until it is used."""

    settings: Settings
    topology: Topology
    app: Celery
    publisher: Publisher
    store: Store
    runs: Runs
    outstanding: Outstanding
    entries: HistoryStream
    announcements: Announcements
    server: Server
    registry: Registry
    versions: Versions
    negotiator: Negotiator
    payloads: Payloads
    router: Router
    driver: Driver

    @property
    def room(self) -> Room:
        """How much messages may carry."""
        return self.router.room

    def manifest(self, agent: Agent) -> Manifest:
        """What the code of ``agent`` reads and writes, as it is now."""
        return manifest_of(agent, self.versions, queue=self.topology.queue_name(agent.name))

    def impatient(self) -> Services:
        """The same for who serves many: it waits for no room in a full queue."""
        publisher = self.publisher.impatient()
        return replace(self, publisher=publisher, driver=Driver(self.store.redis, publisher))

    def perform(self, asking: Asking[T]) -> T:
        """Perform what is asked, one request at a time, and give what was found. Raises what :meth:`Driver.perform` raises."""
        return self.driver.perform(asking)
