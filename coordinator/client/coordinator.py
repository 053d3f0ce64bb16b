"""The Python API: start runs, look at them, and bring back what failed."""

from __future__ import annotations

import atexit
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, Unpack, get_args

from handoffs.config.app import create_app
from handoffs.config.settings import PaymentsSettings, Settings, load
from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import CoordinationError, InvalidData
from handoffs.contracts.text import is_plain, printable
from handoffs.contracts.versions import Versions
from handoffs.coordinator.dispatch.routing import Batches
from handoffs.coordinator.errors import (
    EditRefused,
    LoadError,
    RunCancelled,
    RunParked,
    RunTimeout,
    SignalRefused,
    UnknownRun,
)
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.loading import Catalogue, load_modules
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.desk import Desk, Letter, somebody
from handoffs.coordinator.letters.edit import Editing
from handoffs.coordinator.letters.skip import skip
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.observe.current import Current, current
from handoffs.coordinator.observe.trace import Trace
from handoffs.coordinator.observe.tracer import Tracer
from handoffs.coordinator.runs.emit import Emits
from handoffs.coordinator.runs.published import PublishedRuns
from handoffs.coordinator.runs.start import Starts
from handoffs.coordinator.runtime.eager import EagerPublisher
from handoffs.coordinator.runtime.embedded.servers import EmbeddedEngine
from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.run_state import RunState, waits_for_somebody

_POLLS_TO_DOUBLE = 10
_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1
_FOREVER = timedelta(days=365)

Status = Literal["scheduled", "running", "paused", "parked", "completed", "compensating", "cancelled"]
"""``scheduled``: accepted, and its time is to come. ``parked``: at least one step waits in the dead-letter queue; other branches may still run."""
_GOING = frozenset({"scheduled", "running", "paused", "compensating"})


