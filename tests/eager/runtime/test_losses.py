"""Redis goes back to an earlier state, or to none: what is safe goes on, and what is not is parked with the reason."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from celery.worker import state

from handoffs import Contract, Coordinator, Flow, Key, Sensitive, agent, each, parallel, wait_for
from handoffs.config.settings import Settings
from handoffs.coordinator.client import waiting as client
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import RunParked
from handoffs.coordinator.runtime import losses, standstills
from handoffs.coordinator.runtime.losses import Losses
from tests.waiting import wait_until

TIMEOUT = 20.0


class Order(Contract, name="loss.order", version=1):
    number: str = Key()
    pin: Sensitive | None = None


class Both(Contract, name="loss.both", version=1):
    a: Order
    b: Order


class Many(Contract, name="loss.many", version=1):
    orders: list[Order]


class Back:
    """A Redis that can be taken back to how it was: its hashes, as a replica has them that takes over."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.redis: Any = coordinator.engine.store.redis
        self.kept: dict[str, dict[str, str]] = {}

    def keep(self) -> None:
        self.kept = {key: self.redis.hgetall(key) for key in self._hashes()}

    def go_back(self, *, everything: bool = False) -> None:
        """``everything``: there is nothing that had not been then."""
        for key in self.redis.keys("*") if everything else self._hashes():
            self.redis.delete(key)
        for key, fields in self.kept.items():
            self.redis.hset(key, mapping=fields)
            self.redis.pexpire(key, 3_600_000)

    def _hashes(self) -> list[str]:
        return [key for key in self.redis.keys("*") if self.redis.type(key) == "hash"]


