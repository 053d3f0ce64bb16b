"""Stage: where a show of rides plays: in this process, on real servers with workers of its own, or with those that are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Protocol

from handoffs.config.reference import RidesSettings
from handoffs.coordinator import Coordinator, Flow
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker
from handoffs.tasks.attendance import consumers, require
from handoffs.tasks.programs import Programs, on_servers
from handoffs.tasks.rides import systems
from handoffs.tasks.rides.script import Direction, outage, watched


class Stage(Protocol):
    """Workers of all agents, those of ETA apart, so that they can be taken away. ``where`` they are: ``embedded``, on
    ``servers``, or ``running`` there before and after the show."""

    coordinator: Coordinator
    where: str

    def direct(self, show: Direction) -> None:
        """Let happen to the ETA fleet what is to happen, or tell what happens; until the show is over."""


class EmbeddedStage:
    """A worker of matching, one of ETA, and one of all others, as threads of this process."""

    where = "embedded"

    def __init__(self, coordinator: Coordinator, flow: Flow) -> None:
        self.coordinator = coordinator
        agents = agents_of(flow)
        systems.start_over()
        systems.fleet()  # laid out before the first ride, which has no time for it
        eta, match = agents.pop("rides.eta"), agents.pop("rides.matching")
        self._eta = coordinator.work([eta])
        coordinator.work([match])
        coordinator.work(agents.values())

    def direct(self, show: Direction) -> None:
        outage(self, show)

    def stop_eta(self) -> None:
        assert isinstance(self._eta, EmbeddedWorker)
        self._eta.stop()

    def start_eta(self, delay: timedelta | None = None) -> None:
        assert isinstance(self._eta, EmbeddedWorker)
        systems.brake().set(delay or timedelta())
        self._eta.start()


class ServerStage:
    """The same as processes, and a coordinator process, on the servers that the settings name.

    Matching is one process: the fleet is in its memory.
    """

    def __init__(self, coordinator: Coordinator, programs: Programs, flow: Flow) -> None:
        self.coordinator = coordinator
        self.where = "servers"
        self._programs = programs
        others = [name for name in agents_of(flow) if name not in {"rides.eta", "rides.matching"}]
        coordinator.engine.publisher.declare(agents_of(flow))
        programs.serve()
        programs.worker("matching", ["rides.matching"])
        programs.worker("others", others)
        programs.worker("eta", ["rides.eta"])
        programs.wait_ready()

    def direct(self, show: Direction) -> None:
        outage(self, show)

    def stop_eta(self) -> None:
        self._programs.kill("eta")

    def start_eta(self, delay: timedelta | None = None) -> None:
        settings = self.coordinator.settings.model_copy(update={"rides": RidesSettings(eta_delay=delay)})
        self._programs.worker("eta", ["rides.eta"], settings=settings)
        self._programs.wait_ready()


class RunningStage:
    """The fleets that are at work on the servers already, on whichever machines; they go on when the show has ended. Who
    runs them may take ETA away meanwhile.

    Raises what :func:`handoffs.tasks.attendance.require` raises.
    """

    where = "running"

    def __init__(self, coordinator: Coordinator, flow: Flow) -> None:
        require(coordinator, agents_of(flow), "rides")
        self.coordinator = coordinator
        self._eta = coordinator.engine.topology.queue_name("rides.eta")

    def direct(self, show: Direction) -> None:
        watched(self._eta_there, show)

    def _eta_there(self) -> bool:
        return bool(consumers(self.coordinator.engine.app, [self._eta])[self._eta])


@contextmanager
def open_stage(coordinator: Coordinator, flow: Flow, *, running: bool = False) -> Iterator[Stage]:
    """A stage with everything ready: in ``coordinator``, or where it is a client of servers, on those, in a namespace of
    the show's own. Whatever was started is ended. With ``running`` the stage is who works on the servers already.

    Raises :class:`~handoffs.contracts.CoordinationError` where a program does not start, another show is on, or no worker runs.
    """
    if running:
        yield RunningStage(coordinator, flow)
        return
    if coordinator.settings.embedded:
        try:
            yield EmbeddedStage(coordinator, flow)
        finally:
            systems.start_over()
        return
    with ExitStack() as stack:
        settings = on_servers(coordinator.settings, "rides")
        client = stack.enter_context(Coordinator(settings))
        programs = stack.enter_context(Programs(client, ("rides.eta", "rides.matching")))
        yield ServerStage(client, programs, flow)
