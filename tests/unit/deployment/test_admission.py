"""The gate: a worker begins when its contracts are published, and go with who is alive and with what waits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeServer, FakeStrictRedis

from handoffs import Contract, Key, downcast, upcast
from handoffs.config.health import HealthFile
from handoffs.contracts.registry.publishing import decide, publish
from handoffs.contracts.registry.registry import open_registry
from handoffs.coordinator.deployment.admission import Gate, Refusals
from handoffs.coordinator.errors import ContractsRefused, ServerError
from handoffs.coordinator.flow.agent import Agent, agent
from handoffs.coordinator.runtime import bootsteps
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.store.record import StepRef
from tests.store_suite import make_settings

LIFE = timedelta(seconds=60)


class Paid(Contract, name="gate.paid", version=1):
    payment: str = Key(min_length=1)


class ScoredV1(Contract, name="gate.scored", version=1):
    payment: str = Key(min_length=1)
    risk_level: str


class Scored(Contract, name="gate.scored", version=2):
    payment: str = Key(min_length=1)
    risk_score: int


@upcast(Scored, 1, 2)
def up(data: dict[str, Any]) -> dict[str, Any]:
    return {"payment": data["payment"], "risk_score": 90 if data["risk_level"] == "high" else 10}


@downcast(Scored, 2, 1, lossy="the score")
def down(data: dict[str, Any]) -> dict[str, Any]:
    return {"payment": data["payment"], "risk_level": "high" if data["risk_score"] > 50 else "low"}


class Retired(Contract, name="gate.retired", version=1):
    payment: str = Key(min_length=1)


class Hasty(Contract, name="gate.scored", version=2):
    payment: str = Key(min_length=1)
    risk_score: int


class Careless(Contract, name="gate.scored", version=1):
    payment: str = Key(min_length=1)
    risk_score: int


def made(name: str, accepts: type[Contract], emits: type[Contract]) -> Agent:
    def run(payload: Any) -> Any:
        raise NotImplementedError

    run.__annotations__ = {"payload": accepts, "return": emits}
    return agent(name)(run)


class Town:
    """Servers, a registry in which everything is published, and workers of several builds."""

    def __init__(self, folder: Path) -> None:
        self.redis = FakeStrictRedis(
            server=FakeServer(server_type="redis", version=(7,)),
            decode_responses=True,
            encoding_errors="surrogateescape",
        )
        self.settings = make_settings(
            shards=1,
            broker_url="amqp://nobody@127.0.0.1:1//",
            redis_url="redis://127.0.0.1:1/0",
            contracts_folder=str(folder),
        )
        registry = open_registry(folder)
        for contract in (Paid, ScoredV1, Scored):
            decision = decide(contract, registry, owner="town")
            publish(decision, registry)

    def engine(self, *agents: Agent) -> Engine:
        return Engine(self.settings, agents=agents, redis=self.redis)

    def examine(self, *agents: Agent) -> Refusals:
        return Gate(self.engine(*agents).services, agents).examine()

    def alive(self, who: Agent, instance: str = "w") -> None:
        engine = self.engine(who)
        engine.announcements.announce(engine.manifest(who).to_json(), instance, LIFE)

    def waits(self, ref: str, who: str = "gate.authorisation") -> None:
        place = StepRef("run-1", "f", "")
        self.engine().runs.start(place, key="k", content="c", first="[]", sends=[("1", who, ref)])


FRAUD = made("gate.fraud", Paid, Scored)
FRAUD_V1 = made("gate.fraud", Paid, ScoredV1)
FRAUD_HASTY = made("gate.fraud", Paid, Hasty)
FRAUD_CARELESS = made("gate.fraud", Paid, Careless)
AUTHORISATION = made("gate.authorisation", Scored, Paid)
AUTHORISATION_V1 = made("gate.authorisation", ScoredV1, Paid)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    found = Town(tmp_path / "published")
    yield found
    found.redis.close()


NO_CONTRACTS = [
    "gate.nonsense/1",
    "gate.scored",
    "gate.scored/0",
    "gate.scored/9999999999",
    "/",
    "x" * 5_000,
    "..",
    "a\x1b[2J/1",
]


class TestClaims:
    @pytest.mark.parametrize("ref", NO_CONTRACTS, ids=range(len(NO_CONTRACTS)))
    def test_what_is_no_contract_keeps_nobody(
        self, town: Town, ref: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A step that claims to need what is no contract, or one that nobody knows, keeps no worker from beginning; the log says so in
        plain characters."""
        town.waits(ref)
        assert town.examine(AUTHORISATION) == Refusals()
        [line] = [record.getMessage() for record in caplog.records if "do not count" in record.getMessage()]
        assert line.isprintable()

    @pytest.mark.parametrize(
        "text", ["", " ", "soon", "1", "1 ", "x y z", "1 gate.authorisation", b"\xff\xfe \x00"]
    )
    def test_what_was_changed_by_hand_keeps_nobody(self, town: Town, text: str | bytes) -> None:
        """Neither does what somebody has put there by hand; what stands beside it is counted."""
        town.waits("gate.scored/1")
        town.redis.hset(town.engine().store.keys.outstanding(0), "run-2|1", text)
        town.redis.hset(town.engine().store.keys.later(0), "run-3", text)
        assert town.examine(AUTHORISATION).reasons == ()
        assert town.engine().services.outstanding.counts()["gate.authorisation", "gate.scored/1"] == 1

    def test_what_no_build_has_read_keeps_nobody(self, town: Town, caplog: pytest.LogCaptureFixture) -> None:
        """Where builds of the agent are known, a step that claims to wait for it in a contract that none of them has read keeps no worker
        from beginning, published or not: it is parked when it comes. Where none is known it may have been sent in earnest, and counts."""
        town.waits("gate.paid/1")
        assert any("gate.paid/1" in reason for reason in town.examine(AUTHORISATION).reasons)
        town.alive(AUTHORISATION_V1)
        assert town.examine(AUTHORISATION) == Refusals()
        [line] = [record.getMessage() for record in caplog.records if "do not count" in record.getMessage()]
        assert "gate.paid/1" in line

    def test_a_contract_that_was_known_counts(self, town: Town) -> None:
        """What waits in a contract that a build of the agent has read, and that is published no more, still keeps those that cannot
        read it."""
        gone = made("gate.authorisation", Retired, Paid)
        engine = town.engine(gone)
        engine.announcements.announce(engine.manifest(gone).to_json(), "w", timedelta())
        town.waits("gate.retired/1")
        assert any("gate.retired/1" in reason for reason in town.examine(AUTHORISATION).reasons)


