"""Whatever workers do - freeze, crash between two scripts, wake up late - a key has one outcome, and no run is forgotten."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis import RedisError

from handoffs import Contract, Key
from handoffs.contracts.versions import Versions
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.errors import Transient
from handoffs.coordinator.flow.agent import agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.handoff.handoff import Handoff
from handoffs.coordinator.handoff.lease import LeaseKeeper
from handoffs.coordinator.handoff.outcome import Done, Outcome, Postpone
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.store import Store
from tests.deliveries import RecordingPublisher, deliver, start
from tests.examples import examples
from tests.store_suite import make_settings

KEY = "the-one-key"
SCRIPTS = (
    "claim_run",
    "claim_outcome",
    "fence",
    "settle_outcome",
    "settle_run",
    "let_go",
    "release",
    "note",
    "park",
)


class Work(Contract, name="test.work", version=1):
    work: str = Key()


class Made(Contract, name="test.made", version=1):
    work: str = Key()
    serial: int


class Serials:
    """What tells one attempt's outcome from another's; begins anew in each example."""

    count = itertools.count()


@agent("test.make", retry=Retry(attempts=100, jitter=0))
def make(work: Work) -> Made:
    """No two attempts make the same."""
    serial = next(Serials.count)
    if serial % 5 == 4:
        raise Transient("not now")
    return Made(work=work.work, serial=serial)


@agent("test.take")
def take(made: Made) -> Made:
    """What comes after."""
    return made


ENDS = Flow("test.ends", make)
GOES_ON = Flow("test.goes-on", make >> take)
RUNS = {"a": ENDS, "b": GOES_ON, "c": ENDS}


class Crash(BaseException):
    """The worker is killed."""


class Gate:
    """Lets a thread go on by one script at a time."""

    def __init__(self) -> None:
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._crash = False

    def wait(self) -> None:
        """The worker's side: stop here until it may go on."""
        self.stopped()
        assert self._go.acquire(timeout=30)
        if self._crash:
            raise Crash

    def stopped(self) -> None:
        self._stopped.release()

    def let_on(self, *, crash: bool = False) -> None:
        """The scheduler's side: let it go on until it stops again."""
        self._crash = crash
        self._go.release()
        self.await_stop()

    def await_stop(self) -> None:
        assert self._stopped.acquire(timeout=30)


class SteppedRedis:
    """A Redis client that stops at the gate before each script of a pipeline."""

    def __init__(self, redis: Any, gate: Gate) -> None:
        self._redis = redis
        self._gate = gate
        self._queued: list[tuple[Any, ...]] = []

    def pipeline(self, transaction: bool = True) -> "SteppedRedis":
        return SteppedRedis(self._redis, self._gate)

    def execute_command(self, *command: Any) -> None:
        self._queued.append(command)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        return [self._one(command) for command in self._queued]

    def _one(self, command: tuple[Any, ...]) -> Any:
        self._gate.wait()
        try:
            return self._redis.execute_command(*command)
        except RedisError as error:
            return error


class Worker:
    """One delivery in the hands of one worker, in a thread that goes on only when it is told to."""

    def __init__(self, sent: Message, handoff: Callable[[Gate], Callable[[Delivery], Outcome]]) -> None:
        self.sent = sent
        self.outcome: Outcome | None = None
        self.gate = Gate()
        self.crashed = False
        self._handoff = handoff(self.gate)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.gate.await_stop()

    def _work(self) -> None:
        try:
            self.outcome = self._handoff(deliver(self.sent))
        except Crash:
            self.crashed = True
        finally:
            self.gate.stopped()

    def step(self) -> bool:
        """Go on to the next script; True when the delivery is dealt with."""
        self.gate.let_on()
        return self.outcome is not None

    def crash(self) -> None:
        self.gate.let_on(crash=True)
        assert self.crashed


