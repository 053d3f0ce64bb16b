"""No limbo: where a run cannot go on, whoever moved it is refused and nothing has changed, or a letter waits that can be dealt with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Run,
    agent,
    budget,
    choice,
    compensate,
    constant,
    delay,
    each,
    emit,
    field,
    go_on,
    parallel,
    wait_for,
    when,
)
from handoffs.config.settings import Settings
from handoffs.contracts.errors import TooLarge
from handoffs.coordinator.dispatch.ahead import Ahead
from handoffs.coordinator.errors import Permanent
from handoffs.coordinator.flow.step import Step
from tests.eager.flow.orders import waits
from tests.eager.flow.sizes import LIMIT, PART, Count, Size, both, fill
from tests.waiting import wait_until


@pytest.fixture
def coordinator_settings(coordinator_settings: Settings) -> Settings:
    return coordinator_settings.model_copy(update={"max_message_bytes": LIMIT})


@agent("limbo.passes")
def passes(size: Size) -> Size:
    return size


@agent("limbo.fails", retry=Retry(attempts=1))
def fails(size: Size) -> Size:
    raise Permanent("no")


NEVER = choice(when(field("text") == "never", passes), otherwise=go_on)
"""Passes on what it gets, and a join is reached only behind it."""


def is_waiting(coordinator: Coordinator, run: Run, settled: int) -> bool:
    record = coordinator.engine.runs.get(run.id)
    return record is not None and bool(record.waits) and len(record.settled) == settled


class TestSignals:
    def test_refused_before_anything_is_taken(self, running: Coordinator) -> None:
        """A signal that has no room in a join behind a choice is refused; its step still waits, and a smaller one is taken."""
        waiting = wait_for("said", Size) >> NEVER
        run = running.start(
            Flow("limbo.signal", parallel(a=fill("a", PART), b=fill("b", 1) >> waiting) >> both), Size(id="1")
        )
        wait_until(lambda: is_waiting(running, run, 2), description="the run waits")
        for _ in range(2):
            with pytest.raises(TooLarge):
                run.signal("said", Size(id="1", text="x" * PART))
            assert waits(running, run)
        run.signal("said", Size(id="1", text="x"))
        assert run.result(timeout=20).octets == PART + 1

    @pytest.mark.parametrize("early", [True, False])
    def test_begins_with_the_wait(self, live_coordinator: Coordinator, *, early: bool) -> None:
        """The same where the run begins with its wait, and where the signal came before it."""
        waiting = wait_for("said", Size) >> NEVER
        flow = Flow("limbo.begins", parallel(a=fill("c", PART), b=waiting) >> both, input=Size)
        run = live_coordinator.start(flow, Size(id="1"), at=timedelta(milliseconds=500) if early else None)
        if early:
            run.signal("said", Size(id="1", text="x" * PART))
            wait_until(
                lambda: (
                    (
                        waits(live_coordinator, run)
                        and any(entry["kind"] == "refused" for entry in run.history())
                    )
                    or run.status() == "parked"
                ),
                description="it is refused, or its part of the join is",
            )
        else:
            wait_until(lambda: is_waiting(live_coordinator, run, 1), description="the run waits")
            with pytest.raises(TooLarge):
                run.signal("said", Size(id="1", text="x" * PART))
        if run.status() == "parked":  # the signal was there first
            [letter] = run.letters()
            live_coordinator.skip(letter, Size(id="1", text="x" * (LIMIT // 8)), why="too large")
            assert run.result(timeout=20).octets == PART + LIMIT // 8
        else:
            run.signal("said", Size(id="1", text="x"))
            assert run.result(timeout=20).octets == PART + 1


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks ahead: as where something else arrives in the moment after that."""

    def look(self: Ahead, *_: object) -> Iterator[object]:
        yield from ()

    monkeypatch.setattr(Ahead, "look", look)


def onward_letter(coordinator: Coordinator, run: Run, step: str) -> None:
    """Wait for the letter of what could not go on, replay it, which finds the same, and give it something smaller."""
    for _ in range(2):
        wait_until(
            lambda: [(letter.kind, letter.step) for letter in run.letters()] == [("too-large", step)],
            description="what could not go on is a letter",
        )
        assert run.wait(timeout=20) == "parked"
        run.letters()[0].replay()
    wait_until(lambda: run.status() == "parked" and len(run.letters()) == 1, description="once more")
    coordinator.skip(run.letters()[0], Size(id="1", text="small"), why="it is too large")


