"""Preflight: servers that would lose or repeat work are refused in one line, before anything is declared."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from handoffs.config.intake import Intake
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.doctor.versions import OLDEST
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.preflight import examine

GOOD = {"redis": "Redis 8.2.1", "broker": "RabbitMQ 4.2.0", "journal": "PostgreSQL 17.6"}
SETTINGS = {
    "redis": "COORDINATOR_REDIS_URL",
    "broker": "COORDINATOR_BROKER_URL",
    "journal": "COORDINATOR_JOURNAL_URL",
}
SERVERS = [
    ("redis", "Redis"),
    ("broker", "RabbitMQ"),
    ("journal", "PostgreSQL"),
    ("journal", "SQLite"),
]


@dataclass
class FakeServer:
    name: str
    policy: str
    durable: bool

    def version(self) -> str:
        return self.name

    def durability(self) -> tuple[str, bool]:
        return self.policy, self.durable


@dataclass
class FakePublisher:
    error: ServerError | None
    alarm: ServerError | None = None
    declared: list[tuple[list[str], bool]] = field(default_factory=list)

    def subscribe(self, agent: str, intake: Intake) -> None:
        """No agent hears events here."""

    def probe(self, within: float) -> None:
        if self.alarm:
            raise self.alarm

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        if self.error:
            raise self.error
        self.declared.append((list(agents), again))


@dataclass
class FakeJournal:
    version: str

    def ping(self) -> str:
        return self.version

    def sealed(self) -> str:
        return "sealed"


class FakeEngine:
    """As much of an engine as is examined; everything is in order unless the test says otherwise."""

    def __init__(
        self,
        *,
        policy: str = "noeviction",
        durable: bool = True,
        queues: ServerError | None = None,
        **found: str,
    ) -> None:
        self.found = {**GOOD, **found}
        self.server = FakeServer(self.found["redis"], policy, durable)
        self.publisher = FakePublisher(queues)
        self.agents: dict[str, Any] = {
            name: SimpleNamespace(name=name, intake=Intake()) for name in ("shop.one", "shop.two")
        }

    def broker_version(self) -> str:
        return self.found["broker"]

    def examine(self, *, journal: bool = True) -> list[tuple[str, str]]:
        """What is found."""
        kept = cast(Journal, FakeJournal(self.found["journal"])) if journal else None
        return examine(cast(Engine, self), kept)


def _found(where: str, server: str) -> FakeEngine:
    """An engine that finds this server there."""
    changes: dict[str, Any] = {where: server}
    return FakeEngine(**changes)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}
    return [record.getMessage() for record in caplog.records]


def test_everything_is_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """What was looked at is given in order, and nothing is logged."""
    assert FakeEngine().examine() == [
        ("redis", "Redis 8.2.1"),
        ("broker", "RabbitMQ 4.2.0"),
        ("queues", "2 in order"),
        ("journal", "PostgreSQL 17.6"),
        ("dead letters", "sealed"),
    ]
    assert _warnings(caplog) == []


def test_a_worker_has_no_journal() -> None:
    """Without a journal none is looked at."""
    assert [what for what, _ in FakeEngine().examine(journal=False)] == ["redis", "broker", "queues"]


def test_a_broker_under_an_alarm() -> None:
    """A broker that answers and takes no messages is not in order."""
    engine = FakeEngine()
    engine.publisher.alarm = ServerError("it has an alarm", "", "")
    with pytest.raises(ServerError, match="alarm"):
        engine.examine()


def test_queues_are_looked_at_again() -> None:
    """The queues of all agents are declared anew, whatever was declared before."""
    engine = FakeEngine()
    engine.examine()
    assert engine.publisher.declared == [(["shop.one", "shop.two"], True)]


@pytest.mark.parametrize(("where", "product"), SERVERS)
def test_the_oldest_will_do(where: str, product: str, caplog: pytest.LogCaptureFixture) -> None:
    """The oldest version that we work on, and any later one, is taken."""
    major, minor = OLDEST[product]
    for version in (f"{major}.{minor}", f"{major}.{minor}.3", f"{major}.{minor + 10}", f"{major + 90}.0"):
        _found(where, f"{product} {version}").examine()
    assert _warnings(caplog) == []


@pytest.mark.parametrize(("where", "product"), SERVERS)
def test_an_older_one_is_refused(where: str, product: str) -> None:
    """A server that is too old is refused in one line that names its version, the setting and what is needed."""
    major, minor = OLDEST[product]
    for version in (f"{major - 1}.99.9", f"{major}.{minor - 1}" if minor else f"{major - 1}.0"):
        with pytest.raises(ServerError) as caught:
            _found(where, f"{product} {version}").examine()
        assert str(caught.value) == (
            f"{product} {version} is too old; nothing was started;"
            f" {SETTINGS[where]} must name a {product} of {major}.{minor} or newer"
        )


@pytest.mark.parametrize(
    "changes",
    [{"redis": "Redis 6.2.14"}, {"policy": "allkeys-lru"}, {"broker": "RabbitMQ 3.9.29"}],
    ids=lambda changes: next(iter(changes)),
)
def test_nothing_is_declared_on_servers_that_are_refused(changes: dict[str, Any]) -> None:
    """Where Redis or the broker is refused, the broker was not changed."""
    engine = FakeEngine(**changes)
    with pytest.raises(ServerError):
        engine.examine()
    assert engine.publisher.declared == []


@pytest.mark.parametrize("where", SETTINGS)
@pytest.mark.parametrize("server", ["LavinMQ 2.4.0", "Valkey 8.0", "broker", "", "RabbitMQ", "Redis x.y"])
def test_an_unknown_server_is_tried(where: str, server: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server that was not tried is no reason to stop, but one to say so, with the setting that names it."""
    assert (where, server) in _found(where, server).examine()
    assert _warnings(caplog) == [f"{SETTINGS[where]} is a server that was not tried: {server}"]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_redis_that_evicts_is_refused(policy: str) -> None:
    """A Redis that may drop what it holds is refused, with the option to set."""
    with pytest.raises(ServerError, match=f"{policy}.*second effect; set maxmemory-policy to noeviction"):
        FakeEngine(policy=policy).examine()