class World:
    """Agents that say when they begin, and end when they may; what is done is counted."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.may = {name: threading.Event() for name in "abcj"}
        self.a, self.b, self.c = (self._agent(name) for name in "abc")

        @agent("loss.j")
        def joined(both: Both) -> Order:
            return self.work("j", both.a)

        @agent("loss.m")
        def many(many: Many) -> Order:
            self.done["m"] += 1
            return many.orders[-1]

        self.many = many
        self.join = Flow("loss.flow", parallel(a=self.a, b=self.b) >> joined)

    def work(self, name: str, order: Order) -> Order:
        self.done[f"{name} begun"] += 1
        assert self.may[name].wait(TIMEOUT)
        self.done[name] += 1
        return order

    def let(self, names: str) -> None:
        for name in names:
            self.may[name].set()

    def _agent(self, name: str) -> Any:
        def run(order: Order) -> Order:
            return self.work(name, order)

        return agent(f"loss.{name}")(run)


@pytest.fixture
def coordinator_settings(coordinator_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(losses, "_SHORTEST_GRACE", 0.3)
    monkeypatch.setattr(standstills, "_MOMENT", 0.3)
    monkeypatch.setattr(client, "_UNKNOWN_FOR", 20.0)
    return coordinator_settings.model_copy(update={"lease": timedelta(seconds=1)})


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.let("abcj")


def _both_at_work(coordinator: Coordinator, world: World, order: Order) -> Run:
    """A run whose two branches have begun."""
    run = coordinator.start(world.join, order)
    wait_until(lambda: world.done["a begun"] and world.done["b begun"], description="both are at work")
    return run


def _told(coordinator: Coordinator, run: Run, step: str) -> None:
    """The journal has the outcome of a step."""
    wait_until(
        lambda: [
            one for one in coordinator.journal.history.of(run.id).values()
            if one.get("step") == step and one["kind"] == "settled"
        ],
        description=f"the journal has the outcome of {step}",
    )  # fmt: skip
    _drained(coordinator, run)


def _drained(coordinator: Coordinator, run: Run) -> None:
    """Redis knows that the journal has all."""
    shard = coordinator.engine.store.keys.shard(run.id)
    wait_until(lambda: not coordinator.engine.entries.oldest(shard), description="Redis knows that it has")


class TestGoneBack:
    """To a moment before a step was settled, whose message was acknowledged since."""

    def test_a_part_of_a_join_is_put_back(self, live_coordinator: Coordinator, world: World) -> None:
        """The journal has it whole: the run goes on, and nothing is done twice."""
        back = Back(live_coordinator)
        run = _both_at_work(live_coordinator, world, Order(number="1"))
        back.keep()
        world.let("aj")
        _told(live_coordinator, run, "1.a.1")
        back.go_back()
        world.let("b")
        assert run.result(TIMEOUT) == Order(number="1")
        assert (world.done["a"], world.done["b"], world.done["j"]) == (1, 1, 1)
        assert run.letters() == []

    @pytest.mark.parametrize("decision", ["skip", "replay"])
    def test_what_is_masked_is_for_a_person(
        self, live_coordinator: Coordinator, world: World, decision: str
    ) -> None:
        """The journal knows that it was done, and not all of what came of it: it is not done again until somebody says so."""
        back = Back(live_coordinator)
        order = Order(number="1", pin="1234")  # type: ignore[arg-type]
        run = _both_at_work(live_coordinator, world, order)
        back.keep()
        world.let("aj")
        _told(live_coordinator, run, "1.a.1")
        back.go_back()
        world.let("b")
        assert run.wait(TIMEOUT) == "parked"
        [letter] = run.letters()
        assert (letter.kind, letter.step, world.done["a"]) == ("lost", "1.a.1", 1)
        assert "which Redis has lost" in letter.text
        if decision == "skip":
            live_coordinator.skip(letter, order)
        else:
            letter.replay()
        assert run.result(TIMEOUT) == order
        assert world.done["a"] == (1 if decision == "skip" else 2)

    def test_what_nobody_has_written_down_is_done_again(
        self, live_coordinator: Coordinator, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the same idempotency key: as after a worker that died at it."""
        back = Back(live_coordinator)
        service = live_coordinator._hosting._service
        assert service is not None
        run = _both_at_work(live_coordinator, world, Order(number="1"))
        _known(live_coordinator, run)
        back.keep()
        entries, real = live_coordinator.engine.entries, live_coordinator.engine.entries.oldest
        monkeypatch.setattr(entries, "oldest", lambda *_, **__: [])
        world.let("a")
        wait_until(lambda: world.done["a"], description="it is done")
        wait_until(lambda: live_coordinator.engine.runs.get(run.id).settled, description="and settled")  # type: ignore[union-attr]
        back.go_back()
        live_coordinator.engine.store.redis.delete(*live_coordinator.engine.store.redis.keys("*history*"))
        monkeypatch.setattr(entries, "oldest", real)
        monkeypatch.setattr(service._losses._recovery, "incarnation", lambda: "another")
        service._losses._incarnation = "one"
        world.let("bj")
        assert run.result(TIMEOUT) == Order(number="1")
        assert world.done["a"] == 2

    def test_a_wait_for_a_signal(self, live_coordinator: Coordinator, world: World) -> None:
        """That the run waits is lost: it waits again."""
        back, flow = Back(live_coordinator), Flow("loss.flow", world.a >> wait_for("go", Order) >> world.b)
        run = live_coordinator.start(flow, Order(number="1"))
        wait_until(lambda: world.done["a begun"], description="it is at work")
        back.keep()
        world.let("ab")
        _told(live_coordinator, run, "1")
        wait_until(lambda: [one for one in run.current() if one.signal], description="it waits")
        back.go_back()
        wait_until(lambda: [one for one in run.current() if one.signal], description="it waits again")
        run.signal("go", Order(number="2"))
        assert run.result(TIMEOUT) == Order(number="2")
        assert world.done["a"] == 1

    def test_a_cancelled_run_stays_cancelled(self, live_coordinator: Coordinator, world: World) -> None:
        """What a person has decided is decided again."""
        back, flow = Back(live_coordinator), Flow("loss.flow", world.a >> world.b)
        run = live_coordinator.start(flow, Order(number="1"))
        wait_until(lambda: world.done["a begun"], description="it is at work")
        back.keep()
        run.cancel()
        wait_until(
            lambda: live_coordinator.journal.history.outcomes(run.id, ["cancelled"]), description="it is told"
        )
        _drained(live_coordinator, run)
        back.go_back()
        live_coordinator.engine.store.redis.delete(live_coordinator.engine.store.keys.ended(run.id))
        wait_until(lambda: run.status() == "cancelled", description="it is cancelled")
        world.let("a")
        assert world.done["b begun"] == 0


