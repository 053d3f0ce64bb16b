"""The reactor performs what many ask for as the driver does what one asks for, and does it for all of them together."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.reactor import Reactor
from handoffs.coordinator.dispatch.requests import Asking, Invoke, Publish
from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.messaging.confirms import Parcel
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import Command, RoundTrip
from tests.examples import examples
from tests.waiting import wait_until

_SAID: ContextVar[str] = ContextVar("said", default="nothing")


class Redis:
    """What stands for the servers' side of :mod:`scripts`: each call is answered with its own words, and ``GONE`` is refused."""

    def __init__(self) -> None:
        self.trips: list[int] = []
        self.away = False
        self.open = threading.Event()
        self.open.set()

    def __call__(self, _redis: object, asked: Sequence[Sequence[Any]]) -> list[list[Any] | ServerError]:
        self.open.wait(10)
        self.trips.append(len(asked))
        if self.away:
            return [ServerError("Redis cannot be used") for _ in asked]
        refused = Refused("it is refused")
        return [
            refused if any("GONE" in call for call in calls) else [" ".join(map(str, call)) for call in calls]
            for calls in asked
        ]


_lines: list[Line] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _lines:
        _lines.pop().close()


class Line:
    """A line to a broker that answers when it is told to."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Any]] = []
        self.blocked = False
        self.broken = False
        self.is_cut = threading.Event()
        self._answers: list[tuple[Any, bool]] = []
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        _lines.append(self)

    def close(self) -> None:
        self._here.close()
        self._there.close()

    def fileno(self) -> int:
        return self._here.fileno()

    def post(self, parcels: Sequence[Parcel], owner: Any) -> None:
        if self.broken:
            raise ConnectionError("it is gone")
        self.posted += [(parcel.message.id, owner) for parcel in parcels]

    def answer(self, number: str, *, taken: bool = True) -> None:
        self._answers += [(owner, taken) for posted, owner in self.posted if posted == number]
        self._there.send(b"\0")

    def answers(self) -> list[tuple[Any, bool]]:
        if self.broken:
            raise ConnectionError("it is gone")
        with contextlib.suppress(BlockingIOError):
            self._here.recv(100)
        found, self._answers = self._answers, []
        return found

    def cut(self) -> None:
        self.is_cut.set()


class Publisher:
    """A publisher with one line at a time, and what was published over none."""

    def __init__(self) -> None:
        self.timeout = 10.0
        self.alone: list[str] = []
        self.line = Line()
        self.error: Exception | None = None

    def at_once(self, messages: Sequence[Message], agents: Sequence[str] = ()) -> list[Parcel] | None:
        if agents or any(message.agent == "narrow" for message in messages):
            return None
        return [Parcel("", message.agent, message) for message in messages]

    def in_flight(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.line

    def declare(self, agents: Sequence[str]) -> None:
        self.alone.append(f"declare {' '.join(agents)}")

    def publish(self, messages: Sequence[Message], **_: Any) -> None:
        if self.error is not None:
            raise self.error
        self.alone += [message.id for message in messages]


class World:
    """A reactor with all that it uses, and what has come of those who asked."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        publisher: Any = Publisher()
        nothing: Any = None
        self.publisher = publisher
        self.pool = ThreadPoolExecutor(4)
        self.driver = Driver(nothing, publisher)
        self.reactor = Reactor(self.driver, publisher, self.pool.submit)

    def take(self, asking: Asking[Any]) -> Future[Any]:
        future: Future[Any] = Future()

        def ended(found: Any, error: BaseException | None) -> None:
            future.set_exception(error) if error is not None else future.set_result(found)

        self.reactor.take(asking, ended)
        return future

    def with_line(self) -> Line:
        """Once its line is open: the first message goes without."""
        assert self.take(publish("first")).result(10) == ["first"]
        wait_until(lambda: self.reactor._line is not None, description="the line is open")
        line: Line = self.publisher.line
        return line


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Redis:
    found = Redis()
    monkeypatch.setattr(scripts, "run_together", found)
    return found


@pytest.fixture
def world(redis: Redis) -> Iterator[World]:
    made = World(redis)
    yield made
    made.redis.open.set()
    made.reactor.finish()
    made.pool.shutdown()


