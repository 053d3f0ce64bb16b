"""Schedules: when next, what was started, and what nobody has taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent, schedule
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.observe.scheduling import times_before
from handoffs.coordinator.store.schedules import ScheduleProgress
from tests.eager.console.pages import console


class Day(Contract, name="scheduled.day", version=1):
    day: str = Key()


@agent("scheduled.close")
def close(day: Day) -> Day:
    return day


DAYS = Flow("scheduled.days", close)


def often() -> timedelta:
    """An interval of some three weeks, in the middle of which it is now."""
    return timedelta(seconds=int(datetime.now(UTC).timestamp() / 1000.5))


REGULAR = schedule("scheduled.regular", DAYS, every=often(), payload=lambda due: Day(day=due.isoformat()))


@pytest.fixture
def clockwork(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """A coordinator with a schedule; no beat is there."""
    loaded = Definitions()
    loaded.add(REGULAR)
    monkeypatch.setattr(coordinator._loaded, "_definitions", loaded)
    return coordinator


def test_one_that_nobody_starts_is_told(clockwork: Coordinator) -> None:
    """Before a beat has seen it: the page, its JSON and its command."""
    with console(clockwork) as browser:
        page = browser.get("/schedules")
        assert "no beat has seen it" in page
        assert "coordinator schedules list" in page
        [one] = browser.json("/api/schedules")["schedules"]
        assert (one["name"], one["flow"], one["when"], one["met"]) == (
            "scheduled.regular", "scheduled.days", str(REGULAR.when), False,
        )  # fmt: skip


def test_starts_and_missed_times_are_beside_one_another(clockwork: Coordinator) -> None:
    """What a beat started leads to its run; times that came when no beat looked have none, and are counted as missed."""
    progress = ScheduleProgress(clockwork.engine.store.redis, clockwork.settings)
    newest, second, third = times_before(REGULAR, datetime.now(UTC), 3)
    started = clockwork.start(DAYS, REGULAR.made(third), idempotency_key=REGULAR.key(third))
    progress.done(REGULAR.name, third, started.id)
    with console(clockwork) as browser:
        assert f'href="/runs/{started.id}"' in browser.get("/schedules")
        told = browser.json("/api/schedules/scheduled.regular?times=3")
        assert [(one["run"], one["status"]) for one in told["before"]] == [
            ("", ""),
            ("", ""),
            (started.id, "completed"),
        ]
        assert [datetime.fromisoformat(one["due"]) for one in told["before"]] == [newest, second, third]
        assert (told["met"], told["overdue"], len(told["next"])) == (True, 2, 3)
        page = browser.get("/schedules/scheduled.regular")
        assert "nobody has taken 2 of its times" in page
        assert f'href="/runs/{started.id}"' in page


def test_one_that_is_not_there_is_not_found(clockwork: Coordinator) -> None:
    """And numbers that are none are refused."""
    with console(clockwork) as browser:
        assert "there is no schedule" in browser.get("/schedules/none", status=404)
        browser.json("/api/schedules/scheduled.regular?times=0", status=422)
        browser.json("/api/schedules/%00", status=404)


def test_where_none_is_declared_the_page_says_so(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty list is no error."""
    monkeypatch.setattr(coordinator._loaded, "_definitions", Definitions())
    with console(coordinator) as browser:
        assert "No schedule is declared" in browser.get("/schedules")