class TestUnnoticed:
    """Redis went back, and nothing tells of it: nothing had been written down meanwhile, and the server has the name that it had."""

    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(losses, "_COMPARED_EVERY", 0.5)

    def test_a_step_whose_message_was_acknowledged(self, live_coordinator: Coordinator, world: World) -> None:
        """Its run would wait for ever: it is taken up, and the step is passed on by what its key has, or done again."""
        back, flow = Back(live_coordinator), Flow("loss.flow", world.a >> world.b)
        run = live_coordinator.start(flow, Order(number="1"))
        world.let("a")
        wait_until(lambda: world.done["b begun"], description="the last is at work")
        _known(live_coordinator, run)
        with _nothing_written_down(live_coordinator):
            back.keep()
            world.let("b")
            wait_until(lambda: run.status() == "completed", description="it has ended")
            _idle()
            back.go_back(everything=True)
        assert run.status() == "running"
        assert run.result(TIMEOUT) == Order(number="1")
        assert run.letters() == []

    def test_a_part_of_a_join(self, live_coordinator: Coordinator, world: World) -> None:
        """The other part has come meanwhile, and waited for it in vain."""
        back = Back(live_coordinator)
        run = _both_at_work(live_coordinator, world, Order(number="1"))
        _known(live_coordinator, run)
        with _nothing_written_down(live_coordinator):
            back.keep()
            world.let("aj")
            wait_until(
                lambda: "1.a.1" in live_coordinator.engine.runs.get(run.id).settled,  # type: ignore[union-attr]
                description="one has settled",
            )
            _idle(at_work=1)
            back.go_back(everything=True)
        world.let("b")
        assert run.result(TIMEOUT) == Order(number="1")

    def test_of_which_no_first_message_is_known(self, live_coordinator: Coordinator, world: World) -> None:
        """Nothing can be sent again: it is parked with the reason, and runs no more for ever."""
        back, flow = Back(live_coordinator), Flow("loss.flow", world.a >> world.b)
        run = live_coordinator.start(flow, Order(number="1"))
        world.let("a")
        wait_until(lambda: world.done["b begun"], description="the last is at work")
        _known(live_coordinator, run)
        with _nothing_written_down(live_coordinator):
            back.keep()
            world.let("b")
            wait_until(lambda: run.status() == "completed", description="it has ended")
            _idle()
            back.go_back(everything=True)
            store = live_coordinator.engine.store
            store.redis.hdel(store.keys.run(run.id), "first", "a:first")
        assert run.wait(TIMEOUT) == "parked"
        [letter] = run.letters()
        assert letter.kind == "lost"

    def test_what_waits_in_a_queue_or_is_at_work_is_left_alone(
        self, live_coordinator: Coordinator, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long: its message is there, and no second one is sent."""
        run = _both_at_work(live_coordinator, world, Order(number="1"))
        taken_up: list[str] = []
        monkeypatch.setattr(Losses, "_move", lambda _, row, *__: taken_up.append(row.run))
        until = time.monotonic() + 3
        wait_until(lambda: time.monotonic() > until, description="it was compared a few times")
        assert not taken_up
        world.let("abj")
        assert run.result(TIMEOUT) == Order(number="1")

    def test_an_outcome_that_is_lost_in_its_own_slot(
        self, live_coordinator: Coordinator, world: World
    ) -> None:
        """The run knows that the step is settled and has let its outcome go to the key, which has lost it: the journal has it."""
        live_coordinator.engine.store.handoffs.worth_letting_go = 0
        back, flow = Back(live_coordinator), Flow("loss.flow", world.a >> world.b >> world.c)
        run = live_coordinator.start(flow, Order(number="1"))
        world.let("ab")
        wait_until(lambda: world.done["c begun"], description="the last is at work")
        _told(live_coordinator, run, "2")
        with _nothing_written_down(live_coordinator):
            back.keep()
            world.let("c")
            wait_until(lambda: run.status() == "completed", description="it has ended")
            _idle()
            back.go_back(everything=True)
            redis: Any = live_coordinator.engine.store.redis
            redis.delete(*redis.keys("*outcome:*"))
        assert run.result(TIMEOUT) == Order(number="1")
        assert (world.done["a"], world.done["b"]) == (1, 1)


class TestNothingLeft:
    """Redis has nothing any more."""

    def test_a_chain_goes_on(self, live_coordinator: Coordinator, world: World) -> None:
        """Its message is all it takes."""
        run = live_coordinator.start(Flow("loss.flow", world.a >> world.b), Order(number="1"))
        wait_until(lambda: world.done["a begun"], description="it is at work")
        live_coordinator.engine.store.redis.flushall()
        world.let("ab")
        assert run.result(TIMEOUT) == Order(number="1")
        assert (world.done["a"], world.done["b"]) == (1, 1)

    def test_a_join_is_parked(self, live_coordinator: Coordinator, world: World) -> None:
        """A part of it has come, and cannot come again: the run does not wait for it for ever."""
        run = live_coordinator.start(world.join, Order(number="1"))
        wait_until(lambda: world.done["b begun"], description="one is at work")
        world.let("aj")
        _told(live_coordinator, run, "1.a.1")
        live_coordinator.engine.store.redis.flushall()
        world.let("b")
        assert run.wait(TIMEOUT) == "parked"
        [letter] = run.letters()
        assert (letter.kind, world.done["a"]) == ("lost", 1)
        with pytest.raises(RunParked, match="lost"):
            run.result(TIMEOUT)
        run.cancel()
        assert run.status() == "cancelled"

    def test_a_run_of_which_no_message_comes_is_parked(
        self, live_coordinator: Coordinator, world: World
    ) -> None:
        """It waited for a signal: it is called unknown, and then parked with the reason."""
        run = live_coordinator.start(
            Flow("loss.flow", world.a >> wait_for("go", Order) >> world.b), Order(number="1")
        )
        world.let("a")
        _told(live_coordinator, run, "1")
        _known(live_coordinator, run)
        live_coordinator.engine.store.redis.flushall()
        assert run.status() == "unknown"
        assert run.wait(TIMEOUT) == "parked"
        [letter] = run.letters()
        assert letter.kind == "lost"

    def test_a_list_is_taken_up(self, live_coordinator: Coordinator, world: World) -> None:
        """All items of it, each once, where Redis has lost a few of them."""
        back = Back(live_coordinator)
        flow = Flow("loss.flow", each("orders", world.a, into="orders", limit=2) >> world.many, input=Many)
        many = Many(orders=[Order(number=str(number)) for number in range(6)])
        run = live_coordinator.start(flow, many)
        wait_until(lambda: world.done["a begun"] == 2, description="two are at work")
        _known(live_coordinator, run)
        back.keep()
        world.let("a")
        wait_until(lambda: world.done["m"], description="it is done")
        _told(live_coordinator, run, "2")
        wait_until(
            lambda: live_coordinator.journal.runs.states([run.id])[run.id] == "completed",
            description="it has ended",
        )
        back.go_back()
        live_coordinator.engine.store.redis.delete(live_coordinator.engine.store.keys.ended(run.id))
        assert run.result(TIMEOUT) == Order(number="5")
        assert (world.done["a"], world.done["m"]) == (6, 1)


def test_one_that_cannot_be_mended_stops_no_other(
    live_coordinator: Coordinator, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass goes on behind it, also where it is the first."""
    mend, tried = Losses._mend, []

    def fragile(self: Losses, row: Any, *, again: bool) -> None:
        tried.append(row.run)
        if len({*tried}) == 1:
            raise KeyError("broken")
        mend(self, row, again=again)

    monkeypatch.setattr(Losses, "_mend", fragile)
    back = Back(live_coordinator)
    runs = [live_coordinator.start(world.join, Order(number=str(number))) for number in range(2)]
    wait_until(
        lambda: world.done["a begun"] == 2 and world.done["b begun"] == 2, description="all are at work"
    )
    for run in runs:
        _known(live_coordinator, run)
    back.keep()
    world.let("aj")
    for run in runs:
        _told(live_coordinator, run, "1.a.1")
    back.go_back()
    world.let("b")
    wait_until(lambda: "completed" in live_coordinator.statuses(runs), description="the other has completed")
    assert len({*tried}) == 2


@contextmanager
def _nothing_written_down(coordinator: Coordinator) -> Iterator[None]:
    """The journal gets nothing meanwhile, and what is lost by the end was never there."""
    entries = coordinator.engine.entries
    for shard in range(coordinator.settings.shards):
        wait_until(lambda shard=shard: not entries.oldest(shard), description="all is written down")  # type: ignore[misc]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "oldest", lambda *_, **__: [])
        yield


def _idle(at_work: int = 0) -> None:
    """Whatever was in hand is acknowledged, all but so many steps that are at work."""
    wait_until(
        lambda: len(state.reserved_requests) <= at_work, description="no worker has anything else in hand"
    )


def _known(coordinator: Coordinator, run: Run) -> None:
    wait_until(lambda: coordinator.journal.runs.states([run.id]), description="the journal knows of it")
