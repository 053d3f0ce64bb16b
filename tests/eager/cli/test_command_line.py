"""The command line, embedded: what people and programs see, and how mistakes end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handoffs.config.health import VARIABLE, HealthFile
from handoffs.coordinator.cli import main
from handoffs.coordinator.cli.parameters import JsonValue
from handoffs.tasks.payments.cards import CARD_APPROVED, CARD_STOLEN
from tests.stack import ROOT
from tests.waiting import wait_until

NOBODY = {  # servers that nobody listens for
    "COORDINATOR_BROKER_URL": "amqp://guest:hidden@127.0.0.1:1//",
    "COORDINATOR_REDIS_URL": "redis://127.0.0.1:1/0",
}

GOOD = {
    "payment_id": "p-1",
    "amount": "12.50",
    "currency": "EUR",
    "card_number": CARD_APPROVED,
    "debtor": "customer-1",
    "creditor": "merchant-1",
    "country": "DE",
    "submitted_at": "2026-01-05T10:05:02Z",
}


class Ran:
    """How a command ended: its exit status and what it printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> Ran:
        status: Any = 0
        try:
            main(arguments)
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return Ran(status, printed.out, printed.err)

    return command


def _file(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def test_one_run_prints_its_timeline(run: Any) -> None:
    """`start --payload` runs one payment and prints each step and the status, card number masked."""
    done = run("start", "payments.payment", "--payload", json.dumps(GOOD))
    assert done.status == 0
    for word in ("payments.fraud", "payments.ledger", "status: completed"):
        assert word in done.out
    assert CARD_APPROVED not in done.out + done.err


def test_one_run_as_json(run: Any) -> None:
    """`start --payload --json` prints the run, its status and its history as JSON."""
    done = run("start", "payments.payment", "--payload", json.dumps(GOOD), "--json")
    assert done.json["status"] == "completed"
    assert [entry["kind"] for entry in done.json["history"]] == ["started", *["settled"] * 4]


def test_a_run_begins_in_the_middle(run: Any) -> None:
    """`start --at-step` begins at an agent with what that is given; its timeline says where it began, and a wrong step is said in one line."""
    whole = run("start", "payments.payment", "--payload", json.dumps(GOOD), "--json").json["history"]
    booked = json.dumps({**whole[-1]["input"], "payment_id": "p-9"})
    middle = ("start", "payments.payment", "--payload", booked, "--at-step")
    done = run(*middle, "payments.notification")
    assert done.status == 0
    assert "at step 4" in done.out
    assert "payments.ledger" not in done.out
    for step, said in (("9", "has no step '9'"), ("payments.fraud", "card_number: Field required")):
        wrong = run(*middle, step)
        assert (wrong.status, "Traceback" in wrong.err) == (2, False)
        assert said in wrong.err


def test_a_file_starts_a_run_for_each_good_line(run: Any, tmp_path: Path) -> None:
    """Bad lines are listed with number and reason and stop nothing; repetitions are the same run; exit status is 3."""
    declined = {**GOOD, "payment_id": "p-2", "card_number": CARD_STOLEN}
    file = _file(
        tmp_path / "payments.jsonl", json.dumps(GOOD), "{oops", json.dumps(GOOD), json.dumps(declined),
        json.dumps({**GOOD, "amount": "99.00"}), json.dumps({**GOOD, "payment_id": "p-3", "amount": "-1"}),
    )  # fmt: skip
    done = run("start", "payments.payment", "--input", file, "--json")
    assert done.status == 3
    figures = {
        name: done.json[name] for name in ("lines", "runs", "repeated", "refused", "completed", "parked")
    }
    assert figures == {"lines": 6, "runs": 2, "repeated": 1, "refused": 3, "completed": 2, "parked": 0}
    reasons = {refusal["line"]: refusal["reason"] for refusal in done.json["refused_lines"]}
    assert sorted(reasons) == [2, 5, 6]
    assert reasons[2].startswith("InvalidJson")
    assert reasons[5].startswith("Conflict")
    assert "amount" in reasons[6]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_file_as_other_systems_write_it(run: Any, tmp_path: Path, end: str) -> None:
    """A byte order mark, CRLF or CR, empty lines and blanks are no lines and no faults; a bad line has its own number."""
    file = tmp_path / "windows.jsonl"
    good = json.dumps(GOOD)
    file.write_bytes(b"\xef\xbb\xbf" + end.join([good, "", f" {good}\t", "{oops", "", ""]).encode())
    done = run("start", "payments.payment", "--input", str(file), "--json")
    assert {name: done.json[name] for name in ("lines", "runs", "repeated", "refused")} == {
        "lines": 3, "runs": 1, "repeated": 1, "refused": 1,
    }  # fmt: skip
    assert [refusal["line"] for refusal in done.json["refused_lines"]] == [4]
    payload = tmp_path / "one.json"
    payload.write_bytes(b"\xef\xbb\xbf" + good.encode() + end.encode())
    assert run("start", "payments.payment", "--payload", f"@{payload}").status == 0


def test_a_file_in_another_encoding(run: Any, tmp_path: Path) -> None:
    """UTF-16 is one clear error, not a refused line for each of its lines; a file of empty lines is empty."""
    file = tmp_path / "powershell.jsonl"
    file.write_bytes(json.dumps(GOOD).encode("utf-16"))
    for options in (("--input", str(file)), ("--payload", f"@{file}")):
        done = run("start", "payments.payment", *options)
        assert done.status in (1, 2)
        assert "UTF-16" in done.err
        assert "save it as UTF-8" in done.err
    file.write_bytes(b"\xef\xbb\xbf\r\n\r\n")
    done = run("start", "payments.payment", "--input", str(file))
    assert done.status == 1
    assert "is empty" in done.err


def test_a_clean_file_ends_with_a_table_and_status_zero(run: Any, tmp_path: Path) -> None:
    """A file without faults ends in a table of figures and exit status 0."""
    done = run("start", "payments.payment", "--input", _file(tmp_path / "one.jsonl", json.dumps(GOOD)))
    assert done.status == 0
    assert "one.jsonl -> payments.payment" in done.out
    assert "completed" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start", "payments.payment"), "give either --input FILE or --payload JSON"),
        (
            ("start", "payments.payment", "--input", "some.jsonl", "--at-step", "2"),
            "--at-step is for one run",
        ),
        (("start", "no.such", "--payload", "{}"), "there is no flow called 'no.such'"),
        (("start", "payments.payment", "--payload", "{"), "the text is not JSON"),
        (("start", "payments.payment", "--payload", "[]"), "and is given a list; nothing was started"),
        (("start", "payments.payment", "--payload", "{}"), "payment_id: Field required"),
        (("start", "payments.payment", "--payload", json.dumps(GOOD), "--key", "\x07"), "idempotency key"),
        (("start", "payments.payment", "--input", "/no/such/file"), "cannot be read"),
        (("start", "payments.payment", "--input", "/dev/zero"), "a device, and no file"),
        (("start", "payments.payment", "--input", "/"), "Is a directory"),
        (("start", "payments.payment", "--payload", "@/dev/zero"), "a device, and no file"),
        (("start", "payments.payment", "--payload", "@/"), "Is a directory"),
        (("contracts", "diff", "/dev/zero", "/"), "a device, and no file"),
        (("start", "payments.payment", "--payload", "{}", "--no-wait"), "needs servers"),
        (("start", "payments.payment", "--payload", "{}", "--at", "+5m"), "needs servers"),
        (("start", "payments.payment", "--payload", "{}", "--at", "2026-12-01T09:00"), "no time zone"),
        (("start", "payments.payment", "--payload", "{}", "--at", "noon"), "'noon' is no time to start at"),
        (("demo", "nothing"), "there is no demo called 'nothing'"),
        (("runs", "list"), "set COORDINATOR_BROKER_URL"),
        (("dead-letters", "replay"), "name letters"),
        (("serve",), "set COORDINATOR_BROKER_URL"),
        (("no-such-command",), "No such command"),
    ],
)
def test_a_mistake_is_one_message_and_a_non_zero_status(
    run: Any, arguments: tuple[str, ...], said: str
) -> None:
    """A user's mistake is told with its cause on standard error, never with a traceback."""
    done = run(*arguments)
    assert done.status != 0
    assert said in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("COORDINATOR_LEASE", "soon", "lease"),
        ("COORDINATOR_NONSENSE", "1", "unknown setting COORDINATOR_NONSENSE"),
        ("COORDINATOR_AGENTS", "no.such.module", "no.such.module"),
        ("COORDINATOR_AGENTS", "json", "declares no agent"),
        ("COORDINATOR_BROKER_URL", "amqp://guest@localhost", "redis_url"),
        ("COORDINATOR_JOURNAL_URL", "mysql://secret@x/y", "journal_url"),
    ],
)
def test_a_malformed_setting_is_told_without_its_value(
    run: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """A malformed setting stops the start with one line that names it and shows no secret."""
    monkeypatch.setenv(name, value)
    done = run("start", "payments.payment", "--payload", json.dumps(GOOD))
    assert done.status == 1
    assert said in done.err
    assert "secret" not in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize("redis", ["redis://127.0.0.1:1/0", "redis+cluster://127.0.0.1:1"])
def test_an_unreachable_server_is_told_in_one_line(
    run: Any, monkeypatch: pytest.MonkeyPatch, redis: str
) -> None:
    """Where nothing listens, `check` names the server, the cause and the remedy, and ends with status 1."""
    monkeypatch.setenv("COORDINATOR_BROKER_URL", "amqp://guest:hidden@127.0.0.1:1//")
    monkeypatch.setenv("COORDINATOR_REDIS_URL", redis)
    done = run("check")
    assert done.status == 1
    assert "Redis cannot be used" in done.err
    assert "COORDINATOR_REDIS_URL" in done.err
    assert "hidden" not in done.err


def test_flows_and_agents_are_listed(run: Any) -> None:
    """`flows` and `agents` show names, queues and contract versions, as tables and as JSON."""
    assert "payments.fraud-scored/2" in run("flows").out
    listed = run("agents", "--json").json
    assert {"payments.fraud", "payments.authorisation", "payments.ledger", "payments.notification"} == {
        row["agent"] for row in listed
    }


def test_schedules_are_listed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`schedules list` tells what is started when, and when next, without servers too; where there is none it says so."""
    assert "no schedule is declared" in run("schedules", "list").out
    assert run("schedules", "list", "--json").json == []
    monkeypatch.setenv("COORDINATOR_AGENTS", "tests.integration.nights")
    [row] = run("schedules", "list", "--json").json
    assert {name: row[name] for name in ("schedule", "flow", "when", "last", "last_run")} == {
        "schedule": "shop.each-second", "flow": "shop.nightly", "when": "every 1s", "last": "", "last_run": "",
    }  # fmt: skip
    assert datetime.fromisoformat(row["next"]).utcoffset() == timedelta()
    assert datetime.fromisoformat(row["next"]) <= datetime.now(UTC) + timedelta(seconds=1)
    told = run("schedules", "list").out
    for word in ("shop.each-second", "shop.nightly", "every 1s"):
        assert word in told


def test_help_teaches(run: Any) -> None:
    """`--help` names the commands with an example of each main job."""
    done = run("--help")
    assert done.status == 0
    for word in ("demo payments", "dead-letters replay", "--input payments.jsonl", "COORDINATOR_"):
        assert word in done.out


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without our settings, and these."""
    ours = ("COORDINATOR_", "FLOWER_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**clean, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", **variables}


def _program(*arguments: str, variables: Mapping[str, str] = NOBODY, cwd: Path = ROOT) -> Ran:
    """A command line in a process of its own, for commands that change the process they run in."""
    done = subprocess.run(
        [sys.executable, "-m", "handoffs.coordinator", *arguments],
        cwd=cwd,
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_a_worker_of_nobody_is_told_who_there_is() -> None:
    """`worker` with an agent that is not loaded says in one line which agents there are, and ends with status 1."""
    done = _program("worker", "payments.fraud", "nobody")
    [line] = done.err.splitlines()
    assert done.status == 1
    assert "there is no agent called 'nobody'" in line
    for name in ("payments.fraud", "payments.authorisation", "payments.ledger", "payments.notification"):
        assert name in line
    assert "COORDINATOR_AGENTS" in line


def test_flower_is_not_open_to_everybody() -> None:
    """`flower` without a user and a password does not start, and says in one line which variable is missing."""
    done = _program("flower")
    [line] = done.err.splitlines()
    assert done.status == 1
    assert "FLOWER_BASIC_AUTH is not set to user:password" in line


@pytest.mark.parametrize("command", [("worker", "payments.fraud"), ("flower",)])
def test_what_needs_servers_says_so(command: tuple[str, ...]) -> None:
    """`worker` and `flower` without servers end with one line that names the settings."""
    done = _program(*command, variables={})
    [line] = done.err.splitlines()
    assert done.status == 1
    assert "set COORDINATOR_BROKER_URL and COORDINATOR_REDIS_URL" in line


def test_a_worker_that_breaks_ends_with_a_status(tmp_path: Path) -> None:
    """A worker that ends because of a fault, not because it was told to, does not end with status 0."""
    (tmp_path / "broken.py").write_text(
        "import handoffs.coordinator.runtime.bootsteps\n"
        "from handoffs.tasks.payments import payment\n"
        "def examine(engine): raise RuntimeError('a fault of ours')\n"
        "handoffs.coordinator.runtime.bootsteps.examine = examine\n"
    )
    command = ("worker", "payments.fraud", "--pool", "threads")
    done = _program(*command, cwd=tmp_path, variables={"COORDINATOR_AGENTS": "broken", **NOBODY})
    assert "a fault of ours" in done.err
    assert done.status == 1


def test_health_without_a_file(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`health` where no file is named says so in one line, with status 1."""
    monkeypatch.delenv(VARIABLE, raising=False)
    done = run("health")
    assert (done.status, done.out) == (
        1,
        "starting: COORDINATOR_HEALTH_FILE is not set, so nothing is known\n",
    )


def test_health_of_a_process(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`health` prints what the process said last, and its status is 0 while the process is ready."""
    path = tmp_path / "health.json"
    monkeypatch.setenv(VARIABLE, str(path))
    assert run("health").status == 1
    HealthFile(str(path)).say("ready", "consumes payments.fraud")
    done = run("health")
    assert (done.status, done.out) == (0, "ready: consumes payments.fraud\n")


def test_check_of_the_embedded_default(run: Any) -> None:
    """`check` with nothing set says that there are no servers to look at, and how many contracts are published."""
    done = run("check", "--json")
    assert done.status == 0
    told = {row["what"]: row["state"] for row in done.json}
    assert told["servers"] == "none set: embedded in each process"
    assert told["published contracts"].endswith(", each as it was published")


@contextlib.contextmanager
def _started(
    *arguments: str, variables: Mapping[str, str], cwd: Path = ROOT
) -> Iterator[subprocess.Popen[str]]:
    """A command line that goes on until it is told to stop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "handoffs.coordinator", *arguments],
        cwd=cwd,
        env=_environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


HELD = {
    "a malformed setting": (("worker", "payments.fraud"), {"COORDINATOR_LEASE": "nonsense"}, "lease"),
    "an unknown setting": (("serve",), {"COORDINATOR_LEESE": "1s"}, "COORDINATOR_LEESE"),
    "no such module": (
        ("worker", "payments.fraud"),
        {"COORDINATOR_AGENTS": "no.such", **NOBODY},
        "no.such",
    ),
    "no such agent": (("worker", "nobody"), NOBODY, "'nobody'"),
    "no servers": (("serve",), {}, "COORDINATOR_BROKER_URL"),
    "no servers for beat": (("beat",), {}, "COORDINATOR_BROKER_URL"),
    "beat with no such module": (("beat",), {"COORDINATOR_AGENTS": "no.such", **NOBODY}, "no.such"),
    "no login": (("flower",), NOBODY, "FLOWER_BASIC_AUTH"),
}


@pytest.mark.parametrize("case", HELD)
def test_what_a_person_must_mend_holds_the_process(case: str, tmp_path: Path) -> None:
    """Where a health file is named, a mistake is said there in one line and the process stays until it is stopped."""
    command, variables, said = HELD[case]
    file = HealthFile(str(tmp_path / "health.json"))
    file.say("ready", "what an earlier process said")
    with _started(*command, variables={VARIABLE: str(file.path), **variables}) as process:
        wait_until(lambda: file.read().state == "held", description="it is held")
        assert said in file.read().text
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert out == ""
    [line] = err.splitlines()
    assert line == f"coordinator: held: {file.read().text}"


def test_what_an_earlier_process_said_is_not_believed(tmp_path: Path) -> None:
    """A process that starts takes back what an earlier one said before it loads anything."""
    (tmp_path / "slow.py").write_text(
        "import pathlib, threading\npathlib.Path('loading').touch()\nthreading.Event().wait()\n"
    )
    file = HealthFile(str(tmp_path / "health.json"))
    file.say("held", "what an earlier process said")
    variables = {VARIABLE: str(file.path), "COORDINATOR_AGENTS": "slow", **NOBODY}
    with _started("worker", "payments.fraud", cwd=tmp_path, variables=variables):
        wait_until((tmp_path / "loading").exists, description="it loads its modules")
        assert file.read().state == "starting"


def test_payload_of_many_values(tmp_path: Path) -> None:
    """What a person gives is read up to the largest message that may be set: whether there is room for it, the start says."""
    file = tmp_path / "payload.json"
    file.write_text(json.dumps({"lines": [{"number": number, "of": "x" * 100} for number in range(30_000)]}))
    assert len(JsonValue().convert(f"@{file}", None, None)["lines"]) == 30_000
