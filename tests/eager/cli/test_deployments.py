"""The commands on deployments: what people and programs see, with a journal in a file and a Redis in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeServer, FakeStrictRedis

from handoffs.config.settings import load
from handoffs.contracts.manifest import Manifest
from handoffs.coordinator.cli import deployments, main
from handoffs.coordinator.history import now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.runs import Runs
from tests.builds import manifest
from tests.journal_suite import letter

SCORED = "payments.fraud-scored"
FRAUD = "payments.fraud"
AUTHORISATION = "payments.authorisation"

OLD = manifest(AUTHORISATION, accepts={SCORED: [1]}, emits={"payments.authorised": [1]})
NEW = manifest(AUTHORISATION, accepts={SCORED: [2, 1]}, emits={"payments.authorised": [1]})
SCORES = manifest(FRAUD, accepts={"payments.submitted": [1]}, emits={SCORED: [2]})
BOTH = manifest(FRAUD, accepts={"payments.submitted": [1]}, emits={SCORED: [2, 1]})


class Bench:
    """A place with a journal and a store, and commands that are run there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.server = FakeServer(server_type="redis", version=(7,))
        self.settings = load()
        self.runs = Runs(self.redis(), self.settings)
        self.said = Announcements(self.redis(), self.settings)
        self.journal = Journal(self.settings.journal_url or "")
        self._capsys = capsys

    def redis(self, *_: object) -> FakeStrictRedis:
        return FakeStrictRedis(server=self.server, decode_responses=True)

    def file(self, content: Any, name: str = "new.json") -> str:
        value = content.to_json() if isinstance(content, Manifest) else content
        (self.folder / name).write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return str(self.folder / name)

    def run(self, *arguments: str) -> tuple[Any, str, str]:
        status: Any = 0
        try:
            main(["contracts", *arguments])
        except SystemExit as end:
            status = end.code
        printed = self._capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return status, printed.out, printed.err

    def asked(self, new: Manifest, *options: str) -> tuple[Any, str, str]:
        return self.run("can-i-deploy", new.agent, "--manifest", self.file(new), *options)

    def send(self, agent: str, ref: str, number: int, dead: bool = False) -> None:
        """A step that was sent and is not settled, dead-lettered or not."""
        place = StepRef(f"run-{number}", "shop.flow", "1")
        self.runs.start(place, key=str(number), content="c", first="f", sends=[("1", agent, ref)])
        if dead:
            self.journal.letters.add(letter(str(number), agent=agent, contract=ref, last_failed_at=now()))