class TestExamining:
    def test_in_order(self, town: Town) -> None:
        """What is published and goes with the others begins."""
        assert town.examine(FRAUD) == Refusals()
        town.alive(AUTHORISATION_V1)
        assert town.examine(FRAUD) == Refusals()

    def test_itself(self, town: Town) -> None:
        """That it is announced already, or that the same build works elsewhere, changes nothing."""
        for who in (FRAUD, AUTHORISATION_V1):
            town.alive(who, "w@1")
            assert town.examine(who) == Refusals()

    def test_changed_after_it_was_published(self, town: Town) -> None:
        """A version that is not what was published is refused, with the field, a witness, and who reads it."""
        town.alive(AUTHORISATION_V1)
        [reason, *_] = town.examine(FRAUD_CARELESS).reasons
        for said in (
            "gate.scored/1",
            "gate.authorisation reads",
            "risk_level",
            "witness",
            "version of its own",
        ):
            assert said in reason

    def test_not_published(self, town: Town) -> None:
        """A version that is not published is refused, with what it changes."""

        class Third(Contract, name="gate.scored", version=3):
            payment: str = Key(min_length=1)
            points: int

        [reason, *_] = town.examine(made("gate.fraud", Paid, Third)).reasons
        assert "gate.scored/3 is not published" in reason
        assert "points" in reason

    def test_nobody_could_read_it(self, town: Town) -> None:
        """What a live consumer cannot read keeps its producer from beginning."""
        town.alive(AUTHORISATION_V1)
        reasons = " ".join(town.examine(FRAUD_HASTY).reasons)
        assert "gate.authorisation" in reasons
        assert "risk_level" in reasons

    def test_it_could_not_read_it(self, town: Town) -> None:
        """What a live producer writes and it cannot read keeps a consumer from beginning."""
        town.alive(FRAUD_HASTY)
        reasons = " ".join(town.examine(AUTHORISATION_V1).reasons)
        assert "gate.fraud" in reasons
        town.alive(FRAUD)

    def test_what_waits(self, town: Town) -> None:
        """What waits for it and it cannot read keeps it from beginning; what it can read does not."""
        town.waits("gate.scored/1")
        assert town.examine(AUTHORISATION) == Refusals()
        town.waits("gate.scored/2", "gate.other")
        assert town.examine(AUTHORISATION_V1) == Refusals()

    def test_what_waits_in_a_newer_version(self, town: Town) -> None:
        """A newer version that waits is refused by an older build; while a newer one is alive, it is only waited for."""
        town.waits("gate.scored/2")
        assert "gate.scored/2" in " ".join(town.examine(AUTHORISATION_V1).reasons)
        town.alive(AUTHORISATION)
        found = town.examine(AUTHORISATION_V1)
        assert found.reasons == ()
        assert "gate.scored/2" in " ".join(found.passing)

    def test_broken_announcement(self, town: Town, caplog: pytest.LogCaptureFixture) -> None:
        """A worker that announces no manifest is passed over, and said."""
        town.engine().announcements.announce({"agent": "gate.other"}, "w\x1b", LIFE)
        assert town.examine(FRAUD) == Refusals()
        assert "announces no manifest" in caplog.text
        assert "\x1b" not in caplog.text


