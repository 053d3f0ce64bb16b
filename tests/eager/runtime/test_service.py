"""The coordinator process says what keeps it from its work, and works again when that is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handoffs import Contract, Flow, agent, budget, each
from handoffs.config.settings import Settings
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.history import HistoryTable
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.journal.letters import LetterTable
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.emit import Emitter
from handoffs.coordinator.runs.first_messages import Starter
from handoffs.coordinator.runtime.embedded.servers import EmbeddedEngine
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.scheduled import ScheduledRuns
from tests.journal_suite import letter
from tests.waiting import wait_until


class Thing(Contract, name="shop.thing", version=1):
    """What is handed over."""


class Things(Contract, name="shop.things", version=1):
    """Several of them."""

    things: list[Thing]


class FragileHistory(HistoryTable):
    """A history that fails while a failure is set, as a database does that is restarted."""

    failure: Exception | None = None

    def record(self, entries: Iterable[tuple[str, dict[str, Any]]]) -> int:
        if self.failure:
            raise self.failure
        return super().record(entries)


class FragileLetters(LetterTable):
    """Letters that fail once they are written, where a failure is set; they count what is asked of them."""

    failure: Exception | None = None

    def __init__(self, database: Database) -> None:
        super().__init__(database, Namespace(), Seal())
        self.at_once: list[int] = []
        self.asked: list[int] = []

    def failures(self, letters: Iterable[str]) -> dict[str, str]:
        ids = list(letters)
        self.asked.append(len(ids))
        return super().failures(ids)

    def add_all(self, rows: Sequence[LetterRow]) -> None:
        """Writes them, and fails then where a failure is set: no other part knows of it."""
        super().add_all(rows)
        self.at_once.append(len(rows))
        failure, self.failure = self.failure, None
        if failure:
            raise failure


class Fragile(Journal):
    """A journal whose history and letters fail while a failure is set."""

    history: FragileHistory
    letters: FragileLetters

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.history = FragileHistory(self._database, Namespace())
        self.letters = FragileLetters(self._database)


@pytest.fixture
def engine(coordinator_settings: Settings) -> Iterator[EmbeddedEngine]:
    """An engine with servers of its own."""
    engine = EmbeddedEngine(coordinator_settings)
    yield engine
    engine.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Fragile]:
    journal = Fragile(f"sqlite:///{tmp_path}/journal.sqlite3")
    yield journal
    journal.close()


@pytest.fixture
def service(engine: EmbeddedEngine, journal: Journal) -> Iterator[Service]:
    """The coordinator process's work, under way."""
    service = Service(engine, journal)
    service.start()
    yield service
    service.stop()


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            ServerError("the journal cannot\nbe used", "nothing was lost"),
            "the journal cannot be used; nothing was lost",
        ),
        (OSError("disk full"), "disk full"),
        (ValueError("a fault of ours, with data"), "history: ValueError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_fault_is_said_until_it_is_gone(
    service: Service, engine: EmbeddedEngine, journal: Fragile, failure: Exception, said: str
) -> None:
    """What keeps a job from its work is one line, until the job has done its work."""
    assert service.fault() == ""
    journal.history.failure = failure
    engine.store.note("run-1", {"run": "run-1", "kind": "noted"})
    assert wait_until(service.fault, description="the fault is said") == said
    journal.history.failure = None
    wait_until(lambda: not service.fault(), description="the fault is gone")
    assert [entry["kind"] for entry in journal.history.of("run-1").values()] == ["noted"]


def test_a_job_that_has_ended_is_a_fault(service: Service) -> None:
    """A job that is not done any more is said by its name."""
    service.stop()
    assert service.fault() == (
        "coordinator-letters has ended; coordinator-unheard has ended; coordinator-timers has ended; "
        "coordinator-timers-2 has ended; "
        "coordinator-timers-3 has ended; coordinator-timers-4 has ended; coordinator-history has ended; "
        "coordinator-sweep has ended; coordinator-touch has ended; coordinator-upkeep has ended; "
        "coordinator-broker has ended; coordinator-journal has ended; "
        "coordinator-begin has ended"
    )


def _unheard(engine: EmbeddedEngine, count: int) -> None:
    """Emit events that nobody hears."""
    engine.publisher.declare([])
    emitter = Emitter(engine.services.router)
    engine.publisher.publish(
        emitter.emission(Thing(), f"run-{number}", None).message for number in range(count)
    )


@pytest.mark.parametrize("failure", [None, ServerError("the connection was lost", "nobody knows")])
def test_what_nobody_hears_is_written_many_at_once(
    engine: EmbeddedEngine, journal: Fragile, failure: ServerError | None
) -> None:
    """Those that are there are kept in one transaction, and only then taken from the broker: where the process dies in between
    they come again, and nothing is changed by that."""
    _unheard(engine, 250)
    journal.letters.failure = failure
    service = Service(engine, journal)
    service.start()

    def all_came() -> bool:
        again = journal.letters.asked[:1] if failure else []
        return sum(journal.letters.asked) >= 250 + sum(again)

    wait_until(all_came, description="all have come, and again those that were written when it failed")
    service.stop()
    with engine.app.connection_for_read() as connection:
        queue = engine.topology.unheard_events.name
        assert connection.channel().queue_declare(queue, passive=True).message_count == 0
    rows = journal.letters.find(state="unheard")
    assert (len(rows), {row.times for row in rows}) == (250, {1})
    assert max(journal.letters.at_once) > 1
    assert len(journal.letters.at_once) < 50
    assert sum(journal.letters.at_once) == 250