@pytest.fixture
def bench(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """Servers are set; the Redis of every command lives in this process."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("COORDINATOR_BROKER_URL", "amqp://nobody@127.0.0.1:1//")
    monkeypatch.setenv("COORDINATOR_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("COORDINATOR_JOURNAL_URL", f"sqlite:///{tmp_path}/journal.sqlite3")
    made = Bench(tmp_path, capsys)
    monkeypatch.setattr("handoffs.coordinator.deployment.deployments.connect", made.redis)
    yield made
    made.journal.close()


def flat(text: str) -> str:
    """As it reads, wherever the lines are broken."""
    return " ".join(text.split())


# Manifests


def test_the_manifest_of_the_loaded_code(bench: Bench) -> None:
    """It goes to standard output as JSON, and can be named."""
    status, out, _ = bench.run("manifest", FRAUD, "--build", "v7")
    made = Manifest.from_json(json.loads(out))
    assert (status, made.agent, made.build, made.queue) == (0, FRAUD, "v7", FRAUD)
    assert SCORED in made.emits


def test_a_manifest_in_a_file_is_what_the_other_commands_take(bench: Bench) -> None:
    """What is written with --output is read with --manifest."""
    file = str(bench.folder / "made.json")
    status, out, err = bench.run("manifest", FRAUD, "--output", file)
    assert (status, out) == (0, "")
    assert "made.json" in err
    assert bench.run("can-i-deploy", FRAUD, "--manifest", file)[0] == 0
    assert bench.run("record-deployment", FRAUD, "--manifest", file)[0] == 0


def test_an_unknown_agent_and_a_bad_name(bench: Bench) -> None:
    """Each ends in one line: which agents there are, and what a build may be called."""
    status, out, err = bench.run("manifest", "payments.nobody")
    assert (status, out) == (1, "")
    assert FRAUD in err
    status, out, err = bench.run("manifest", FRAUD, "--build", "a b")
    assert (status, out) == (2, "")
    assert "build" in err
    status, _, err = bench.run("manifest", FRAUD, "--output", str(bench.folder / "no" / "where"))
    assert status == 1
    assert "cannot be written" in err


@pytest.mark.parametrize("command", ["can-i-deploy", "record-deployment"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"agent": 1, "agent": 1}', '{"agent": "\x1b"}'])
def test_a_malformed_manifest_is_one_line_and_status_2(bench: Bench, command: str, content: str) -> None:
    """It names the file, and nothing was recorded."""
    status, out, err = bench.run(command, FRAUD, "--manifest", bench.file(content))
    assert (status, out) == (2, "")
    assert "new.json" in err
    assert err.count("\n") == 1
    assert bench.journal.deployments.find() == []


def test_the_wrong_file(bench: Bench) -> None:
    """The manifest of another agent, one that is not there, and one whose build is named twice end in status 2."""
    assert bench.run("can-i-deploy", FRAUD, "--manifest", bench.file(OLD))[0] == 2
    assert bench.run("can-i-deploy", FRAUD, "--manifest", str(bench.folder / "none.json"))[0] == 2
    assert bench.run("record-deployment", FRAUD, "--manifest", bench.file(BOTH), "--build", "v1")[0] == 2


# Can I deploy


def test_where_nobody_is_deployed(bench: Bench) -> None:
    """The loaded code can be deployed, and it is said that nobody was there to ask."""
    status, out, _ = bench.run("can-i-deploy", FRAUD)
    assert status == 0
    assert f"nobody is deployed that reads {SCORED}" in flat(out)
    assert ": yes" in out
    assert "any order works" in out


def test_a_consumer_that_would_break(bench: Bench) -> None:
    """Both sides, the field, an instance, the remedy and the order; the status is 1."""
    bench.run("record-deployment", AUTHORISATION, "--manifest", bench.file(OLD))
    status, out, err = bench.asked(SCORES)
    assert (status, err) == (1, "")
    for words in (
        f"problem 1, emits: {FRAUD} build {SCORES.build} writes {SCORED}/2",
        f"and {AUTHORISATION} build {OLD.build} reads {SCORED}/1",
        "remedy: add the downcast",
        "/risk_level",
        'witness: {"risk_score":""}',
        f"{FRAUD} build {SCORES.build}: no",
        f"order: deploy {AUTHORISATION} with {SCORED}/2 first, then {FRAUD}",
    ):
        assert words in flat(out)


def test_edges_and_what_is_outstanding_are_tables(bench: Bench) -> None:
    """A downcast is shown as one, and letters apart from what is on its way."""
    bench.said.announce(OLD.to_json(), "host-1", timedelta(minutes=1))
    for number in range(3):
        bench.send(FRAUD, "payments.submitted/1", number, dead=number == 0)
    status, out, _ = bench.asked(BOTH)
    assert status == 0
    assert f"emits {SCORED}" in flat(out)
    assert "1 (downcast)" in flat(out)
    assert "payments.submitted 1 1 2 yes" in flat(out)
    assert all(len(line) <= 100 for line in out.splitlines())


def test_what_is_outstanding_and_not_read(bench: Bench) -> None:
    """Three waiting messages, one of them dead-lettered, are a reason not to deploy what does not read them."""
    for number in range(3):
        bench.send(AUTHORISATION, f"{SCORED}/1", number, dead=number == 0)
    new = manifest(AUTHORISATION, accepts={SCORED: [2]})
    status, out, _ = bench.asked(new)
    assert status == 1
    assert f"3 messages of {SCORED}/1 are outstanding for {AUTHORISATION} (1 dead-lettered)" in flat(out)
    assert f"have the outstanding {SCORED}/1 handled first" in flat(out)
    assert bench.asked(NEW)[0] == 0


def test_for_programs(bench: Bench) -> None:
    """With --json there is the decision, and nothing else."""
    bench.run("record-deployment", AUTHORISATION, "--manifest", bench.file(OLD))
    bench.send(FRAUD, "payments.submitted/1", 1)
    status, out, _ = bench.asked(SCORES, "--json")
    report = json.loads(out)
    assert status == 1
    assert (report["ok"], report["agent"], report["build"]) == (False, FRAUD, SCORES.build)
    [problem] = report["problems"]
    assert problem["rule"] == "emits"
    assert (problem["agent"], problem["build"], problem["state"]) == (AUTHORISATION, OLD.build, "recorded")
    assert (problem["verdict"], problem["witness"]) == ("incompatible", {"risk_score": ""})
    assert problem["differences"][0]["path"] == "/risk_level"
    assert report["outstanding"] == [
        {"contract": "payments.submitted", "version": 1, "dead_lettered": 0, "other": 1}
    ]
    status, out, _ = bench.asked(BOTH, "--json")
    report = json.loads(out)
    assert (status, report["ok"]) == (0, True)
    assert [(edge["rule"], edge["version"], edge["how"]) for edge in report["edges"]] == [
        ("emits", 1, "downcast")
    ]
    assert report["edges"][0]["reader"] == {"agent": AUTHORISATION, "build": OLD.build}


def test_a_live_worker_counts_as_a_recorded_one(bench: Bench) -> None:
    """Two workers of a build that nobody recorded are one build."""
    for worker in ("host-1", "host-2"):
        bench.said.announce(OLD.to_json(), worker, timedelta(minutes=1))
    status, out, _ = bench.asked(SCORES, "--json")
    assert status == 1
    assert [problem["state"] for problem in json.loads(out)["problems"]] == ["live"]


def test_a_consumer_can_go_back(bench: Bench) -> None:
    """The build that was withdrawn last must still be served."""
    for build in (OLD, NEW):
        bench.run("record-deployment", AUTHORISATION, "--manifest", bench.file(build))
    assert bench.asked(SCORES)[0] == 1
    bench.run("withdraw", AUTHORISATION, "--build", OLD.build)
    status, out, _ = bench.asked(SCORES)
    assert status == 1
    assert "problem 1, rollback" in out
    assert bench.asked(BOTH)[0] == 0


def test_a_live_worker_that_announces_something_else(bench: Bench) -> None:
    """What it reads is not known, so nothing is decided; the list names it."""
    bench.said.announce({"agent": AUTHORISATION, "accepts": "all"}, "host-1", timedelta(minutes=1))
    status, out, err = bench.asked(BOTH)
    assert (status, out) == (1, "")
    assert "host-1" in err
    status, _, err = bench.run("deployments")
    assert status == 0
    assert "host-1" in err


# Recording


def test_recording_tells_producers_and_is_said_once(bench: Bench) -> None:
    """Who reads what is in the store as soon as it is in the journal; again is no second time."""
    arguments = ("record-deployment", AUTHORISATION, "--manifest", bench.file(OLD), "--by", "ann")
    status, out, _ = bench.run(*arguments)
    assert status == 0
    assert f"{AUTHORISATION} build {OLD.build}: recorded as deployed" in flat(out)
    assert "was recorded already" in bench.run(*arguments)[1]
    [row] = bench.journal.deployments.find()
    assert (row.manifest, row.recorded_by) == (OLD, "ann")
    assert bench.said.deployed(AUTHORISATION) == [OLD.to_json()]


def test_recording_from_the_loaded_code(bench: Bench) -> None:
    """Without a file it is the code's own manifest, under the name that is given."""
    assert bench.run("record-deployment", FRAUD, "--build", "v1")[0] == 0
    [row] = bench.journal.deployments.find()
    assert (row.manifest.agent, row.manifest.build) == (FRAUD, "v1")
    assert row.recorded_by


def test_withdrawing_the_only_build(bench: Bench) -> None:
    """It needs no name; producers hear of it; it is the previous one from then on."""
    bench.run("record-deployment", AUTHORISATION, "--manifest", bench.file(OLD))
    status, out, _ = bench.run("withdraw", AUTHORISATION, "--by", "bob")
    assert status == 0
    assert f"{OLD.build}: withdrawn" in out
    assert bench.said.deployed(AUTHORISATION) == []
    previous = bench.journal.deployments.previous(AUTHORISATION)
    assert previous is not None
    assert previous.withdrawn_by == "bob"


def test_withdrawing_one_of_several(bench: Bench) -> None:
    """They are listed, and none is withdrawn until one is named; then it is that one."""
    for build in (OLD, NEW):
        bench.run("record-deployment", AUTHORISATION, "--manifest", bench.file(build))
    status, _, err = bench.run("withdraw", AUTHORISATION)
    assert status == 1
    assert OLD.build in err
    assert NEW.build in err
    assert bench.run("withdraw", AUTHORISATION, "--build", OLD.build)[0] == 0
    assert bench.said.deployed(AUTHORISATION) == [NEW.to_json()]


def test_withdrawing_what_is_not_there(bench: Bench) -> None:
    """Typed, and the producers' copy is put right even so."""
    bench.said.deploy(AUTHORISATION, [OLD.to_json()])
    status, _, err = bench.run("withdraw", AUTHORISATION, "--build", OLD.build)
    assert status == 1
    assert "is recorded as deployed" in err
    assert bench.said.deployed(AUTHORISATION) == []
    assert bench.run("withdraw", "payments.nobody")[0] == 1


def test_the_list_of_deployments(bench: Bench) -> None:
    """Live, recorded and previous builds, with the number of workers."""
    for build in (OLD, NEW, BOTH):
        bench.run("record-deployment", build.agent, "--manifest", bench.file(build))
    bench.run("withdraw", AUTHORISATION, "--build", OLD.build)
    for worker in ("host-1", "host-2"):
        bench.said.announce(NEW.to_json(), worker, timedelta(minutes=1))
    status, out, _ = bench.run("deployments", "--json")
    found = {row["build"]: row for row in json.loads(out)}
    assert status == 0
    assert {build: row["state"] for build, row in found.items()} == {
        OLD.build: "previous",
        NEW.build: "live",
        BOTH.build: "recorded",
    }
    assert (found[NEW.build]["instances"], found[BOTH.build]["instances"]) == (2, 0)
    assert found[NEW.build]["accepts"] == {SCORED: [2, 1]}
    assert found[NEW.build]["since"]
    _, out, _ = bench.run("deployments")
    assert f"{AUTHORISATION} {NEW.build} live 2" in flat(out)
    assert f"{FRAUD} {BOTH.build} recorded" in flat(out)


# Without servers


@pytest.mark.parametrize(
    "arguments",
    [("can-i-deploy", FRAUD), ("record-deployment", FRAUD), ("withdraw", FRAUD), ("deployments",)],
)
def test_without_servers_each_says_what_it_needs(
    arguments: tuple[str, ...], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embedded, there is nobody else to deploy beside."""
    monkeypatch.delenv("COORDINATOR_BROKER_URL")
    monkeypatch.delenv("COORDINATOR_REDIS_URL")
    status, out, err = bench.run(*arguments)
    assert (status, out) == (1, "")
    assert "needs servers" in err
    assert "COORDINATOR_REDIS_URL" in err


def test_a_manifest_needs_no_servers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made from code alone."""
    monkeypatch.delenv("COORDINATOR_BROKER_URL")
    monkeypatch.delenv("COORDINATOR_REDIS_URL")
    assert bench.run("manifest", FRAUD)[0] == 0


@pytest.mark.parametrize("command", [command.name for command in deployments.COMMANDS])
def test_help_teaches(command: str, bench: Bench) -> None:
    """Every command says what it is for."""
    status, out, _ = bench.run(command, "--help")
    assert status == 0
    assert "Usage: coordinator contracts" in out
