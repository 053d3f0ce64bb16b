"""What the doctor says of the journal, of workers, of beat and of settings."""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handoffs import Contract, Flow, agent, schedule
from handoffs.config.payloads import PayloadSettings
from handoffs.config.settings import Settings
from handoffs.contracts.registry.registry import open_registry
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.journal.faults import Fault
from handoffs.coordinator.journal.verification import Verified
from handoffs.coordinator.observe.doctor.check import Check, failed, of_error, ok, unknown, warning, worst
from handoffs.coordinator.observe.doctor.journal import JournalFacts, drain_check, journal_checks
from handoffs.coordinator.observe.doctor.payloads import payload_checks
from handoffs.coordinator.observe.doctor.settings import module_checks, settings_checks, weakness
from handoffs.coordinator.observe.doctor.workers import WorkerFacts, beat_check, worker_checks
from handoffs.coordinator.runtime.composition import payloads_of
from handoffs.coordinator.store.schedules import Progress
from tests.unit.observe.doctor.found import by_name

JOURNAL = JournalFacts("PostgreSQL 16.1", "0008", 0.0, 0.001, "key-1", newest=Verified(2, 9))
HERE = {"handoffs": "1", "celery": "5.7.0", "kombu": "5.7.0", "redis": "8.1.0"}
WORKER = WorkerFacts("shop.one", "w1", "b1", HERE, 0.01)
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def test_the_worst_state_is_that_of_all() -> None:
    """Of none it is ok."""
    checks = [
        ok("redis", "a", ""),
        unknown("redis", "b", "", "r"),
        warning("redis", "c", "", "r"),
        failed("redis", "d", "", "r"),
    ]
    assert [worst(checks[:number]) for number in range(5)] == ["ok", "ok", "unknown", "warning", "failed"]


def test_a_check_is_one_line_and_json() -> None:
    """Whatever a server has said."""
    found = warning("redis", "a\nb", "c\x1b[31m\n d", "r")
    assert "\n" not in found.name + found.told
    assert "\x1b" not in found.told
    assert found.to_json() == {
        "area": "redis",
        "name": "a b",
        "state": "warning",
        "told": found.told,
        "remedy": "r",
    }
    assert ok("redis", "a", "b").to_json()["remedy"] is None


def test_an_error_has_its_own_remedy_where_it_has_one() -> None:
    """One of ours has; of any other it is that of its area."""
    assert of_error("redis", "a", LoadError("cause", "so", "do"), "else") == Check(
        "a", "redis", "failed", "cause; so", "do"
    )
    assert of_error("redis", "a", TimeoutError("late"), "else") == Check(
        "a", "redis", "failed", "TimeoutError: late", "else"
    )


def test_a_journal_that_is_in_order() -> None:
    """Each line is ok; one without a clock of its own is not compared."""
    assert {check.state for check in by_name(journal_checks(JOURNAL)).values()} == {"ok"}
    assert "clock" not in by_name(journal_checks(replace(JOURNAL, server="SQLite 3.40.1", ahead=None)))