def test_redis_that_does_not_tell_its_policy_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """A Redis that does not tell its policy is no Redis that evicts."""
    FakeEngine(policy="").examine()
    assert _warnings(caplog) == []


def test_redis_that_is_not_append_only_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A Redis that loses what it holds when it restarts may be used, with a warning that says what to set."""
    FakeEngine(durable=False).examine()
    [warning] = _warnings(caplog)
    assert "set appendonly to yes" in warning


def test_the_first_that_is_wrong_is_told() -> None:
    """Servers are looked at one after the other: Redis, broker, queues, journal; the first that is wrong is the one that is named."""
    wrong: dict[str, Any] = {
        "redis": "Redis 6.0.0",
        "policy": "allkeys-lru",
        "broker": "RabbitMQ 3.8.0",
        "queues": ServerError("the broker has a queue with other arguments"),
        "journal": "PostgreSQL 9.6",
    }
    named = []
    while wrong:
        with pytest.raises(ServerError) as caught:
            FakeEngine(**wrong).examine()
        named.append(caught.value.cause.partition(" (")[0])
        del wrong[next(iter(wrong))]
    assert named == [
        "Redis 6.0.0 is too old",
        "Redis may evict what it holds",
        "RabbitMQ 3.8.0 is too old",
        "the broker has a queue with other arguments",
        "PostgreSQL 9.6 is too old",
    ]


def test_a_server_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """What a server says of itself is one line, of bounded length, wherever it is repeated."""
    FakeEngine(broker="Rabbit\nERROR " + "x" * 1_000).examine()
    [warning] = _warnings(caplog)
    assert len(warning.splitlines()) == 1
    assert len(warning) < 200
    with pytest.raises(ServerError) as caught:
        FakeEngine(broker="RabbitMQ 3.1\nERROR").examine()
    assert "\n" not in str(caught.value)