@pytest.mark.usefixtures("blind")
class TestFoundTooLate:
    """What nobody has foreseen: it is settled, and what follows is a letter that can be replayed and skipped."""

    def test_signal(self, running: Coordinator) -> None:
        """A signal has passed its wait, and has no room behind it."""
        waiting = wait_for("said", Size) >> NEVER
        run = running.start(
            Flow("limbo.late-signal", parallel(a=fill("d", PART), b=fill("e", 1) >> waiting) >> both),
            Size(id="1"),
        )
        wait_until(lambda: is_waiting(running, run, 2), description="the run waits")
        run.signal("said", Size(id="1", text="x" * PART))
        onward_letter(running, run, "1.b.2.onward")
        assert run.result(timeout=20).octets == PART + 5

    def test_timer(self, live_coordinator: Coordinator) -> None:
        """A constant has passed its budget, and has no room behind it."""
        within = budget(
            fails, within=timedelta(milliseconds=300), fallback=constant(Size(id="0", text="x" * PART))
        )
        run = live_coordinator.start(
            Flow("limbo.late-timer", parallel(a=fill("f", PART), b=within >> NEVER) >> both), Size(id="1")
        )
        onward_letter(live_coordinator, run, "1.b.1.onward")
        assert run.result(timeout=20).octets == PART + 5

    def test_skip(self, live_coordinator: Coordinator) -> None:
        """A person's outcome has completed a join of branches, and has no room behind that."""
        inner = budget(fails, within=timedelta(hours=1), fallback=constant(Size(id="0"))) >> NEVER
        run = live_coordinator.start(
            Flow("limbo.late-skip", parallel(a=fill("g", PART), b=inner) >> both), Size(id="1")
        )
        wait_until(lambda: len(run.letters()) == 1, description="a step is parked")
        live_coordinator.skip(run.letters()[0], Size(id="1", text="x" * PART), why="by hand")
        onward_letter(live_coordinator, run, "1.b.1.onward")
        assert run.result(timeout=20).octets == PART + 5


class TestWhoSettles:
    def test_skip(self, live_coordinator: Coordinator) -> None:
        """A person's outcome that has no room behind its budget is refused, and the letter waits as before."""
        inner = budget(fails, within=timedelta(hours=1), fallback=constant(Size(id="0"))) >> NEVER
        run = live_coordinator.start(
            Flow("limbo.skip", parallel(a=fill("h", PART), b=inner) >> both), Size(id="1")
        )
        wait_until(lambda: len(run.letters()) == 1, description="a step is parked")
        [letter] = run.letters()
        with pytest.raises(TooLarge):
            live_coordinator.skip(letter, Size(id="1", text="x" * PART), why="by hand")
        assert [one.kind for one in run.letters()] == ["error"]
        live_coordinator.skip(letter, Size(id="1", text="x"), why="by hand")
        assert run.result(timeout=20).octets == PART + 1

    def test_fallback(self, running: Coordinator) -> None:
        """A constant that has no room behind its budget has not taken the place of the step: that may still be given an outcome."""
        within = budget(
            fails, within=timedelta(milliseconds=300), fallback=constant(Size(id="0", text="x" * PART))
        )
        run = running.start(
            Flow("limbo.timer", parallel(a=fill("i", PART), b=within >> NEVER) >> both), Size(id="1")
        )
        wait_until(lambda: len(run.letters()) == 2, description="its timer is a letter")
        assert run.wait(timeout=20) == "parked"
        [letter] = [one for one in run.letters() if one.step == "1.b.1.b.1"]
        running.skip(letter, Size(id="1", text="x"), why="by hand")
        assert run.result(timeout=20).octets == PART + 1

    def test_signal_after_its_time(self, live_coordinator: Coordinator) -> None:
        """The time of a wait is over, and what is to go on has no room; then its signal comes. The letter of the timer waits no more."""
        instead = constant(Size(id="0", text="x" * PART))
        waiting = wait_for("said", Size, timeout=timedelta(milliseconds=300), otherwise=instead)
        run = live_coordinator.start(
            Flow(
                "limbo.signal-late", parallel(a=fill("k", PART), b=fill("l", 1) >> waiting >> NEVER) >> both
            ),
            Size(id="1"),
        )
        wait_until(lambda: [one.step for one in run.letters()] == ["1.b.2.timer"], description="a letter")
        run.signal("said", Size(id="1", text="x"))
        assert run.result(timeout=20).octets == PART + 1
        wait_until(lambda: run.letters() == [], description="no letter waits")

    def test_undoing(self, running: Coordinator) -> None:
        """An output that could not be undone, since that would be more than a message has room for, is no outcome."""
        large = compensate(fill("j", LIMIT - 100), by=passes)
        run = running.start(Flow("limbo.undone", parallel(a=large, b=wait_for("said", Size))), Size(id="1"))
        assert run.wait(timeout=20) == "parked"
        assert [letter.kind for letter in run.letters()] == ["too-large"]
        run.cancel(compensate=True)
        assert run.wait(timeout=20) == "cancelled"


