"""Coordinator: starts runs, and answers for them."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from handoffs.config import clock
from handoffs.config.forks import after_fork
from handoffs.config.settings import Settings, load
from handoffs.contracts.contract import Contract
from handoffs.contracts.text import is_plain, quoted
from handoffs.coordinator.client import given
from handoffs.coordinator.client.examining import Examining
from handoffs.coordinator.client.exports import Exports
from handoffs.coordinator.client.fake import Behaviour, Fake
from handoffs.coordinator.client.history import History
from handoffs.coordinator.client.hosting import Hosting, engine_of, refuse_servers, with_files
from handoffs.coordinator.client.interventions import Interventions, LetterInput
from handoffs.coordinator.client.inventory import Inventory
from handoffs.coordinator.client.letter_desk import LetterDesk
from handoffs.coordinator.client.letters import Letters
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.client.lookups import Lookups
from handoffs.coordinator.client.parked import ParkedRuns
from handoffs.coordinator.client.run import Run, RunAccess
from handoffs.coordinator.client.starting import Starting
from handoffs.coordinator.client.threads import Threads
from handoffs.coordinator.client.virtual_time import VirtualTime
from handoffs.coordinator.client.waiting import Waits
from handoffs.coordinator.errors import UnknownRun
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.flow.usage import Usage
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.histories import Histories
from handoffs.coordinator.observe.standing import Standings, Status
from handoffs.coordinator.observe.trace import Trace
from handoffs.coordinator.observe.tracer import Tracer
from handoffs.coordinator.runs.control import Controls
from handoffs.coordinator.runs.published import PublishedRuns
from handoffs.coordinator.store.endings import Endings

if TYPE_CHECKING:
    from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker


class Coordinator(Starting, Lookups, LetterDesk, Examining, Inventory):
    """Starts runs and answers for them.

    With no settings everything runs inside it: broker, Redis, worker and coordinator process, until :meth:`close`.
    With ``COORDINATOR_BROKER_URL`` and ``COORDINATOR_REDIS_URL`` it is a client of those servers. With
    ``COORDINATOR_EAGER`` every step runs at once in :meth:`start`. It is a context manager, and safe for threads.

    Raises :class:`~handoffs.config.settings.SettingsError` for malformed settings and
    :class:`~handoffs.coordinator.errors.LoadError` where :attr:`flows` are asked for and a module cannot be loaded. Every
    method raises :class:`~handoffs.coordinator.errors.ServerError` where Redis, the broker or the journal cannot be used.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = given.settings(settings) or load()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if settings.embedded:
            self._folder = tempfile.TemporaryDirectory(prefix="coordinator-", ignore_cleanup_errors=True)
            settings = with_files(settings, Path(self._folder.name))
        self.settings = settings
        self.journal = Journal.of(settings, upgrades=settings.embedded or settings.eager)
        try:
            self.engine = engine_of(settings)
        except BaseException:
            self.journal.close()
            if self._folder is not None:
                self._folder.cleanup()
            raise
        services = self.engine.services
        self._loaded = Loaded(settings.agents, self.engine.agents)
        exports = Exports(services, self._loaded, settings.agents)
        self.desk = Desk(services, self.journal, exports.letter)
        self._hosting = Hosting(self.engine, self.journal, self.desk, self._loaded)
        self._published = PublishedRuns(self.engine.runs)
        self._histories = Histories(services, self.journal)
        self._parked = ParkedRuns(services, self.desk)
        self._interventions = Interventions(services, self.journal, self.desk, self._parked, self._loaded)
        controls = Controls(services, self.journal, self._hosting.again)
        self._threads = Threads(settings.server_timeout)
        self._endings = Endings(services.store.redis, services.store.keys)
        standings = Standings(services, self.journal)
        Lookups.__init__(self, services, self.journal, standings, self.desk, self._loaded)
        Examining.__init__(self, services, self.journal, self._loaded)
        LetterDesk.__init__(self, services, self.journal, self.desk, self._followed, self._loaded)
        Inventory.__init__(self, services, self.journal, self._loaded, self.engine.agents)
        self._access = RunAccess(
            services, controls, self._interventions, self.desk, self._parked, self._histories, standings,
            Waits(self._endings, standings, self._parked, self._threads), self._threads, exports,
        )  # fmt: skip
        Starting.__init__(self, services, self._published, self._hosting, self._loaded, self._access)
        self._time = VirtualTime(
            self.engine, self.desk, self._loaded, self._hosting.host, self._published.tell
        )
        self._hosting.serve()
        atexit.register(self.close)
        after_fork(self, Coordinator._forked)

    def _forked(self) -> None:
        """In a child that was forked: what is hosted, and the folder of its files, are the parent's."""
        self._hosting.forked()
        if self._folder is not None:
            self._folder._finalizer.detach()  # type: ignore[attr-defined]
            self._folder = None

    # Runs

    def usage(self, flow: Flow | str, days: int = 30) -> Usage:
        """What the runs of a flow, or of that name, have used up in the last ``days``, 1 to 366, by UTC and with today. It is remembered for
        a year.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for another number of days, and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        name, days = given.name_of_flow(flow), given.days(days)
        return Usage.of(self.engine.store.usage_of_flow(name, days))

    def run(self, run_id: str) -> Run:
        """The run of that id. Raises :class:`~handoffs.coordinator.errors.UnknownRun` where neither Redis nor the journal has it."""
        given.text(run_id, "the id of a run")
        record = self.engine.runs.state(run_id) if is_plain(run_id) else None
        if record is not None:
            return Run(run_id, self._access, self._loaded.flow(record.flow))
        history = self.history(run_id)
        if not history:
            raise UnknownRun(
                f"there is no run {quoted(run_id, 80)}", remedy="list them: coordinator runs list"
            )
        return Run(run_id, self._access, self._loaded.flow(str(history[0].get("flow", ""))))

    def statuses(self, runs: Sequence[Run]) -> list[Status]:
        """The statuses of many runs, in one round trip; one more asks the journal for those that Redis does not know."""
        return self._access.standings.statuses([run.id for run in given.runs(runs)])

    def history(self, run_id: str) -> History:
        """What happened to a run, oldest first: what is in the journal, and what is still on its way there."""
        return History.read(self._histories.of(given.text(run_id, "the id of a run")))

    def trace(self, correlation_id: str) -> Trace:
        """The whole story of a correlation id (of what :meth:`emit` gave, or of a run) as a tree: who emitted what, who heard
        it, what is still open or parked.

        Raises :class:`~handoffs.coordinator.errors.UnknownRun` where neither Redis nor the journal has it.
        """
        engine, agents = self.engine, self._loaded.agents().values()
        tracer = Tracer(engine.runs, engine.outstanding, self.journal, self._histories.of, agents)
        return tracer.trace(given.text(correlation_id, "a correlation id"))

    # Dead letters

    def dead_letters(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> Letters:
        """The dead letters that wait, oldest first: all of them, or the first ``limit``; ``flow``, ``run``, ``agent``, ``kind``,
        ``contract`` or ``group`` choose among them. Those of a ``run`` that are on their way to the journal are waited for, as :meth:`Run.letters` does."""
        given.letters(limit, chosen)
        if chosen.get("run") and is_plain(chosen["run"]):
            self._parked.await_letters(chosen["run"])
        if chosen.get("group"):
            self.journal.groups.fill()
        return Letters(self.desk.each(limit=limit, **chosen))

    def each_dead_letter(self, **chosen: Unpack[LetterFilter]) -> Iterator[Letter]:
        """The same, one after the other: however many there are, no more than a page of them is held, and none of their messages."""
        return self.desk.each(**chosen)

    def input_of(self, letter: Letter) -> LetterInput:
        """What an edit of ``letter`` begins with: the contract, and its input with sensitive values masked.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where its agent is not loaded here.
        """
        return self._interventions.input_of(given.letter(letter))

    def outcome_of(self, letter: Letter) -> type[Contract]:
        """The contract of the outcome that :meth:`skip` gives to the step of ``letter``. Raises what that raises before it looks at one."""
        return self._interventions.outcome_of(given.letter(letter))

    def skip(
        self, letter: Letter, output: Contract | Mapping[str, Any], *, by: str = "", why: str = ""
    ) -> None:
        """Give the parked step of ``letter`` its outcome, and let the run go on as if its agent had made it.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where ``output`` is not what the agent emits (it must be loaded here),
        :class:`~handoffs.coordinator.errors.LoadError` where it is not loaded, and what :meth:`handoffs.coordinator.letters.skip.Skips.skip` raises.
        """
        self._interventions.skip(given.letter(letter), output, by=by, why=why)

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
        self._interventions.edit(given.letter(letter), payload, by=by, why=why)

    # What is loaded

    @property
    def flows(self) -> Definitions:
        """The agents and flows of the modules that the settings name.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where one cannot be loaded.
        """
        return self._loaded.definitions

    def agent(self, name: str) -> Agent:
        """The agent of that name, of those that work here or are loaded. Raises :class:`~handoffs.coordinator.errors.LoadError` where it is
        neither."""
        return self._loaded.agent(given.text(name, "the name of an agent"))

    # For tests

    def fake(self, agent: Agent | str, *behaviours: Behaviour) -> Fake:
        """For tests, in eager and in embedded mode: have something stand in for an agent's function, from now on. ::

            with coordinator.fake(authorize, Transient("busy"), Authorized(payment="p1")) as fake:
                coordinator.start(flow, payment)
            assert [call.payment for call in fake.calls] == ["p1", "p1"]

        Each behaviour is an outcome (or its data), an error to raise, or a function of the input, and of the context where it takes
        two; the first is for the first attempt, and the last stays. An agent is given itself, or by its name where it is loaded.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for what cannot stand in for an agent,
        :class:`~handoffs.coordinator.errors.LoadError` where no agent of that name is loaded, and
        :class:`~handoffs.coordinator.errors.ServerError` where agents work in other processes.
        """
        found = given.one_agent(self._loaded.agent(agent) if isinstance(agent, str) else agent)
        refuse_servers(self.settings, f"{found.name} works in other processes", "nothing was replaced")
        self._hosting.work([found])
        return Fake(found, behaviours, self.engine.replace_function)

    def now(self) -> datetime:
        """What time it is for this coordinator, in UTC: the host's time, unless it was moved on."""
        return clock.now()

    def hold_time(self) -> None:
        """For tests, in eager and in embedded mode: let time stand still until it is moved on with :meth:`advance`.

        In eager mode what waits is then waited for, and not passed over. Time is the whole process', and is the host's again when
        its last eager or embedded coordinator is closed.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where there are servers: their clocks cannot be held.
        """
        self._time.hold()

    def advance(
        self,
        by: timedelta = timedelta(),
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        milliseconds: float = 0,
    ) -> datetime:
        """For tests, in eager and in embedded mode: move time on by the sum of these, at most 366 days, and give what time it is then.

        All that is due meanwhile happens at its time, in order: delays, retries, timeouts and budgets end, runs begin that were
        accepted for later, the times of the schedules of the loaded modules come, leases lapse, and so does what agents have
        remembered for a while; what is known of runs is kept.
        It returns when the workers here have done what that led to (an agent that takes more than 5 s is not waited for). In eager
        mode delays and budgets wait for their time only where :meth:`hold_time` was called before.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where that is not above 0, or too much, and
        :class:`~handoffs.coordinator.errors.ServerError` where there are servers.
        """
        return self._time.advance(
            given.time_ahead(
                by, days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds
            )
        )

    # Life

    def work(self, agents: Iterable[Agent]) -> EmbeddedWorker | None:
        """Embedded: have agents work here, from now on; gives the worker of those that are new, which can be stopped and
        started again. Eager: make them known. Otherwise workers do that.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where two agents have the same name.
        """
        return self._hosting.work(given.agents(agents))

    def close(self) -> None:
        """Finish what is running here and give connections back. Embedded servers end. Closing twice is harmless."""
        atexit.unregister(self.close)
        self._time.close()
        self.engine.stopping.begin()
        self._threads.close()
        self._endings.close()
        self._hosting.stop_working()
        self._published.close()
        self._readings.close()
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