def message(number: str, agent: str = "agent") -> Message:
    return Message(number, agent, {}, "[]")


def ask(*words: str) -> Asking[list[str]]:
    found: list[str] = []
    for word in words:
        found += yield RoundTrip.of(Command("GET", word))
    return found


def publish(*numbers: str, agent: str = "agent", **more: Any) -> Asking[list[str]]:
    for number in numbers:
        yield Publish((message(number, agent),), **more)
    return [*numbers]


def invoke(function: Callable[[], Any]) -> Asking[Any]:
    return (yield Invoke(function))


class TestRedis:
    def test_what_is_asked_meanwhile_leaves_together(self, world: World) -> None:
        """One round trip for all that is due, however many ask: the first alone, for it waits for nobody."""
        world.redis.open.clear()
        futures = [world.take(ask(str(number), "again")) for number in range(20)]
        world.redis.open.set()
        assert [future.result(10) for future in futures] == [
            [f"GET {number}", "GET again"] for number in range(20)
        ]
        assert len(world.redis.trips) <= 5

    def test_each_has_its_own_error(self, world: World) -> None:
        """Who asks for what is refused is told, and may go on; the others have their answers."""

        def goes_on() -> Asking[str]:
            try:
                yield RoundTrip.of(Command("GET", "GONE"))
            except Refused:
                [found] = yield RoundTrip.of(Command("GET", "other"))
                return str(found)
            return "nothing"

        world.redis.open.clear()
        refused, dealt, well = world.take(ask("GONE")), world.take(goes_on()), world.take(ask("well"))
        world.redis.open.set()
        with pytest.raises(Refused):
            refused.result(10)
        assert (dealt.result(10), well.result(10)) == ("GET other", ["GET well"])

    def test_that_is_away(self, world: World) -> None:
        """All who ask are told, and those who come later are served when it is back."""
        world.redis.away = True
        for future in [world.take(ask("a")), world.take(ask("b"))]:
            with pytest.raises(ServerError):
                future.result(10)
        world.redis.away = False
        assert world.take(ask("c")).result(10) == ["GET c"]


class TestFunctions:
    def test_that_wait(self, world: World) -> None:
        """They run in other threads, and hold up nobody."""
        let = threading.Event()
        waits = [world.take(invoke(lambda: let.wait(10))) for _ in range(4)]
        assert world.take(ask("a")).result(10) == ["GET a"]
        let.set()
        assert [future.result(10) for future in waits] == [True] * 4

    def test_each_has_a_context_of_its_own(self, world: World) -> None:
        """What one sets, in its function or between, the others do not see, and it does."""

        def sets(what: str) -> Asking[tuple[str, str]]:
            before = _SAID.get()
            yield Invoke(lambda: _SAID.set(what))
            yield RoundTrip.of(Command("GET", what))
            return before, _SAID.get()

        futures = {what: world.take(sets(what)) for what in ("a", "b", "c")}
        assert {what: future.result(10) for what, future in futures.items()} == {
            what: ("nothing", what) for what in futures
        }

    @pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
    def test_that_raise(self, world: World, raised: BaseException) -> None:
        """Whatever it is, it is thrown into the one that asked, and ends nobody else."""

        def raises() -> None:
            raise raised

        def deals() -> Asking[str]:
            try:
                yield Invoke(raises)
            except BaseException as error:  # noqa: BLE001 - it is what the test is about
                return type(error).__name__
            return "nothing"

        assert world.take(deals()).result(10) == type(raised).__name__
        failed = world.take(invoke(raises))
        assert failed.exception(10) is raised
        assert world.take(ask("a")).result(10) == ["GET a"]

    def test_that_only_begin(self, world: World) -> None:
        """What answers later takes no thread meanwhile."""
        later: list[Callable[[Any], None]] = []

        def waits() -> Asking[str]:
            return str((yield Invoke(lambda: "in a thread", later.append)))

        def fails(_: object) -> None:
            raise ValueError("no")

        def cannot() -> Asking[str]:
            return str((yield Invoke(lambda: "in a thread", fails)))

        futures = [world.take(waits()) for _ in range(100)]
        wait_until(lambda: len(later) == 100, description="all are begun")
        assert world.take(ask("a")).result(10) == ["GET a"]
        for number, answer in enumerate(later):
            answer(number)
        assert [future.result(10) for future in futures] == [str(number) for number in range(100)]
        with pytest.raises(ValueError, match="no"):
            world.take(cannot()).result(10)

    def test_where_nothing_runs_any_more(self, world: World) -> None:
        """A worker that ends at once has no threads left: who asks is told, and nothing waits for ever."""
        world.pool.shutdown()
        with pytest.raises(RuntimeError):
            world.take(invoke(lambda: 1)).result(10)