NOW = timedelta(milliseconds=700)


class Items(Contract, name="limbo.items", version=1):
    id: str = Key()
    items: list[Size]


class Made(Contract, name="limbo.made", version=1):
    made: list[Size]


@agent("limbo.counts")
def counts(made: Made) -> Count:
    return Count(octets=len(made.made))


class TestDelays:
    """A delay is waited for before whatever follows: before what sends nothing, too."""

    @pytest.mark.parametrize(
        "step",
        [
            pytest.param(delay(NOW) >> NEVER, id="a choice that goes on"),
            pytest.param(delay(NOW) >> NEVER >> passes, id="a choice that goes on, and an agent"),
            pytest.param(parallel(a=passes, b=delay(NOW) >> NEVER), id="a branch that does nothing"),
            pytest.param(delay(NOW / 2) >> delay(NOW / 2) >> NEVER, id="two delays"),
            pytest.param(emit() >> delay(NOW) >> emit(), id="an event, and the end"),
        ],
    )
    def test_it_is_waited_for(self, live_coordinator: Coordinator, step: Step) -> None:
        """The run ends no sooner, and says until when it waits; no message is left."""
        flow = Flow("limbo.delayed", step, input=Size)
        run = live_coordinator.start(flow, Size(id="1", text="x"))
        assert run.wait(timeout=float(NOW.total_seconds() / 2)) == "running"
        wait_until(
            lambda: any(one.state == "delayed" for one in run.current()), description="it says that it waits"
        )
        assert run.wait(timeout=20) == "completed"
        times = [datetime.fromisoformat(entry["at"]) for entry in run.history()]
        assert datetime.now(UTC) - times[0] >= NOW
        assert run.current() == []
        assert not live_coordinator.engine.outstanding.counts()

    @pytest.mark.parametrize("items", [0, 2])
    def test_before_a_list(self, running: Coordinator, items: int) -> None:
        """Also before a list, and where that is empty; in eager mode nothing is waited for."""
        flow = Flow("limbo.list", delay(NOW) >> each("items", passes, into="made") >> counts, input=Items)
        given = Items(id="1", items=[Size(id=str(number)) for number in range(items)])
        assert running.start(flow, given).result(timeout=20).octets == items

    def test_within_a_budget(self, live_coordinator: Coordinator) -> None:
        """A budget that is spent meanwhile takes its place, and what comes later changes nothing."""
        within = budget(delay(NOW) >> NEVER, within=NOW / 3, fallback=constant(Size(id="0", text="instead")))
        run = live_coordinator.start(
            Flow("limbo.hurried", within >> delay(NOW / 2) >> NEVER, input=Size), Size(id="1")
        )
        assert run.result(timeout=20).text == "instead"

    def test_cancelled(self, live_coordinator: Coordinator) -> None:
        """A run that was cancelled meanwhile does not go on."""
        run = live_coordinator.start(Flow("limbo.ended", delay(NOW) >> NEVER, input=Size), Size(id="1"))
        run.cancel()
        settled = datetime.now(UTC) + NOW
        wait_until(lambda: datetime.now(UTC) > settled, description="its time is over")
        assert run.status() == "cancelled"