class Workers(RuleBasedStateMachine):
    """Three runs need the same effect: one key. Workers take their messages, and anything may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        Serials.count = itertools.count()
        self.redis = FakeStrictRedis(
            server=FakeServer(server_type="redis", version=(7,)), decode_responses=True
        )
        for script in SCRIPTS:
            self.redis.script_load(scripts.script(script).text)
        self.settings = make_settings(lease=timedelta(hours=1), crash_limit=100, shards=1)
        self.store = Store(self.redis, self.settings)
        self.runs = runs = Runs(self.redis, self.settings)
        for run, flow in RUNS.items():
            runs.start(StepRef(run, flow.name, ""), key=run, content="c", first="[]")
        self.gone: deque[Call | Command] = deque()
        self.leases = LeaseKeeper(self.store, self.settings.lease)
        self.published: list[Message] = []
        self.pending = [sent for run, flow in RUNS.items() for sent in start(flow, Work(work=KEY), run)]
        self.working: list[Worker] = []
        self.cancelled = False
        self.known: dict[str, str] = {}

    def handoff(self, gate: Gate) -> Callable[[Delivery], Outcome]:
        publisher = RecordingPublisher(gate.wait)
        publisher.messages = self.published
        stepped: Any = SteppedRedis(self.redis, gate)
        store = Store(stepped, self.settings)
        store.handoffs.worth_letting_go, store.handoffs.gone = (
            0,
            self.gone,
        )  # as in one process: any claim tells of any
        negotiator = Negotiator(Announcements(stepped, self.settings), Versions())
        handoff = Handoff(make, self.settings, store, self.leases, negotiator)
        driver = Driver(stepped, publisher)
        return lambda delivery: driver.perform(handoff(delivery))

    # What may happen

    @precondition(lambda self: self.pending and len(self.working) < 4)
    @rule(data=st.data(), silent=st.booleans(), steps=st.integers(0, 6))
    def deliver(self, data: st.DataObject, silent: bool, steps: int) -> None:
        """A worker takes a message; `silent`: whoever has the key has not renewed its lease for too long."""
        if silent:
            self.fall_silent()
        self.go_on(self.take(data.draw(st.integers(0, len(self.pending) - 1))), steps)

    @precondition(lambda self: self.working)
    @rule(data=st.data(), steps=st.integers(1, 9))
    def some_go_on(self, data: st.DataObject, steps: int) -> None:
        self.go_on(data.draw(st.sampled_from(self.working)), steps)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.kill(data.draw(st.sampled_from(self.working)))

    @precondition(lambda self: self.working and len(self.pending) < 6)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        """The broker gives up a connection whose worker goes on all the same."""
        self.pending.append(data.draw(st.sampled_from(self.working)).sent)

    def take(self, number: int) -> Worker:
        worker = Worker(self.pending.pop(number), self.handoff)
        self.working.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        worker.crash()
        self.working.remove(worker)
        self.pending.append(worker.sent)

    def go_on(self, worker: Worker, steps: int = 100) -> None:
        for _ in range(steps):
            if worker.step():
                self.dealt_with(worker)
                break

    @rule()
    def fall_silent(self) -> None:
        """Whoever holds the key has not renewed its lease for too long."""
        key = self.store.keys.outcome(make.name, KEY)
        if self.redis.exists(key):
            self.redis.hset(key, "until", 0)

    @precondition(lambda self: not self.cancelled and self.working)
    @rule()
    def cancel(self) -> None:
        self.cancelled = self.runs.cancel("c", {"run": "c", "kind": "cancelled"})[0] == "cancelled"

    # What holds

    @invariant()
    def one_outcome(self) -> None:
        found = {run: text for run in RUNS if (text := self.settled(run))}
        if record := self.redis.hget(self.store.keys.outcome(make.name, KEY), "record"):
            found["key"] = Record.parse(str(record)).digest()
        assert len(set(found.values())) <= 1, found
        assert self.known.items() <= found.items()
        self.known = found

    @invariant()
    def one_continuation(self) -> None:
        assert len({(sent.id, sent.headers["handoff_run"]) for sent in self.published}) <= 1

    def teardown(self) -> None:
        """Let everything come to an end: no run is forgotten."""
        try:
            for _ in range(200):
                if not self.pending and not self.working:
                    break
                self.fall_silent()
                self.go_on(self.working[0] if self.working else self.take(0))
                self.one_outcome()
            assert not self.pending
            assert self.settled("a")
            assert self.settled("b")
            assert self.published
            assert self.settled("c") or self.cancelled
        finally:
            for worker in self.working:
                worker.crash()
            self.leases.close()

    def dealt_with(self, worker: Worker) -> None:
        self.working.remove(worker)
        outcome = worker.outcome
        assert isinstance(outcome, (Done, Postpone)), outcome
        if isinstance(outcome, Postpone):
            self.pending.append(outcome.message)

    def settled(self, run: str) -> str | None:
        """The digest of the step's outcome."""
        found: Any = self.redis.hmget(self.store.keys.run(run), "s:1", "n:1")
        record, settlement = found
        if record == "":  # it was let go
            return str(settlement.partition(" ")[2])
        return record if record is None else Record.parse(record).digest()


