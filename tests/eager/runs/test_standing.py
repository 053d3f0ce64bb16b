"""What is unknown is called unknown; and a run that waits does not expire."""

from datetime import timedelta

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent, wait_for
from handoffs.config.settings import Settings
from handoffs.coordinator.client import waiting as client
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import UnknownRun
from handoffs.coordinator.runtime.upkeep import Upkeep
from tests.waiting import wait_until


class Order(Contract, name="stand.order", version=1):
    number: str = Key()


@agent("stand.first")
def first(order: Order) -> Order:
    return order


WAITS = Flow("stand.waits", first >> wait_for("go", Order))
ENDS = Flow("stand.ends", first)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_UNKNOWN_FOR", 0.2)


def _forget(coordinator: Coordinator, run: Run) -> None:
    """Redis has lost a run."""
    coordinator.engine.store.redis.delete(coordinator.engine.store.keys.run(run.id))


def _waiting(coordinator: Coordinator) -> Run:
    run = coordinator.start(WAITS, Order(number="1"))
    wait_until(lambda: [one for one in run.current() if one.signal], description="it waits")
    wait_until(lambda: coordinator.journal.runs.states([run.id]), description="the journal knows of it")
    return run


class TestForgotten:
    def test_a_run_that_goes_on(self, anywhere: Coordinator) -> None:
        """Nobody knows how it is: it is neither completed, nor is its end waited for."""
        run = anywhere.start(WAITS, Order(number="1"))
        wait_until(lambda: [one for one in run.current() if one.signal], description="it waits")
        _forget(anywhere, run)
        assert (run.status(), anywhere.statuses([run]), run.wait()) == ("unknown", ["unknown"], "unknown")
        with pytest.raises(UnknownRun, match="does not know"):
            run.result()
        assert anywhere.run(run.id).status() == "unknown"

    def test_what_comes_late_does_not_make_it_live(self, live_coordinator: Coordinator) -> None:
        """An entry of its history that is drained when Redis has forgotten it: how it ended stays."""
        coordinator = live_coordinator
        run = coordinator.start(ENDS, Order(number="1"))
        ended = coordinator.journal.runs.states
        wait_until(lambda: ended([run.id]).get(run.id) == "completed", description="it is told")
        _forget(coordinator, run)
        Upkeep(coordinator.engine.services, coordinator.journal).tell([{"run": run.id, "flow": "any"}])
        assert ended([run.id]) == {run.id: "completed"}

    @pytest.mark.parametrize("ending", ["completed", "cancelled"])
    def test_a_run_that_has_ended(self, live_coordinator: Coordinator, ending: str) -> None:
        """The journal says how."""
        coordinator = live_coordinator
        run = coordinator.start(ENDS if ending == "completed" else WAITS, Order(number="1"))
        if ending == "cancelled":
            run.cancel()
        wait_until(
            lambda: coordinator.journal.runs.states([run.id]).get(run.id) == ending, description="it is told"
        )
        _forget(coordinator, run)
        assert (run.status(), coordinator.statuses([run]), run.wait()) == (ending, [ending], ending)
        if ending == "completed":
            with pytest.raises(UnknownRun, match="forgotten"):
                run.result()

    def test_a_message_that_is_on_its_way_begins_it_anew(self, live_coordinator: Coordinator) -> None:
        """A run that is unknown for a moment is waited for."""
        run = live_coordinator.start(Flow("stand.slow", first), Order(number="1"))
        _forget(live_coordinator, run)
        assert run.wait(20) in {"completed", "unknown"}


class TestKept:
    """A run that is kept for some seconds where nothing touches it: a machine that is at work may be late by one or two."""

    @pytest.fixture
    def coordinator_settings(self, coordinator_settings: Settings) -> Settings:
        return coordinator_settings.model_copy(update={"run_ttl": timedelta(seconds=4)})

    def test_a_run_that_waits_does_not_expire(self, live_coordinator: Coordinator) -> None:
        """Neither it nor what it shares with others, however long it waits: the coordinator process sees to that."""
        coordinator = live_coordinator
        run = _waiting(coordinator)
        key = coordinator.engine.store.keys.run(run.id)
        redis, renewed, before = coordinator.engine.store.redis, 0, 0

        def two_lives() -> bool:
            nonlocal renewed, before
            left = redis.pttl(key)
            assert left > 0
            renewed, before = renewed + (left > before), left
            return renewed > 8

        wait_until(two_lives, description="it was touched often enough for two lives")
        assert run.status() == "running"
        run.signal("go", Order(number="2"))
        assert run.result(20) == Order(number="2")
        assert -1 not in {redis.pttl(one) for one in redis.keys("*")}

    def test_one_that_begins_later_is_kept_until_then(self, live_coordinator: Coordinator) -> None:
        """To touch it does not make it shorter."""
        coordinator = live_coordinator
        run = coordinator.start(ENDS, Order(number="1"), at=timedelta(days=300))
        coordinator.engine.runs.touch([run.id])
        assert coordinator.engine.store.redis.pttl(coordinator.engine.store.keys.run(run.id)) > 25_000_000_000