class Coordinator:
    """Starts runs and answers for them.

    With no settings everything runs inside it: broker, Redis, worker and coordinator process, until :meth:`close`.
    With ``COORDINATOR_BROKER_URL`` and ``COORDINATOR_REDIS_URL`` it is a client of those servers. With
    ``COORDINATOR_EAGER`` every step runs at once in :meth:`start`. It is a context manager, and safe for threads.

    Raises :class:`~handoffs.config.settings.SettingsError` for malformed settings and
    :class:`~handoffs.coordinator.errors.LoadError` where :attr:`flows` are asked for and a module cannot be loaded.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or load()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if settings.embedded:
            self._folder = tempfile.TemporaryDirectory(prefix="coordinator-", ignore_cleanup_errors=True)
            settings = _with_files(settings, Path(self._folder.name))
        self.settings = settings
        self.journal = Journal(settings.journal, upgrades=settings.embedded or settings.eager)
        self._workers: list[EmbeddedWorker] = []
        self._hosting = threading.RLock()
        self._service: Service | None = None
        self._catalogue: Catalogue | None = None
        self.engine = self._engine()
        self.desk = Desk(self.engine.services, self.journal)
        self._published = PublishedRuns(self.engine.runs)
        self._starts = Starts(self.engine.services, self._published)
        self._emits = Emits(self.engine.services, self._published)
        self._serve()
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
        self._host(flow)
        accepted = self._starts.start(
            flow, payload, idempotency_key=idempotency_key, deadline=deadline, at=at
        )
        return Run(accepted.run_id, self, flow, created=accepted.created)

    def emit(
        self, event: Contract, *, idempotency_key: str | None = None, deadline: timedelta | None = None
    ) -> Run:
        """Emit an event to all who subscribe to it, and return when the broker has it. Gives the story that it begins.

        The same ``idempotency_key`` gives the same story, and the event goes out once; by default it is the event's key.
        An event that nobody hears is kept: ``coordinator events unheard``. After ``deadline`` what it leads to is not
        begun any more, but parked.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where the event cannot be written for those who hear it,
        :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another event, and
        :class:`~handoffs.coordinator.errors.ServerError` where it was not accepted.
        """
        self._host_subscribers()
        accepted = self._emits.emit(event, idempotency_key=idempotency_key, deadline=deadline)
        return Run(accepted.run_id, self, None, created=accepted.created)

    def run(self, number: str) -> Run:
        """The run of that id. Raises :class:`~handoffs.coordinator.errors.UnknownRun` where neither Redis nor the journal has it."""
        record = self.engine.runs.state(number) if is_plain(number) else None
        name = record.flow if record else ""
        if record is None:
            story = self.history(number)
            if not story:
                raise UnknownRun(
                    f"there is no run {printable(number, 80)!r}", remedy="list them: coordinator runs list"
                )
            name = str(story[0].get("flow", ""))
        return Run(number, self, self._loaded_flow(name))

    def statuses(self, runs: Sequence[Run]) -> list[Status]:
        """The statuses of many runs, in one round trip."""
        return [_status(record) for record in self.engine.runs.states([run.id for run in runs])]

    def history(self, run: str) -> list[dict[str, Any]]:
        """What happened to a run, oldest first: what is in the journal, and what is still on its way there."""
        if not is_plain(run):
            return []  # no run is called that, and no server could be asked for it
        shard = self.engine.store.keys.shard(run)
        prefix = f"{self.settings.prefix}{shard}/"
        pending = {
            prefix + number: json.loads(text)
            for number, text in self.engine.entries.oldest(shard, count=100_000)
        }
        found = {source: entry for source, entry in pending.items() if entry.get("run") == run}
        return list((self.journal.history.of(run) | found).values())

    def trace(self, number: str) -> Trace:
        """The whole story of a correlation id (of what :meth:`emit` gave, or of a run) as a tree: who emitted what, who heard
        it, what is still open or parked.

        Raises :class:`~handoffs.coordinator.errors.UnknownRun` where neither Redis nor the journal has it.
        """
        return self._tracer.trace(number)

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
        :class:`~handoffs.coordinator.errors.LoadError` where it is not loaded, and what :func:`handoffs.coordinator.letters.skip.skip` raises.
        """
        agent = self._agent(letter.agent)
        made = _typed_as(agent.emits, output, agent.name)
        skip(self.engine.services, self.journal, letter.row, made, by=by or somebody(), why=why)

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
        agent = self._agent(letter.agent)
        self._editing(by, why).parked(letter.row, agent, payload)

    def _editing(self, by: str, why: str) -> Editing:
        return Editing(self.engine.services, self.journal, self.desk, by=by or somebody(), why=why)

    def _agent(self, name: str) -> Agent:
        agent = self.engine.agents.get(name) or self.flows.agents.get(name)
        if agent is None:
            raise LoadError(
                f"the agent {printable(name, 120)} is not loaded here",
                "what it accepts and emits is not known, so nothing was changed",
                "name the module that declares it in COORDINATOR_AGENTS",
            )
        return agent

    @property
    def _tracer(self) -> Tracer:
        loaded = {**self._loaded_agents(), **self.engine.agents}
        return Tracer(self.engine.runs, self.engine.outstanding, self.journal, self.history, loaded.values())

    # What is loaded

    @property
    def flows(self) -> Catalogue:
        """The agents and flows of the modules that the settings name."""
        if self._catalogue is None:
            self._catalogue = load_modules(self.settings.agents)
        return self._catalogue

    # Life

    def close(self) -> None:
        """Finish what is running here and give connections back. Embedded servers end. Closing twice is harmless."""
        atexit.unregister(self.close)
        for worker in self._workers:
            worker.stop()
        self._workers.clear()
        self._published.close()
        if self._service is not None:
            self._service.stop()
            self._service = None
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

    def work(self, agents: Iterable[Agent]) -> EmbeddedWorker | None:
        """Embedded: have agents work here, from now on; gives the worker of those that are new, which can be stopped and
        started again. Eager: make them known. Otherwise workers do that."""
        with self._hosting:  # who comes second finds them at work, or what it sends would reach nobody
            return self._work(agents)

    def _work(self, agents: Iterable[Agent]) -> EmbeddedWorker | None:
        new = self.engine.register(agents)
        if self.settings.embedded or self.settings.eager:
            for agent in new:  # who is here reads what its code reads, as long as this process lives
                self.engine.announcements.announce(self.engine.manifest(agent).to_json(), "here", _FOREVER)
        if self.settings.eager:
            self._subscribe(new)
        if not new or not self.settings.embedded or self.settings.eager:
            return None
        self.engine.publisher.declare(agent.name for agent in new if not agent.patterns)
        self._subscribe(new)
        for agent in new:
            self.engine.app.amqp.queues.add(self.engine.topology.queue(agent.name, agent.intake))
        started = [self._worker([agent], 1) for agent in new if agent.intake.ordered]
        others = [agent for agent in new if not agent.intake.ordered]
        return self._worker(others, self.settings.embedded_concurrency) if others else started[-1]

    def _worker(self, agents: Iterable[Agent], concurrency: int) -> EmbeddedWorker:
        queues = [self.engine.topology.queue_name(agent.name) for agent in agents]
        worker = EmbeddedWorker(self.engine.app, queues, concurrency)
        worker.start()
        self._workers.append(worker)
        return worker

    def _engine(self) -> Engine:
        if self.settings.eager:
            return _eager_engine(self.settings)
        return EmbeddedEngine(self.settings) if self.settings.embedded else Engine(self.settings)

    def _serve(self) -> None:
        if self.settings.eager:
            assert isinstance(self.engine.publisher, EagerPublisher)
            self.engine.publisher.park = self.desk.receive
            self.engine.publisher.fire = self.engine.timers().fire
            self.engine.publisher.unheard = self.desk.unheard
        elif self.settings.embedded:
            self._service = Service(self.engine, self.journal)
            self._service.start()

    def _host(self, flow: Flow) -> None:
        if self.settings.embedded or self.settings.eager:
            self.work(agents_of(flow).values())

    def _host_subscribers(self) -> None:
        if self.settings.agents and (self.settings.embedded or self.settings.eager):
            self.work(agent for agent in self.flows.agents.values() if agent.subscriptions)

    def _subscribe(self, agents: Iterable[Agent]) -> None:
        for agent in agents:
            if agent.patterns:
                self.engine.publisher.subscribe(agent.name, agent.intake)

    def _loaded_agents(self) -> Mapping[str, Agent]:
        try:
            return self.flows.agents
        except CoordinationError:
            return {}

    def _loaded_flow(self, name: str) -> Flow | None:
        try:
            return self.flows.flows.get(name)
        except CoordinationError:
            return None