def test_an_unpublished_run_keeps_its_budgets(
    engine: EmbeddedEngine, journal: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dead starter left is published as it would have been: a timer goes off when its budget is spent, not at once."""

    @agent("shop.slow")
    def slow(thing: Thing) -> Thing:
        return thing

    made = Flow("shop.hasty", budget(slow, within=timedelta(seconds=7), fallback=slow))
    payload = Thing()
    begun = Starter(engine.services.router).first(made, payload, "run-1")
    place = StepRef("run-1", made.name, "")
    engine.runs.start(place, key="k", content="c", first=begun.stored(), sends=begun.named())
    found = engine.runs.unpublished
    monkeypatch.setattr(engine.runs, "unpublished", lambda **_: found(older_than=timedelta(seconds=-1)))
    published: list[tuple[str, timedelta | None]] = []

    def publish(messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False) -> None:
        published.extend((message.agent, delay) for message in messages)

    monkeypatch.setattr(engine.publisher, "publish", publish)
    Service(engine, journal).sweep()
    [(timer, later), (first, at_once)] = published
    assert (at_once, timer, later) == (None, TIMER, timedelta(seconds=7))
    assert first == "shop.slow"


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_what_a_dead_process_left_begins_whole(
    engine: EmbeddedEngine, journal: Fragile, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    """Whoever dies before the first messages are published, the starter or the process that began a scheduled run, leaves
    everything: here the one item that may run, and those that wait for it."""

    @agent("shop.many")
    def many(thing: Thing) -> Thing:
        return thing

    made = Flow("shop.listed", each("things", many, into="things", limit=1), input=Things)
    payload = Things(things=[Thing(), Thing(), Thing()])
    begun = Starter(engine.services.router).first(made, payload, "run-1")
    place = StepRef("run-1", made.name, "")
    due = timedelta(milliseconds=1) if later else None
    engine.runs.start(
        place,
        key="k",
        content="c",
        first=begun.stored(),
        sends=begun.named(),
        due=due,
        entry={"kind": "started", "run": "run-1"},
    )
    if later:
        wait_until(ScheduledRuns(engine.store.redis, engine.settings).begin, description="its time has come")
    published: list[str] = []

    def publish(messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False) -> None:
        published.extend(str(message.headers["handoff_step"]) for message in messages)

    monkeypatch.setattr(engine.publisher, "publish", publish)
    found = engine.runs.unpublished
    monkeypatch.setattr(engine.runs, "unpublished", lambda **_: found(older_than=timedelta(seconds=-1)))
    Service(engine, journal).sweep()
    assert published == ["1.i0.1"]
    assert engine.store.held(place, "1", 1) == {}
    assert engine.store.held(place, "1", 2) == {}
    Service(engine, journal).sweep()
    assert published == ["1.i0.1"]


@pytest.mark.parametrize(
    "first", ["no JSON", "[]7", '[{"id": 7}]', '{"messages": [], "rest": {}}', "refused"]
)
def test_what_cannot_be_published_is_told_of_once(
    engine: EmbeddedEngine, journal: Fragile, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A run that was accepted and whose messages cannot be read, or are refused for what they are, holds up no other. After a few
    tries it waits in the open, and where it can be published after all it goes on."""

    @agent("shop.plain")
    def plain(thing: Thing) -> Thing:
        return thing

    made = Flow("shop.stranded", plain)
    for run in ("run-1", "run-2"):
        begun = Starter(engine.services.router).first(made, Thing(), run).stored()
        text = first if run == "run-1" and first != "refused" else begun
        engine.runs.start(StepRef(run, made.name, ""), key=run, content="c", first=text, sends=())
    found = engine.runs.unpublished
    monkeypatch.setattr(engine.runs, "unpublished", lambda **_: found(older_than=timedelta(seconds=-1)))
    published: list[str] = []
    refuses = first == "refused"

    def publish(messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False) -> None:
        for message in messages:
            if refuses and message.headers["handoff_run"] == "run-1":
                raise Refused("it is larger than the broker takes")
            published.append(str(message.headers["handoff_run"]))

    monkeypatch.setattr(engine.publisher, "publish", publish)
    service = Service(engine, journal)
    for _ in range(5):
        service.sweep()
    assert published == ["run-2"]
    [letter] = journal.letters.waiting(["run-1"])
    assert (letter.step, letter.times, engine.runs.state("run-1").status) == ("begin", 1, "parked")  # type: ignore[union-attr]
    if first != "refused":
        return
    refuses = False
    service.sweep()
    assert published == ["run-2", "run-1"]
    assert journal.letters.waiting(["run-1"]) == []
    assert engine.runs.state("run-1").status == "running"  # type: ignore[union-attr]


_MANY = 10_050
"""More letters than were looked at once."""


def test_every_parked_run_is_kept_alive(engine: EmbeddedEngine, journal: Fragile) -> None:
    """However many wait: a run that waits longest for a person, behind ten thousand others, does not expire."""
    runs = [f"run-{number:05}" for number in range(_MANY)]
    journal.letters.add_all([letter(f"letter-{run}", run=run) for run in runs])
    keys = engine.store.keys
    ends = [keys.run(runs[0]), keys.run(runs[-1])]
    for key in ends:
        engine.store.redis.hset(key, "status", "parked")
        engine.store.redis.pexpire(key, 60_000)
    Service(engine, journal).touch()
    assert min(engine.store.redis.pttl(key) for key in ends) > 3_600_000