class TestMessages:
    def test_are_confirmed_together(self, world: World) -> None:
        """None waits for the confirm of another: all are on their way before the first is answered."""
        line = world.with_line()
        futures = {number: world.take(publish(number)) for number in "abc"}
        wait_until(lambda: len(line.posted) == 3, description="all are on their way")
        assert not any(future.done() for future in futures.values())
        line.answer("b")
        assert futures["b"].result(10) == ["b"]
        assert not futures["a"].done()
        line.answer("c")
        line.answer("a")
        assert [future.result(10) for future in futures.values()] == [["a"], ["b"], ["c"]]
        assert world.publisher.alone == ["first"]

    def test_of_one_request_are_waited_for_all(self, world: World) -> None:
        """It goes on when the last of them is with the broker."""
        line = world.with_line()

        def two() -> Asking[str]:
            yield Publish((message("a"), message("b")))
            return "both"

        future = world.take(two())
        wait_until(lambda: len(line.posted) == 2, description="they are on their way")
        line._answers.append((line.posted[0][1], True))
        line._there.send(b"\0")
        assert world.take(ask("x")).result(10) == ["GET x"]
        assert not future.done()
        line._answers.append((line.posted[0][1], True))
        line._there.send(b"\0")
        assert future.result(10) == "both"

    @pytest.mark.parametrize(
        "options", [{"delay": timedelta(seconds=1)}, {"declare": ("other",)}, {"agent": "narrow"}]
    )
    def test_that_may_have_to_wait(self, world: World, options: dict[str, Any]) -> None:
        """Those for later, for a queue that is to be declared, or that has a bound, go alone, in another thread."""
        line = world.with_line()
        assert world.take(publish("a", **options)).result(10) == ["a"]
        assert (line.posted, world.publisher.alone[-1]) == ([], "a")

    def test_that_the_broker_refuses(self, world: World) -> None:
        """It is sent once more alone, where room is waited for; the others are not touched by that."""
        line = world.with_line()
        refused, taken = world.take(publish("a")), world.take(publish("b"))
        wait_until(lambda: len(line.posted) == 2, description="they are on their way")
        line.answer("a", taken=False)
        line.answer("b")
        assert (refused.result(10), taken.result(10)) == (["a"], ["b"])
        assert world.publisher.alone == ["first", "a"]

    @pytest.mark.parametrize("when", ["amid", "before", "silent"])
    def test_on_a_line_that_is_lost(self, world: World, when: str) -> None:
        """All that was on its way is sent once more, and what follows over another line."""
        line = world.with_line()
        if when == "before":
            line.broken = True
        futures = [world.take(publish("a")), world.take(publish("b"))]
        if when != "before":
            wait_until(lambda: len(line.posted) == 2, description="they are on their way")
            if when == "silent":
                world.publisher.timeout = 0.0
            line.broken = when == "amid"
            line._there.send(b"\0")
        assert [future.result(10) for future in futures] == [["a"], ["b"]]
        assert line.is_cut.wait(10)
        assert sorted(world.publisher.alone) == ["a", "b", "first"]
        world.publisher.timeout, world.publisher.line = 10.0, Line()
        world.with_line()

    def test_under_an_alarm(self, world: World) -> None:
        """They go alone, where an alarm is said within a bound."""
        line = world.with_line()
        line.blocked = True
        assert world.take(publish("a")).result(10) == ["a"]
        assert line.posted == []

    def test_to_a_broker_that_is_away(self, world: World) -> None:
        """Who publishes is told, and may publish again when it is back."""
        world.publisher.error = ServerError("the broker did not take the message")
        with pytest.raises(ServerError):
            world.take(publish("a")).result(10)
        world.publisher.error = None
        assert world.take(publish("a")).result(10) == ["a"]

    def test_more_than_can_be_read(self, world: World) -> None:
        """It is refused before it is sent."""

        class Room:
            def check(self, message: Message) -> None:
                raise ValueError(f"{message.id} is too large")

        world.driver.room = Room()  # type: ignore[assignment]
        with pytest.raises(ValueError, match="a is too large"):
            world.take(publish("a")).result(10)
        assert world.publisher.alone == []

    def test_none(self, world: World) -> None:
        """A request without messages is answered."""
        world.with_line()

        def nothing() -> Asking[str]:
            yield Publish(())
            return "done"

        assert world.take(nothing()).result(10) == "done"