TestExactlyOnce = Workers.TestCase
TestExactlyOnce.settings = examples(60, stateful_step_count=30)


@pytest.fixture
def workers() -> Iterator[Workers]:
    """The three runs; after the test everything comes to an end, and what must hold is checked once more."""
    machine = Workers()
    yield machine
    machine.teardown()


A, B, C = range(3)  # the runs' messages, while all of them are pending


def test_settled_while_it_is_taken_over(workers: Workers) -> None:
    """A worker that ends its run while another has taken its key but not yet shut it out has made the key's outcome."""
    frozen = workers.take(A)
    workers.go_on(frozen, 2)
    workers.fall_silent()
    taker = workers.take(B - 1)
    workers.go_on(taker, 2)
    workers.go_on(frozen)
    assert workers.settled("a")
    workers.go_on(taker)
    workers.one_outcome()
    assert workers.settled("b")


def test_taken_over_for_a_run_that_has_ended(workers: Workers) -> None:
    """A worker whose key was taken for a run that is cancelled, and given back, is shut out all the same."""
    frozen = workers.take(A)
    workers.go_on(frozen, 2)
    workers.fall_silent()
    workers.cancel()
    assert workers.cancelled
    workers.go_on(workers.take(C - 1))
    workers.go_on(workers.take(B - 1))
    assert workers.settled("b")
    workers.go_on(frozen)
    workers.one_outcome()


def test_shut_out_by_another_run(workers: Workers) -> None:
    """A worker that another run's has shut out does not leave its own run behind."""
    frozen = workers.take(A)
    workers.go_on(frozen, 2)
    workers.fall_silent()
    workers.go_on(workers.take(B - 1))
    workers.go_on(frozen)
    assert not workers.settled("a")
    assert [sent.headers["handoff_run"] for sent in workers.pending] == ["c", "a"]


def test_wakes_up_while_the_other_works(workers: Workers) -> None:
    """A worker that was shut out settles nothing, at the key or at its run, while the other still works."""
    frozen = workers.take(A)
    workers.go_on(frozen, 2)
    workers.fall_silent()
    taker = workers.take(B - 1)
    workers.go_on(taker, 3)
    workers.go_on(frozen)
    workers.go_on(taker)
    workers.one_outcome()
    assert workers.settled("b")


@pytest.mark.parametrize("scripts_done", range(7))
def test_crash_between_two_scripts(workers: Workers, scripts_done: int) -> None:
    """A worker may die after any of its scripts: the redelivery ends the step, with one outcome."""
    first = workers.take(B)
    workers.go_on(first, scripts_done)
    if first in workers.working:
        workers.kill(first)
    workers.fall_silent()
    while workers.pending:
        workers.fall_silent()
        workers.go_on(workers.take(0))
    workers.one_outcome()
    workers.one_continuation()