class Run:
    """A run that was accepted. ``created`` is False where ``start()`` found the run that its key already had."""

    def __init__(
        self, number: str, coordinator: Coordinator, flow: Flow | None, *, created: bool = False
    ) -> None:
        self.id = number
        self.created = created
        self.flow = flow
        self._coordinator = coordinator

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.flow.name if self.flow else 'an unknown flow'}>"

    def status(self) -> Status:
        """``scheduled``, ``running``, ``paused``, ``parked``, ``completed``, ``compensating`` or ``cancelled``."""
        return _status(self._coordinator.engine.runs.state(self.id))

    def due(self) -> datetime | None:
        """When it begins, or was to begin, in UTC; None where it began at once, or has ended and is forgotten."""
        record = self._coordinator.engine.runs.state(self.id)
        return datetime.fromtimestamp(record.due, UTC) if record and record.due is not None else None

    def current(self) -> list[Current]:
        """What the run is doing now, by the paths of its steps: what runs, is queued, delayed, tried again, parked or held, and
        the signals that it waits for; nothing where it has ended. See :class:`~handoffs.coordinator.observe.current.Current`.

        It is put together from Redis and the history, which are not read in one moment: a step may be just done.
        """
        engine = self._coordinator.engine
        sent = engine.outstanding.sent(self.id)  # first: what is settled meanwhile is left out
        record = engine.runs.get(self.id)
        return current(record, sent, self.history()) if record else []

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended or is parked, at most ``timeout`` seconds, and give its status."""
        return _status(self._await(timeout, lambda record: _status(record) not in _GOING))

    def result(self, timeout: float | None = None) -> Any:
        """The output of the last step, waiting at most ``timeout`` seconds (None: as long as it takes).

        A contract; a dict of contracts by branch where the flow ends in branches; plain data where the flow is not
        loaded here. Raises :class:`~handoffs.coordinator.errors.RunParked` at once where a step is parked, with the error;
        :class:`~handoffs.coordinator.errors.RunCancelled`; :class:`~handoffs.coordinator.errors.RunTimeout`.
        """
        record = self._await(timeout, lambda record: _status(record) not in _GOING)
        status = _status(record)
        if status == "parked" and record is not None:
            raise _parked(record)
        if status == "cancelled":
            raise RunCancelled(f"run {self.id} was cancelled", "it has no result")
        engine = self._coordinator.engine
        result = engine.runs.result(self.id) if status == "completed" else None
        if result is None:
            raise RunTimeout(
                f"run {self.id} has not ended within {timeout} s", "it goes on", "ask again later"
            )
        return _typed(self.flow, result.schema, json.loads(result.data), engine.versions)

    def history(self) -> list[dict[str, Any]]:
        """What happened to the run, oldest first. See :class:`handoffs.coordinator.history.Entry` for the fields."""
        return self._coordinator.history(self.id)

    def letters(self) -> list[Letter]:
        """The dead letters of this run that wait."""
        return self._coordinator.dead_letters(run=self.id)

    def cancel(self, by: str = "", *, compensate: bool = False) -> Status:
        """Cancel the run: steps that run now finish, nothing further begins. Gives the status; an ended run keeps its own.

        With ``compensate`` what its steps did is undone, by the agents that the flow names for that
        (:func:`~handoffs.coordinator.flow.step.compensate`), the last one first; the run is ``compensating`` until that is done. Asked
        again while it is, the same is sent again, which changes nothing.
        """
        return self._end(EntryKind.CANCELLED, by, compensate)

    def give_up(self, by: str = "") -> Status:
        """Abandon the run, for example where a step is parked for good: cancel it, and undo what was done."""
        return self._end(EntryKind.GIVEN_UP, by, compensate=True)

    def _end(self, kind: EntryKind, by: str, compensate: bool) -> Status:
        engine = self._coordinator.engine
        record = engine.runs.state(self.id)
        flow = record.flow if record else ""
        entry = Entry(kind, self.id, flow, now(), by=by)
        status, undo = engine.runs.cancel(self.id, entry.fields(), compensate=compensate)
        if status in {"cancelled", "compensating"}:
            self._coordinator.journal.letters.cancel_run(self.id)
        if undo:
            self._send(engine.services.router.undone(StepRef(self.id, flow, ""), undo))
        self._look_again()
        return self.status()

    def pause(self, by: str = "") -> Status:
        """Hold the run: steps that run now finish, nothing further begins until :meth:`resume`. Gives the status; an ended
        run keeps its own."""
        return self._held(EntryKind.PAUSED, by)

    def resume(self, by: str = "") -> Status:
        """Let a held run go on; it does within seconds. Gives the status."""
        return self._held(EntryKind.RESUMED, by)

    def edit(self, step: str, payload: Contract | Mapping[str, Any], *, by: str = "", why: str = "") -> None:
        """Give a step another input: one that is parked is replayed with it, one that is held with the paused run begins with
        it when the run is resumed.

        Raises what :meth:`Coordinator.edit` raises, :class:`~handoffs.coordinator.errors.EditRefused` also where there is no such step, and
        :class:`~handoffs.coordinator.errors.UnknownRun`.
        """
        coordinator, shown = self._coordinator, printable(step, 120)
        record = coordinator.engine.runs.get(self.id)
        if record is None:
            raise UnknownRun(f"run {self.id} is not alive", "nothing was edited")
        if step in record.parked:
            letter = next((one for one in self.letters() if one.row.step == step), None)
            if letter is None:
                raise EditRefused(
                    f"the dead letter of step {shown} is not in the journal yet",
                    "nothing was edited",
                    "ask again soon",
                )
            coordinator.edit(letter, payload, by=by, why=why)
            return
        if step not in record.held or not record.paused:
            raise EditRefused(
                f"step {shown} of run {self.id} is neither parked nor held with its run",
                "nothing was edited",
                "pause the run, and edit a step that has not begun: coordinator runs show RUN",
            )
        agent = coordinator._agent(record.held[step]["agent"])
        coordinator._editing(by, why).held(record, step, agent, payload)

    def signal(self, name: str, payload: Contract, by: str = "") -> None:
        """Send the run a signal that it waits for, or will wait for. Sending the same again changes nothing.

        Returns when the run is on its way again, or the signal is kept for it. Raises
        :class:`~handoffs.coordinator.errors.SignalRefused`, and records it, where the flow waits for no such signal or for another
        contract, or another payload came before; :class:`~handoffs.coordinator.errors.UnknownRun` where the run has ended.
        """
        engine, record = self._coordinator.engine, self._coordinator.engine.runs.state(self.id)
        flow = record.flow if record else ""
        ref = payload.ref()
        self._refuse_signal(name, payload, flow, by)
        entry = Entry(
            EntryKind.SIGNALLED,
            self.id,
            flow,
            now(),
            step=name,
            wrote=str(ref),
            input=payload.redacted(),
            by=by,
        )
        text = Record(ref.uri, strictjson.dumps(payload.to_data()))
        verdict, follows = engine.runs.signal(self.id, name, text, entry.fields())
        if verdict == "conflict":
            raise self._refused_signal(name, payload, flow, by, f"another {name!r} came before")
        if verdict not in {"accepted", "again"}:
            raise UnknownRun(f"run {self.id} is not running", f"the signal {name!r} was not taken")
        if follows:
            place = StepRef(self.id, flow, follows["path"])
            self._send(engine.services.router.signalled(place, follows, text))

    def _send(self, batches: Batches) -> None:
        self._coordinator.engine.services.sender.send(batches, Sending(self.id), declare=True)

    def _refuse_signal(self, name: str, payload: Contract, flow: str, by: str) -> None:
        """Raise where the flow, as far as it is known here, waits for no such signal."""
        known = self.flow.signals if self.flow else None
        if known is not None and name not in known:
            raise self._refused_signal(
                name, payload, flow, by, f"flow {flow} waits for no signal {printable(name, 80)!r}"
            )
        if known is not None and known[name].ref().name != payload.ref().name:
            raise self._refused_signal(
                name, payload, flow, by, f"{name!r} is {known[name].ref()}, and this is {payload.ref()}"
            )

    def _refused_signal(self, name: str, payload: Contract, flow: str, by: str, why: str) -> SignalRefused:
        shown = printable(name, 80)
        entry = Entry(
            EntryKind.REFUSED, self.id, flow, now(), step=shown, wrote=str(payload.ref()), input=payload.redacted(), by=by,
            error=why,
        )  # fmt: skip
        if flow:
            self._coordinator.engine.store.note(self.id, entry.fields())
        return SignalRefused(why, f"run {self.id} goes on waiting", "send the signal that the flow declares")

    def _held(self, kind: EntryKind, by: str) -> Status:
        runs = self._coordinator.engine.runs
        record = runs.state(self.id)
        entry = Entry(kind, self.id, record.flow if record else "", now(), by=by)
        runs.pause(self.id, entry.fields(), resume=kind is EntryKind.RESUMED)
        if kind is EntryKind.RESUMED:
            self._look_again()
        return self.status()

    def _look_again(self) -> None:
        """In eager mode no message comes back by itself from a run that was held."""
        if isinstance(self._coordinator.engine.publisher, EagerPublisher):
            self._coordinator.engine.publisher.again()

    def _await(self, timeout: float | None, ready: Callable[[RunState | None], bool]) -> RunState | None:
        began = time.monotonic()
        while True:
            record = self._coordinator.engine.runs.state(self.id)
            waited = time.monotonic() - began
            if ready(record) or (timeout is not None and waited >= timeout):
                return record
            pause = min(max(waited / _POLLS_TO_DOUBLE, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            time.sleep(pause if timeout is None else min(pause, timeout - waited))


def _eager_engine(settings: Settings) -> Engine:
    app = create_app(settings)
    return EmbeddedEngine(settings, app=app, publisher=EagerPublisher(app))


def _with_files(settings: Settings, folder: Path) -> Settings:
    def file(name: str) -> str:
        return f"sqlite:///{folder / name}.sqlite3"

    payments = PaymentsSettings(
        ledger_url=settings.payments.ledger_url or file("ledger"),
        gateway_url=settings.payments.gateway_url or file("gateway"),
    )
    media = settings.media.model_copy(update={"folder": settings.media.folder or str(folder / "media")})
    journal = settings.journal_url or file("journal")
    return settings.model_copy(update={"journal_url": journal, "payments": payments, "media": media})


def _typed_as(contract: type[Contract], given: Contract | Mapping[str, Any], agent: str) -> Contract:
    """What a person gave, as the contract that an agent emits. Raises :class:`InvalidData`."""
    says, consequence = f"{agent} emits", "nothing was skipped"
    if isinstance(given, Contract):
        if not isinstance(given, contract):
            raise InvalidData(f"{says} {contract.ref()}, not {given.ref()}", consequence)
        given = given.to_data()  # it may have been made without validation
    if not isinstance(given, Mapping):
        raise InvalidData(f"{says} {contract.ref()}, which is an object", consequence)
    return contract.from_data(dict(given))


def _status(record: RunState | None) -> Status:
    status: Any = record.status if record else "completed"
    if record is not None and record.paused and status == "running":
        return "paused"
    return status if status in get_args(Status) else "running"


def _parked(record: RunState) -> RunParked:
    step, reason = min(
        (step, reason) for step, reason in record.parked.items() if waits_for_somebody(step, reason)
    )
    error = RunParked(
        f"run {record.id} of {record.flow} is parked at step {step} ({reason['agent']}): "
        f"{reason['kind']}: {reason['error']}: {reason['text']}",
        "nothing after that step has run",
        "mend the cause and replay the dead letter",
    )
    error.step, error.failure = step, reason  # type: ignore[attr-defined]
    return error


def _typed(flow: Flow | None, schema: str, data: Any, versions: Versions) -> Any:
    """The result of a run as contracts, where the flow is known: one, or one for each branch."""
    known: dict[str, type[Contract]] = {}
    if flow is not None:
        known = {contract.ref().name: contract for contract in flow.signals.values()}
        known |= {place.agent.emits.ref().name: place.agent.emits for place in flow.places()}

    def contract(uri: str, value: Any) -> Any:
        ref = ContractRef.from_uri(uri)
        return versions.read(known[ref.name], ref, value) if ref.name in known else value

    if "=" not in schema:
        return contract(schema, data) if schema else data
    for word in schema.split():
        path, _, uri = word.partition("=")
        *outer, last = path.split(".")
        parent = data
        for name in outer:
            parent = parent[_place(parent, name)]
        parent[_place(parent, last)] = contract(uri, parent[_place(parent, last)])
    return data


def _place(parent: Any, name: str) -> Any:
    """A name in an object, or a number in a list."""
    return int(name) if isinstance(parent, list) else name