def test_an_end_that_cannot_be_told(world: World) -> None:
    """It is logged, and the others go on."""

    def fails(*_: object) -> None:
        raise ValueError("no")

    world.reactor.take(ask("a"), fails)
    assert world.take(ask("b")).result(10) == ["GET b"]


def test_a_check_that_takes_long_is_said(world: World, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """What is done in the thread of all is seen where it holds them up."""
    monkeypatch.setattr("handoffs.coordinator.dispatch.reactor._LONG", -1.0)
    assert world.take(ask("a")).result(10) == ["GET a"]
    assert "what waits belongs into an agent" in caplog.text


def test_finish_waits_for_all(world: World) -> None:
    """What was begun is done before it returns."""
    let = threading.Event()
    future = world.take(invoke(lambda: let.wait(10)))
    finishing = threading.Thread(target=world.reactor.finish)
    finishing.start()
    assert not future.done()
    let.set()
    finishing.join(10)
    assert future.done()
    assert not finishing.is_alive()


def test_finish_waits_so_long(world: World) -> None:
    """What takes longer is performed all the same, and the thread ends after it."""
    let = threading.Event()
    future = world.take(invoke(lambda: let.wait(10)))
    [thread] = [thread for thread in threading.enumerate() if thread.name == "reactor"]
    assert not world.reactor.finish(0.05)
    assert not future.done()
    let.set()
    assert future.result(10) is True
    thread.join(10)
    assert not thread.is_alive()


def test_finish_before_anything_was_taken(world: World) -> None:
    """There is nothing to wait for."""
    assert world.reactor.finish(0)
    assert world.reactor.finish()


_REQUESTS = st.sampled_from(["ask", "gone", "call", "raise", "alone", "publish"])


@examples(60)
@given(programs=st.lists(st.lists(_REQUESTS, max_size=6), min_size=1, max_size=8))
def test_together_is_as_alone(programs: list[list[str]]) -> None:
    """Whatever several ask for at the same time, each finds what it finds with the driver that serves one at a time."""

    def program(name: str, requests: list[str]) -> Asking[list[str]]:
        found: list[str] = []
        for number, request in enumerate(requests):
            try:
                found.append(str((yield _request(f"{name}.{number}", request))))
            except (ValueError, ServerError) as error:
                found.append(repr(error))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "run_together", redis := Redis())
        patch.setattr(scripts, "run", lambda client, *calls: _raised(redis(client, [calls])[0]))
        world = World(redis)
        world.publisher.line = _Prompt()
        names = [f"p{number}" for number in range(len(programs))]
        alone = [world.driver.perform(program(*one)) for one in zip(names, programs, strict=True)]
        futures = [world.take(program(*one)) for one in zip(names, programs, strict=True)]
        assert [future.result(10) for future in futures] == alone
        world.reactor.finish()
        world.pool.shutdown()


class _Prompt(Line):
    """A line whose broker takes all at once."""

    def post(self, parcels: Sequence[Parcel], owner: Any) -> None:
        super().post(parcels, owner)
        for parcel in parcels:
            self.answer(parcel.message.id)


def _request(name: str, kind: str) -> Any:
    if kind in {"ask", "gone"}:
        return RoundTrip.of(Command("GET", name if kind == "ask" else "GONE"))
    if kind in {"call", "raise"}:
        return Invoke(lambda: _raised(ValueError(name) if kind == "raise" else name))
    return Publish((message(name, "narrow" if kind == "alone" else "agent"),))


def _raised(found: Any) -> Any:
    if isinstance(found, Exception):
        raise found
    return found