@pytest.mark.parametrize(
    ("facts", "name", "state", "told", "remedy"),
    [
        (replace(JOURNAL, server="PostgreSQL 13.2"), "version", "failed", "too old", "14.0 or newer"),
        (replace(JOURNAL, ahead=9.0), "clock", "warning", "9 s ahead of this host", "NTP"),
        (replace(JOURNAL, sealed_with=""), "sealed", "warning", "in clear", "COORDINATOR_JOURNAL_KEYS"),
        (replace(JOURNAL, in_a_file=True), "place", "warning", "a file in this folder", "COORDINATOR_JOURNAL_URL"),
        (
            replace(JOURNAL, newest=Verified(1, 3, count=1, faults=(Fault("run", "r1", 2, "", "changed", "it was changed"),))),
            "chain", "failed", "run r1, entry 2: it was changed", "coordinator journal verify",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_journal_is_named(
    facts: JournalFacts, name: str, state: str, told: str, remedy: str
) -> None:
    """With what to do."""
    found = by_name(journal_checks(facts))[name]
    assert (found.state, told in found.told, remedy in found.remedy) == (state, True, True)


@pytest.mark.parametrize(
    ("entries", "seconds", "state"),
    [(0, 0.0, "ok"), (900, 2.0, "ok"), (900, 40.0, "warning"), (1, 400.0, "failed")],
)
def test_a_drain_is_late_by_how_old_its_oldest_entry_is(entries: int, seconds: float, state: str) -> None:
    """Many that are young are nothing to do about."""
    assert drain_check(entries, seconds).state == state


def test_workers_that_are_in_order() -> None:
    """Fleets, versions and clocks."""
    found = by_name(
        worker_checks([WORKER, replace(WORKER, instance="w2")], ["shop.one"], {"shop.one": 3}, HERE)
    )
    assert {check.state for check in found.values()} == {"ok"}
    assert found["agent shop.one"].told == "2 alive, 3 steps wait or run; build b1"


@pytest.mark.parametrize(
    ("workers", "waiting", "name", "state", "told"),
    [
        ([], {}, "agent shop.one", "warning", "none of its workers is alive"),
        ([], {"shop.one": 4}, "agent shop.one", "failed", "4 steps wait for it"),
        ([WORKER], {"gone": 1}, "agent gone", "failed", "1 steps wait for it"),
        ([WORKER, replace(WORKER, build="b2")], {}, "agent shop.one", "warning", "build b1, b2"),
        ([replace(WORKER, versions={**HERE, "celery": "5.6.2"})], {}, "versions", "warning", "workers of shop.one have celery 5.6.2 and not 5.7.0"),
        ([replace(WORKER, versions={})], {}, "versions", "warning", "of an older release"),
        ([WORKER, replace(WORKER, instance="far", ahead=-60.0)], {}, "clocks", "warning", "that of far is 60 s behind Redis"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_workers_is_named(
    workers: Any, waiting: Any, name: str, state: str, told: str
) -> None:
    """By agent, by package, by clock."""
    found = by_name(worker_checks(workers, ["shop.one"], waiting, HERE))[name]
    assert (found.state, told in found.told) == (state, True)


class Order(Contract, name="doctor.order", version=1):
    number: str = "1"


@agent("doctor.price")
def price(order: Order) -> Order:
    return order


HOURLY = schedule("doctor.hourly", Flow("doctor.prices", price), every=timedelta(hours=1), payload=Order())


@pytest.mark.parametrize(
    ("until", "state", "told"),
    [
        (NOW - timedelta(minutes=30), "ok", "1 schedules are on time"),
        (NOW - timedelta(hours=2), "failed", "doctor.hourly is late"),
        (None, "failed", "doctor.hourly was never looked at by a beat"),
    ],
)
def test_a_beat_is_alive_where_schedules_are_on_time(until: datetime | None, state: str, told: str) -> None:
    """Nobody else says whether one is."""
    found = beat_check([HOURLY], [Progress(until)], NOW)
    assert found is not None
    assert (found.state, told in found.told) == (state, True)


def test_without_schedules_no_beat_is_wanted() -> None:
    """There is nothing to say."""
    assert beat_check([], [], NOW) is None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("amqp://guest:guest@mq//", "everybody knows its password"),
        ("amqp://ada:ada@mq//", "everybody knows its password"),
        ("redis://redis:6379/0", "it has no password"),
        ("redis://:password@redis:6379/0", "everybody knows its password"),
        ("postgresql://ada:x81kq0ssd@db/j", ""),
        ("amqp://guest:guest@127.0.0.1//", ""),
        ("sqlite:///j.sqlite3", ""),
        ("unix:///run/redis.sock", ""),
    ],
)
def test_a_password_that_everybody_knows_is_found(url: str, fault: str) -> None:
    """Where others could reach the server; what is on this host, or is a file, may go without."""
    assert weakness(url) == fault


def test_secrets_are_told_of_by_their_settings_and_never_shown() -> None:
    """A key of one octet, and a password of everybody's."""
    weak = base64.b64encode(bytes(32)).decode()
    settings = Settings(
        broker_url="amqp://guest:guest@mq//",
        redis_url="redis://:x81kq0ssd@redis/0",
        journal_keys=(secrets_key(), weak),
    )
    found = by_name(settings_checks(settings))
    assert (found["secrets"].state, found["secrets"].told) == (
        "warning",
        "COORDINATOR_BROKER_URL: everybody knows its password",
    )
    assert (found["journal keys"].state, found["journal keys"].told) == (
        "failed",
        "key 2 was not drawn at random",
    )
    assert not any(
        secret in check.told for check in found.values() for secret in (weak, "x81kq0ssd", "guest")
    )


def secrets_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def test_a_variable_that_is_no_setting_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is when a process starts."""
    monkeypatch.setitem(os.environ, "COORDINATOR_LEESE", "5s")
    found = by_name(settings_checks(Settings()))["variables"]
    assert found.state == "failed"
    assert "COORDINATOR_LEESE" in found.told


def test_metrics_without_their_package_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would answer."""
    monkeypatch.setattr("handoffs.coordinator.observe.doctor.settings.find_spec", lambda _: None)
    settings = Settings(metrics="127.0.0.1:9000")
    assert by_name(settings_checks(settings))["metrics"].state == "failed"


def test_a_payload_store_is_looked_at(tmp_path: Path) -> None:
    """Whether it can be used, and whether its settings keep what they promise; without one there is nothing to say."""

    def found(**chosen: Any) -> dict[str, Check]:
        settings = Settings(payloads=PayloadSettings(**chosen))
        return by_name(payload_checks(settings, payloads_of(settings)))

    assert not found()
    good = found(url=tmp_path.as_uri())
    assert {name: check.state for name, check in good.items()} == {"payload store": "ok"}
    away = found(url=(tmp_path / "away").as_uri())["payload store"]
    assert (away.state, "mount it here" in away.remedy) == ("failed", True)
    odd = found(url=tmp_path.as_uri(), retention=timedelta(days=1), threshold=2_000_000)
    assert {name for name, check in odd.items() if check.state == "warning"} == {
        "payload retention",
        "payload threshold",
    }


def test_modules_are_loaded_and_their_contracts_compared(tmp_path: Path) -> None:
    """One that cannot be loaded is told with the error's own remedy; one whose contracts nobody has published is in order."""

    def refuses() -> Definitions:
        raise LoadError("no module named nowhere", "nothing was loaded", "install it")

    registry = open_registry(tmp_path)
    found = by_name(module_checks(refuses, registry))
    assert (found["modules"].state, found["modules"].remedy) == ("failed", "install it")
    loaded = Definitions()
    loaded.add(price)
    assert {check.state for check in by_name(module_checks(lambda: loaded, registry)).values()} == {"ok"}