class TestWorker:
    """What a worker does with the answer."""

    @pytest.fixture(autouse=True)
    def no_pause(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bootsteps, "_pause", lambda seconds: None)

    def step(self, town: Town, tmp_path: Path, *agents: Agent, **settings: Any) -> Any:
        town.settings = town.settings.model_copy(update=settings)
        health = HealthFile(settings.get("health_file"))
        step = type("Preflight", (bootsteps._Preflight,), {"engine": town.engine(*agents), "health": health})(
            SimpleNamespace()
        )
        started: list[int] = []
        step._announcer = SimpleNamespace(start=lambda: started.append(1), silence=started.clear)
        step.started = started
        return step

    def test_begins(self, town: Town, tmp_path: Path) -> None:
        """With contracts in order it begins."""
        step = self.step(town, tmp_path, FRAUD)
        step._enter([FRAUD], SimpleNamespace(hostname="w@1"))

    def test_ends(self, town: Town, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Otherwise it ends with a status that is not 0, and says why."""
        step = self.step(town, tmp_path, FRAUD_CARELESS)
        with pytest.raises(SystemExit) as caught:
            step._enter([FRAUD_CARELESS], SimpleNamespace(hostname="w@1"))
        assert caught.value.code == 1
        assert "risk_level" in caplog.text

    def test_is_held(self, town: Town, tmp_path: Path) -> None:
        """Under a health check it stays and says why there."""
        step = self.step(town, tmp_path, FRAUD_CARELESS, health_file=str(tmp_path / "health.json"))
        with pytest.raises(ServerError, match="risk_level"):
            step._enter([FRAUD_CARELESS], SimpleNamespace(hostname="w@1"))

    def test_malformed_registry(self, town: Town, tmp_path: Path) -> None:
        """A registry that cannot be read keeps it from beginning."""
        (Path(town.settings.contracts_folder) / "gate.paid" / "1.json").write_text("{")
        step = self.step(town, tmp_path, FRAUD)
        with pytest.raises(SystemExit):
            step._enter([FRAUD], SimpleNamespace(hostname="w@1"))

    def test_waits_and_announces_itself(self, town: Town, tmp_path: Path) -> None:
        """Where others handle what waits, it announces itself, so that no more of it is written, and waits."""
        town.waits("gate.scored/2")
        town.alive(AUTHORISATION)
        step = self.step(town, tmp_path, AUTHORISATION_V1)
        with pytest.raises(ServerError, match="waits until others have handled it"):
            step._enter([AUTHORISATION_V1], SimpleNamespace(hostname="w@1"))
        assert step.started == [1]

    def test_looks_once_more(self, town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was written before producers heard of it, and who began at the same time, still keep it from beginning; and
        then it is silent."""
        for happens in (lambda: town.waits("gate.scored/2"), lambda: town.alive(FRAUD_HASTY)):
            step = self.step(town, tmp_path, AUTHORISATION_V1, health_file=str(tmp_path / "health.json"))
            monkeypatch.setattr(bootsteps, "_pause", lambda seconds, happens=happens: happens())
            with pytest.raises(ServerError, match=r"gate\.scored/2"):
                step._enter([AUTHORISATION_V1], SimpleNamespace(hostname="w@1"))
            assert step.started == []
            town.redis.flushall()

    def test_goes_on_when_it_is_mended(self, town: Town, tmp_path: Path) -> None:
        """A worker that is held for its contracts begins once they are published."""
        file = Path(town.settings.contracts_folder) / "gate.scored" / "2.json"
        kept = file.rename(tmp_path / "2.json")
        step = self.step(town, tmp_path, FRAUD, health_file=str(tmp_path / "health.json"))
        with pytest.raises(ServerError, match=r"gate\.scored/2 is not published"):
            step._enter([FRAUD], SimpleNamespace(hostname="w@1"))
        kept.rename(file)
        step._enter([FRAUD], SimpleNamespace(hostname="w@1"))

    def test_no_manifest_can_be_made(
        self, town: Town, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Also a malformed older version, which only its manifest asks for, ends it with a line and no traceback."""
        (Path(town.settings.contracts_folder) / "gate.scored" / "1.json").write_text("[]")
        step = self.step(town, tmp_path, FRAUD)
        step._announcer = None
        with pytest.raises(SystemExit):
            step._enter([FRAUD], SimpleNamespace(hostname="w@1"))
        assert "1.json: it is no object" in caplog.text
        step.stop(None)

    def test_override(self, town: Town, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The setting lets it begin; that is logged, and recorded in the history."""
        step = self.step(town, tmp_path, FRAUD_CARELESS, contracts_enforced=False)
        step._enter([FRAUD_CARELESS], SimpleNamespace(hostname="w@1"))
        assert "begins in spite of this" in caplog.text
        [(_, text)] = step.engine.entries.oldest(0)
        entry = json.loads(text)
        assert (entry["kind"], entry["agent"], entry["worker"]) == ("overridden", "gate.fraud", "w@1")
        assert "risk_level" in entry["error"]


def test_the_error_says_all(town: Town) -> None:
    """The error has every reason, and the way around."""
    error = Refusals(("one", "two"), ("three",)).error()
    assert isinstance(error, ContractsRefused)
    assert str(error).startswith("one; two; three; the worker did not begin; mend")
