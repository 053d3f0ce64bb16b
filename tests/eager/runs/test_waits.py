"""Waits: who waits for a run is told when it has ended or is parked, in threads and in coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import NoPermissionError

from handoffs import Contract, Coordinator, Flow, Key, Retry, Run, agent, compensate, on, wait_for
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.client import parked, waiting
from handoffs.coordinator.errors import Permanent, RunCancelled, RunParked, RunTimeout
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.observe.standing import Standings, Status
from handoffs.coordinator.store import endings
from tests.waiting import wait_until


class Job(Contract, name="waits.job", version=1):
    id: str = Key()
    text: str = ""


@agent("waits.work", retry=Retry(attempts=1))
def work(job: Job) -> Job:
    if job.text == "fail":
        raise Permanent("no")
    return job


@agent("waits.undo")
def undo(job: Job) -> Job:
    return job


@on(Job)
@agent("waits.hear")
def hear(job: Job) -> None:
    """Somebody who hears it."""


SAID = wait_for("said", Job)
FLOW = Flow("waits.flow", SAID >> work, input=Job)
UNDONE = Flow("waits.undone", compensate(work, by=undo) >> SAID >> work, input=Job)
SLOW = 30.0  # seconds


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the end of a run is told, nobody looks for it before a test fails."""
    monkeypatch.setattr(waiting, "_SHORTEST_TOLD", SLOW)
    monkeypatch.setattr(waiting, "_LONGEST_TOLD", SLOW)


@pytest.fixture
def waiter() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def heard(coordinator: Coordinator, *runs: Run) -> None:
    """Wait until what is told of the runs comes here."""
    channels = {coordinator.engine.store.keys.run(run.id) for run in runs}
    wait_until(lambda: channels <= coordinator._endings._heard, description="the ends of the runs are told")


def said(run: Run, text: str = "") -> None:
    run.signal("said", Job(id=run.id, text=text))


ENDS: dict[str, Callable[[Run], Any]] = {
    "completed": said,
    "parked": lambda run: said(run, "fail"),
    "cancelled": lambda run: run.cancel(),
}


