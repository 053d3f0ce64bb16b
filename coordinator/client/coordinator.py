"""Coordinator: starts runs, and answers for them."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from handoffs.config.settings import Settings, load
from handoffs.contracts.contract import Contract
from handoffs.contracts.text import is_plain, printable
from handoffs.coordinator.client.hosting import Hosting, engine_of, with_files
from handoffs.coordinator.client.interventions import Interventions
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.client.run import Run, RunAccess
from handoffs.coordinator.client.status import Status, status_of
from handoffs.coordinator.errors import UnknownRun
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.histories import Histories
from handoffs.coordinator.observe.trace import Trace
from handoffs.coordinator.observe.tracer import Tracer
from handoffs.coordinator.runs.control import Controls
from handoffs.coordinator.runs.emit import Emits
from handoffs.coordinator.runs.published import PublishedRuns
from handoffs.coordinator.runs.start import Starts

if TYPE_CHECKING:
    from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker


class Coordinator:
    """Starts runs and answers for them.

    With no settings everything runs inside it: broker, Redis, worker and coordinator process, until :meth:`close`.
    With ``COORDINATOR_BROKER_URL`` and ``COORDINATOR_REDIS_URL`` it is a client of those servers. With
    ``COORDINATOR_EAGER`` every step runs at once in :meth:`start`. It is a context manager, and safe for threads.

    Raises :class:`~handoffs.config.settings.SettingsError` for malformed settings and
    :class:`~handoffs.coordinator.errors.LoadError` where :attr:`flows` are asked for and a module cannot be loaded. Every
    method raises :class:`~handoffs.coordinator.errors.ServerError` where Redis, the broker or the journal cannot be used.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or load()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if settings.embedded:
            self._folder = tempfile.TemporaryDirectory(prefix="coordinator-", ignore_cleanup_errors=True)
            settings = with_files(settings, Path(self._folder.name))
        self.settings = settings
        self.journal = Journal(settings.journal, upgrades=settings.embedded or settings.eager)
        self.engine = engine_of(settings)
        services = self.engine.services
        self.desk = Desk(services, self.journal)
        self._loaded = Loaded(settings.agents, self.engine.agents)
        self._hosting = Hosting(self.engine, self.journal, self.desk, self._loaded)
        self._published = PublishedRuns(self.engine.runs)
        self._starts = Starts(services, self._published)
        self._emits = Emits(services, self._published)
        self._histories = Histories(services, self.journal)
        self._interventions = Interventions(services, self.journal, self.desk, self._loaded)
        controls = Controls(services, self.journal, self._hosting.again)
        self._access = RunAccess(services, controls, self._interventions, self.desk, self._histories)
        self._hosting.serve()
        atexit.register(self.close)

    # Runs

    def start(
        self,
        flow: Flow | str,
        payload: Contract | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
    ) -> Run:
        """Start a run of ``flow`` (or of the loaded flow of that name) and return when it is accepted.

        The same ``idempotency_key`` gives the same run. By default it is the payload's key; a payload without key fields
        starts a new run each time. After ``deadline`` the steps are not begun any more, but parked.

        With ``at``, a moment with a time zone or how long from now, at most 366 days, the run is accepted now and begins
        then: it is ``scheduled`` until the coordinator process begins it. What is past means at once; in eager mode
        everything does. A run that its key already has keeps its time; ``deadline`` counts from when it is to begin.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where the payload does not fit the flow or ``at`` is no such time,
        :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another input,
        :class:`~handoffs.coordinator.errors.UnknownFlow`, and :class:`~handoffs.coordinator.errors.ServerError` where nothing was accepted.
        """
        if isinstance(flow, str):
            flow = self.flows.flow(flow)
        self._hosting.host(flow)
        accepted = self._starts.start(
            flow, payload, idempotency_key=idempotency_key, deadline=deadline, at=at
        )
        return Run(accepted.run_id, self._access, flow, created=accepted.created)

    def emit(
        self, event: Contract, *, idempotency_key: str | None = None, deadline: timedelta | None = None
    ) -> Run:
        """Emit an event to all who subscribe to it, and return when the broker has it. Gives the story that it begins.

        The same ``idempotency_key`` gives the same story, and the event goes out once; by default it is the event's key.
        An event without a subscriber is kept: ``coordinator events unheard``. After ``deadline`` what it leads to is not
        begun any more, but parked.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where the event cannot be written for those who hear it,
        :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another event, and
        :class:`~handoffs.coordinator.errors.ServerError` where it was not accepted.
        """
        self._hosting.host_subscribers()
        accepted = self._emits.emit(event, idempotency_key=idempotency_key, deadline=deadline)
        return Run(accepted.run_id, self._access, None, created=accepted.created)

    def run(self, run_id: str) -> Run:
        """The run of that id. Raises :class:`~handoffs.coordinator.errors.UnknownRun` where neither Redis nor the journal has it."""
        record = self.engine.runs.state(run_id) if is_plain(run_id) else None
        if record is not None:
            return Run(run_id, self._access, self._loaded.flow(record.flow))
        history = self.history(run_id)
        if not history:
            raise UnknownRun(
                f"there is no run {printable(run_id, 80)!r}", remedy="list them: coordinator runs list"
            )
        return Run(run_id, self._access, self._loaded.flow(str(history[0].get("flow", ""))))

    def statuses(self, runs: Sequence[Run]) -> list[Status]:
        """The statuses of many runs, in one round trip."""
        return [status_of(record) for record in self.engine.runs.states([run.id for run in runs])]

    def history(self, run_id: str) -> list[dict[str, Any]]:
        """What happened to a run, oldest first: what is in the journal, and what is still on its way there."""
        return self._histories.of(run_id)

    def trace(self, correlation_id: str) -> Trace:
        """The whole story of a correlation id (of what :meth:`emit` gave, or of a run) as a tree: who emitted what, who heard
        it, what is still open or parked.

        Raises :class:`~handoffs.coordinator.errors.UnknownRun` where neither Redis nor the journal has it.
        """
        engine, agents = self.engine, self._loaded.agents().values()
        tracer = Tracer(engine.runs, engine.outstanding, self.journal, self._histories.of, agents)
        return tracer.trace(correlation_id)

    # Dead letters

    def dead_letters(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> list[Letter]:
        """The dead letters that wait, oldest first: all of them, or the first ``limit``; ``flow``, ``run``, ``agent`` or ``kind``
        choose among them."""
        return self.desk.letters(limit=limit, **chosen)

    def skip(
        self, letter: Letter, output: Contract | Mapping[str, Any], *, by: str = "", why: str = ""
    ) -> None:
        """Give the parked step of ``letter`` its outcome, and let the run go on as if its agent had made it.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where ``output`` is not what the agent emits (it must be loaded here),
        :class:`~handoffs.coordinator.errors.LoadError` where it is not loaded, and what :meth:`handoffs.coordinator.letters.skip.Skips.skip` raises.
        """
        self._interventions.skip(letter, output, by=by, why=why)

    def edit(
        self, letter: Letter, payload: Contract | Mapping[str, Any], *, by: str = "", why: str = ""
    ) -> None:
        """Give the parked step of ``letter`` another input, and replay it with that.

        Whatever message of the step comes from now on, the old input does not run any more. The letter keeps the edited
        message, and :attr:`Letter.edits` who edited it, why, and what was there before. Sensitive values that are left masked
        stay as they are.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where ``payload`` is not what the agent accepts,
        :class:`~handoffs.coordinator.errors.LoadError` where it is not loaded here, :class:`~handoffs.coordinator.errors.EditRefused` where the
        step is not parked any more, runs, or cannot be read, :class:`~handoffs.coordinator.errors.Conflict` where the idempotency key of
        ``payload`` stands for something else, and what :meth:`Letter.replay` raises: then it is edited, and waits.
        """
        self._interventions.edit(letter, payload, by=by, why=why)

    # What is loaded

    @property
    def flows(self) -> Definitions:
        """The agents and flows of the modules that the settings name.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where one cannot be loaded.
        """
        return self._loaded.definitions

    # Life

    def work(self, agents: Iterable[Agent]) -> EmbeddedWorker | None:
        """Embedded: have agents work here, from now on; gives the worker of those that are new, which can be stopped and
        started again. Eager: make them known. Otherwise workers do that.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where two agents have the same name.
        """
        return self._hosting.work(agents)

    def close(self) -> None:
        """Finish what is running here and give connections back. Embedded servers end. Closing twice is harmless."""
        atexit.unregister(self.close)
        self._hosting.stop_working()
        self._published.close()
        self._hosting.stop_serving()
        self.engine.close()
        self.journal.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
