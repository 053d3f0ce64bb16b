"""Composition: the parts of a process, built from its settings. The composition root: nothing else makes them."""

from __future__ import annotations

from pathlib import Path

from celery import Celery
from redis import Redis

from handoffs.config.settings import Settings
from handoffs.config.topology import Topology
from handoffs.contracts.registry.registry import open_registry
from handoffs.contracts.versions import Versions
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.messaging.publisher import BrokerPublisher, Publisher
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.payloads.opening import objects_of
from handoffs.coordinator.payloads.payloads import KeptPayloads, Payloads
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.history_stream import HistoryStream
from handoffs.coordinator.store.outstanding import Outstanding
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.server import Server, connect
from handoffs.coordinator.store.store import Store


def services_of(
    settings: Settings, app: Celery, redis: Redis | None = None, publisher: Publisher | None = None
) -> Services:
    """The parts of a process with ``settings``; ``redis`` and ``publisher`` are given where they are none of the settings'."""
    topology = Topology.of(settings)
    redis = redis if redis is not None else connect(settings.redis_url or "", settings.server_timeout)
    room = Room.of(settings)
    store = Store(redis, settings)
    announcements = Announcements(redis, settings)
    registry = open_registry(Path(settings.contracts_folder))
    versions = Versions(lookup=registry.known)
    negotiator = Negotiator(announcements, versions)
    publisher = publisher or BrokerPublisher(app, topology, settings.server_timeout, negotiator.hears)
    publisher.payloads = payloads = payloads_of(settings)
    return Services(
        settings=settings,
        topology=topology,
        app=app,
        publisher=publisher,
        store=store,
        runs=Runs(redis, settings),
        outstanding=Outstanding(redis, settings),
        entries=HistoryStream(redis, settings),
        announcements=announcements,
        server=Server(redis),
        registry=registry,
        versions=versions,
        negotiator=negotiator,
        payloads=payloads,
        router=Router(store, negotiator, room, puts_off=True),
        driver=Driver(redis, publisher, room),
    )


def payloads_of(settings: Settings) -> Payloads:
    """Where large payloads are kept. What is sealed in the journal is sealed there as well, with the same keys.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where keys are given and the package that encrypts is not installed.
    """
    objects = objects_of(settings.payloads, settings.namespace, settings.server_timeout)
    return Payloads(
        KeptPayloads.of(settings, objects, Seal(settings.journal_keys, "the payload")) if objects else None
    )