class TestTold:
    @pytest.mark.usefixtures("seldom")
    @pytest.mark.parametrize("status", ENDS)
    def test_it_is_told_at_once(
        self, live_coordinator: Coordinator, waiter: ThreadPoolExecutor, status: str
    ) -> None:
        """Also those who wait for the same run, and one that waits already when another comes and goes."""
        run = live_coordinator.start(FLOW, Job(id="1"))
        waits = [waiter.submit(run.wait, SLOW), waiter.submit(live_coordinator.run(run.id).wait, SLOW)]
        heard(live_coordinator, run)
        assert run.wait(0.01) == "running"
        began = time.monotonic()
        ENDS[status](run)
        assert {wait.result(SLOW) for wait in waits} == {status}
        assert time.monotonic() - began < SLOW / 2

    @pytest.mark.usefixtures("seldom")
    def test_the_end_of_what_undoes_a_run_is_told(
        self, live_coordinator: Coordinator, waiter: ThreadPoolExecutor
    ) -> None:
        """While it is compensating it has not ended."""
        run = live_coordinator.start(UNDONE, Job(id="1"))
        wait_until(lambda: [one for one in run.current() if one.signal], description="it waits")
        wait = waiter.submit(run.wait, SLOW)
        heard(live_coordinator, run)
        run.cancel(compensate=True)
        assert wait.result(SLOW) == "cancelled"

    @pytest.mark.usefixtures("seldom")
    def test_the_end_of_a_story_is_told(self, live_coordinator: Coordinator) -> None:
        """With the last who hears its event."""
        live_coordinator.work([hear])
        began = time.monotonic()
        for number in range(5):
            assert live_coordinator.emit(Job(id=str(number))).wait(SLOW) == "completed"
        assert time.monotonic() - began < SLOW / 2

    @pytest.mark.usefixtures("seldom")
    def test_little_is_asked_meanwhile(
        self, live_coordinator: Coordinator, waiter: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once the end is told, nobody looks before it comes."""
        run = live_coordinator.start(FLOW, Job(id="1"))
        looks: list[str] = []
        of = live_coordinator._access.standings.of

        def counted(_: Standings, run: str) -> Any:
            looks.append(run)
            return of(run)

        monkeypatch.setattr(Standings, "of", counted)
        wait = waiter.submit(run.wait, SLOW)
        heard(live_coordinator, run)
        before = len(looks)
        assert run.wait(0.5) == "running"  # which looks a few times itself
        said(run)
        assert wait.result(SLOW) == "completed"
        assert len(looks) - before < 10

    def test_what_nobody_waits_for_any_more_is_not_told(
        self, live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its channel is given up, and after a while the connection too; whoever waits then has another."""
        monkeypatch.setattr(endings, "_GLANCE", 0.02)
        monkeypatch.setattr(endings, "_IDLE", 0.2)
        redis: Any = live_coordinator.engine.store.redis
        for number in range(2):
            run = live_coordinator.start(FLOW, Job(id=str(number)))
            assert run.wait(0.3) == "running"
            wait_until(lambda: redis.pubsub_channels() == [], description="no channel is left")
            wait_until(
                lambda: live_coordinator._endings._pubsub is None, description="the connection is gone"
            )


class TestNotTold:
    def test_where_channels_are_not_allowed_it_is_looked_for(
        self, live_coordinator: Coordinator, waiter: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As often as ever."""

        def refuses(*_: Any, **__: Any) -> Any:
            raise NoPermissionError("no permission to access one of the channels")

        monkeypatch.setattr(type(live_coordinator.engine.store.redis), "pubsub", refuses)
        run = live_coordinator.start(FLOW, Job(id="1"))
        wait = waiter.submit(run.wait, SLOW)
        said(run)
        assert wait.result(SLOW) == "completed"

    def test_a_connection_that_breaks_is_made_anew(
        self, live_coordinator: Coordinator, waiter: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who waits looks for itself until then."""
        monkeypatch.setattr(endings, "_AGAIN", 0.05)
        monkeypatch.setattr(endings, "_GLANCE", 0.02)
        run = live_coordinator.start(FLOW, Job(id="1"))
        wait = waiter.submit(run.wait, SLOW)
        heard(live_coordinator, run)
        first = live_coordinator._endings._pubsub

        def broken(**_: Any) -> Any:
            raise ConnectionError("gone")

        first.get_message = broken
        wait_until(
            lambda: live_coordinator._endings._pubsub not in {None, first}, description="there is another"
        )
        heard(live_coordinator, run)
        said(run)
        assert wait.result(SLOW) == "completed"

    def test_a_message_that_is_lost_costs_a_moment(
        self, live_coordinator: Coordinator, waiter: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is looked from time to time all the same."""
        monkeypatch.setattr(live_coordinator._endings, "_take", lambda *_: None)
        run = live_coordinator.start(FLOW, Job(id="1"))
        wait = waiter.submit(run.wait, SLOW)
        said(run)
        assert wait.result(SLOW) == "completed"


class TestCoroutines:
    def test_a_handler_starts_a_run_and_has_its_result(self, anywhere: Coordinator) -> None:
        """While it waits, the event loop does other things."""

        async def handler() -> Any:
            run = await anywhere.astart(Flow("waits.plain", work), Job(id="1"))
            return await run.aresult(SLOW), await run.await_status(SLOW)

        assert asyncio.run(handler()) == (Job(id="1"), "completed")

    @pytest.mark.usefixtures("seldom")
    def test_hundreds_wait_and_no_thread_is_taken(self, live_coordinator: Coordinator) -> None:
        """Nor is the event loop: a clock in it goes on ticking, and those that wait are told."""
        late: list[float] = []

        async def clock() -> None:
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.01)
                late.append(time.monotonic() - began)

        async def main() -> set[Status]:
            ticking = asyncio.create_task(clock())
            runs = await asyncio.gather(
                *(live_coordinator.astart(FLOW, Job(id=str(number))) for number in range(100))
            )
            waits = [asyncio.create_task(run.await_status(SLOW)) for run in runs]
            await asyncio.to_thread(heard, live_coordinator, *runs)
            assert sum(thread.name.startswith("coordinator-async") for thread in threading.enumerate()) <= 16
            await asyncio.to_thread(lambda: [run.cancel() for run in runs])
            statuses = set(await asyncio.gather(*waits))
            ticking.cancel()
            return statuses

        assert asyncio.run(main()) == {"cancelled"}
        assert sorted(late)[len(late) // 2] < 0.5

    def test_who_is_cancelled_leaves_the_run_alone(self, live_coordinator: Coordinator) -> None:
        """It goes on, and nobody waits for it any more."""
        run = live_coordinator.start(FLOW, Job(id="1"))

        async def main() -> None:
            wait = asyncio.create_task(run.aresult())
            await asyncio.to_thread(heard, live_coordinator, run)
            wait.cancel()
            with pytest.raises(asyncio.CancelledError):
                await wait
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await run.await_status()

        asyncio.run(main())
        wait_until(lambda: not live_coordinator._endings._waits, description="nobody waits")
        said(run)
        assert run.wait(SLOW) == "completed"

    def test_what_is_wrong_is_raised_as_by_result(self, live_coordinator: Coordinator) -> None:
        """A time that is over, a run that is parked, one that is cancelled, and what is no timeout."""
        runs = [live_coordinator.start(FLOW, Job(id=str(number))) for number in range(3)]
        said(runs[1], "fail")
        runs[2].cancel()

        async def main() -> None:
            began = time.monotonic()
            with pytest.raises(RunTimeout):
                await runs[0].aresult(0.2)
            assert time.monotonic() - began >= 0.2
            with pytest.raises(RunParked):
                await runs[1].aresult(SLOW)
            with pytest.raises(RunCancelled):
                await runs[2].aresult(SLOW)
            with pytest.raises(InvalidData):
                await runs[0].aresult("soon")  # type: ignore[arg-type]
            with pytest.raises(InvalidData):
                await live_coordinator.astart(FLOW, {"id": 5})

        asyncio.run(main())

    def test_runs_whose_letters_do_not_come_take_no_thread(
        self, live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The coordinator process is down: whoever waits for the letters of parked runs holds up nobody who starts others."""
        monkeypatch.setattr(parked, "LETTERS_WITHIN", SLOW)
        looked: set[str] = set()

        def none(_: Desk, marks: dict[str, Any]) -> list[str]:
            looked.update(reason["message"] for reason in marks.values())
            return list(marks)

        monkeypatch.setattr(Desk, "undrained", none)
        runs = [live_coordinator.start(FLOW, Job(id=str(number))) for number in range(40)]
        for run in runs:
            said(run, "fail")

        async def main() -> list[Status | BaseException]:
            waits = [asyncio.create_task(run.await_status(SLOW)) for run in runs]
            await asyncio.to_thread(
                wait_until, lambda: len(looked) == len(runs), description="all look for letters"
            )
            async with asyncio.timeout(SLOW / 2):
                await live_coordinator.astart(FLOW, Job(id="another"))
            for wait in waits:
                wait.cancel()
            return await asyncio.gather(*waits, return_exceptions=True)

        assert {type(found) for found in asyncio.run(main())} == {asyncio.CancelledError}
