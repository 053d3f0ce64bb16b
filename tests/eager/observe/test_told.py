"""What failed and where is told where people look, and nothing of it is a secret of the input."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Retry, Sensitive, agent
from handoffs.config.logs import _Printable
from handoffs.config.settings import Settings
from handoffs.coordinator.runtime.failure_log import FAILURES
from tests.eager.command import Command
from tests.waiting import wait_until

MARK = "xyzzy-4242-plugh"
KEY = base64.b64encode(bytes(32)).decode()
TIMEOUT = 20.0


class Job(Contract, name="told.job", version=1):
    """What is to be done, with a secret."""

    number: str = Key()
    pin: Sensitive


def missing(table: dict[str, str]) -> str:
    """The line that people are to find."""
    return table["missing"]


def _raised(job: Job) -> Job:
    raise ValueError(f"no account for {job.pin.get_secret_value()}")


def _from(job: Job) -> Job:
    try:
        raise KeyError(job.pin.get_secret_value())
    except KeyError as error:
        raise RuntimeError("no account") from error


def _group(job: Job) -> Job:
    raise ExceptionGroup(job.pin.get_secret_value(), [ValueError(job.pin.get_secret_value())])


def _output(job: Job) -> Job:
    return job.model_copy(update={"number": job.pin.get_secret_value(), "pin": job.pin.get_secret_value()})


def _exit(job: Job) -> Job:
    raise SystemExit(job.pin.get_secret_value())


WAYS: dict[str, Callable[[Job], Job]] = {
    "raised": _raised, "from": _from, "group": _group, "output": _output, "exit": _exit,
}  # fmt: skip


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What our own handler prints, from DEBUG on, and what others print with Python's formatter."""
    text = io.StringIO()
    handlers = [logging.StreamHandler(text) for _ in range(2)]
    handlers[0].setFormatter(_Printable("%(message)s"))
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    root.handlers += handlers
    yield text
    root.setLevel(before)
    for handler in handlers:
        root.removeHandler(handler)


@pytest.mark.parametrize(
    ("way", "eager"), [*((way, True) for way in WAYS), ("raised", False)], ids=[*WAYS, "embedded"]
)
def test_a_secret_is_nowhere_but_in_sealed_messages(
    coordinator_settings: Settings, tmp_path: Path, command: Command, log: io.StringIO, way: str, eager: bool
) -> None:
    """However an agent lets it out: not in the journal's file, on its way there, in the log, or in what commands print.

    Many parameters because each is a place to look at, or a way.
    """

    @agent("told.work", retry=Retry(attempts=2, backoff=timedelta(milliseconds=10)))
    def work(job: Job) -> Job:
        return WAYS[way](job)

    url = f"sqlite:///{tmp_path}/told.sqlite3"
    settings = coordinator_settings.model_copy(
        update={"eager": eager, "journal_url": url, "journal_keys": (KEY,)}
    )
    with Coordinator(settings) as running:
        run = running.start(Flow("told.flow", work), Job(number="1", pin=MARK))  # type: ignore[arg-type]
        assert run.wait(TIMEOUT) == "parked"
        [letter] = run.letters()
        assert letter.message["headers"]
        shown = [
            letter.text,
            letter.trace,
            json.dumps(letter.payload),
            json.dumps(run.history().to_json()),
            repr(letter.row),
            log.getvalue(),
        ]
        for arguments in (
            ["dead-letters", "list"],
            ["dead-letters", "show", letter.id],
            ["runs", "show", run.id],
        ):
            shown += [command(running, *arguments)[1], command(running, *arguments, "--json")[1]]
        redis = running.engine.services.store.redis
        shown += [str(redis.xrange(key)) for key in redis.scan_iter(_type="stream")]
        running.edit(letter, {"number": "1", "pin": MARK}, why="it was wrong")
        assert run.wait(TIMEOUT) == "parked"
        shown += [json.dumps(run.history().to_json()), log.getvalue()]
    assert [text for text in shown if MARK in text] == []
    for file in tmp_path.iterdir():
        assert MARK.encode() not in file.read_bytes(), file


def test_where_it_failed_is_in_log_letter_history_and_commands(
    anywhere: Coordinator, command: Command
) -> None:
    """The exception itself is on a record of the log: at INFO for an attempt that is followed by another, once at ERROR for the
    last one."""
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    @agent("told.fails", retry=Retry(attempts=3, backoff=timedelta(milliseconds=10)))
    def fails(job: Job) -> Job:
        return Job(number=missing({}), pin=job.pin)

    kept, failures = Kept(), logging.getLogger(FAILURES)
    before = failures.level
    failures.addHandler(kept)
    failures.setLevel(logging.INFO)
    try:
        run = anywhere.start(Flow("told.flow", fails), Job(number="1", pin=MARK))  # type: ignore[arg-type]
        assert run.wait(TIMEOUT) == "parked"
    finally:
        failures.removeHandler(kept)
        failures.setLevel(before)
    assert [record.levelname for record in records] == ["INFO", "INFO", "ERROR"]
    for record in records:
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], KeyError)
        assert "missing" in logging.Formatter().formatException(record.exc_info)
    [letter] = run.letters()
    place = 'in missing: return table["missing"]'
    assert letter.trace.splitlines()[0] == "KeyError: 'missing'"
    assert place in letter.trace.splitlines()[1]
    assert place in letter.row.trace
    told = {entry["kind"]: entry["trace"] for entry in run.history() if "trace" in entry}
    assert place in told["retried"]
    assert place in told["parked"]
    assert sum(entry["kind"] == "retried" for entry in run.history()) == 2
    wait_until(
        lambda: place in command(anywhere, "dead-letters", "show", letter.id)[1], description="it is shown"
    )
    assert place in command.json(anywhere, "dead-letters", "show", letter.id)["trace"]
    assert place in json.dumps(command.json(anywhere, "runs", "show", run.id)).replace('\\"', '"')
    assert "in missing" in command(anywhere, "runs", "show", run.id)[1]
