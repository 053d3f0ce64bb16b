"""Stage: where a show of media plays: in this process, on real servers with fleets of its own, or with those that are there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from handoffs.config.reference import MediaSettings
from handoffs.config.settings import Settings
from handoffs.coordinator import Coordinator
from handoffs.tasks.attendance import require
from handoffs.tasks.media.fleets import AGENTS, FLEETS, Fleet
from handoffs.tasks.programs import Programs, on_servers


class Stage(Protocol):
    """Workers of all agents, and a client to them."""

    coordinator: Coordinator
    where: str

    def processes(self) -> dict[str, int]:
        """The process ids of all who take part, by name."""


class EmbeddedStage:
    """All agents as threads of this process."""

    where = "embedded"

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator

    def processes(self) -> dict[str, int]:
        return {"this process": os.getpid()}


class ServerStage:
    """A process and more for each fleet, and a coordinator process, on the servers that the settings name."""

    where = "servers"

    def __init__(self, coordinator: Coordinator, programs: Programs, fleets: Iterable[Fleet]) -> None:
        self.coordinator = coordinator
        self._programs = programs
        programs.serve()
        for one in fleets:
            self._begin(one)
        programs.wait_ready()

    def stop(self, fleet: Fleet) -> None:
        """Scale a fleet down to zero."""
        self._programs.stop(*fleet.members())

    def start(self, fleet: Fleet) -> None:
        """Scale it up again; returns when it works."""
        self._begin(fleet)
        self._programs.wait_ready()

    def processes(self) -> dict[str, int]:
        return {"this process": os.getpid(), **self._programs.processes()}

    def _begin(self, fleet: Fleet) -> None:
        for name in fleet.members():
            self._programs.worker(name, fleet.agents, threads=fleet.threads)


class RunningStage:
    """The fleets that are at work on the servers already, on whichever machines; they go on when the show has ended.

    Raises what :func:`handoffs.tasks.attendance.require` raises.
    """

    where = "running"

    def __init__(self, coordinator: Coordinator) -> None:
        require(coordinator, AGENTS, "media")
        self.coordinator = coordinator

    def processes(self) -> dict[str, int]:
        return {}  # they are others', and may be elsewhere


@contextmanager
def open_stage(settings: Settings, media: MediaSettings, fleets: Iterable[Fleet] = FLEETS) -> Iterator[Stage]:
    """A stage with everything ready, its agents with settings of their own: in this process, or on the servers that
    ``settings`` name, in a namespace of the show's own. Whatever was started is ended.

    Raises :class:`~handoffs.contracts.CoordinationError` where a program does not start, or another show is on.
    """
    if settings.embedded:
        update = {"agents": ("handoffs.tasks.media",), "media": media}
        with Coordinator(settings.model_copy(update=update)) as coordinator:
            yield EmbeddedStage(coordinator)
        return
    own = on_servers(settings, "media").model_copy(update={"media": media})
    with open_server_stage(own, fleets) as stage:
        yield stage


@contextmanager
def open_server_stage(settings: Settings, fleets: Iterable[Fleet] = FLEETS) -> Iterator[ServerStage]:
    """A stage of ``fleets`` on the servers, in the namespace, that ``settings`` name. What an earlier show left in its queues is dropped:
    its files are gone."""
    with ExitStack() as stack:
        client = stack.enter_context(Coordinator(settings))
        programs = stack.enter_context(Programs(client, AGENTS))
        programs.clear(AGENTS)
        yield ServerStage(client, programs, fleets)
