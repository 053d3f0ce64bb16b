"""What nobody can read, on the broker in this process: each is a letter of its own, shown escaped, and what is behind it is worked on."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import kombu
import pytest

from handoffs import Context, Contract, Coordinator, Flow, Key, agent, on
from handoffs.config.settings import Settings
from handoffs.contracts.errors import CoordinationError, InvalidInput
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.runtime.remote_control import check_command, guarded
from tests.hostile.octets import item, properties
from tests.waiting import wait_until


class Note(Contract, name="unread.note", version=1):
    """Something to pass on."""

    number: str = Key()


class Noted(Contract, name="unread.noted", version=1):
    """An event: it was noted."""

    number: str = Key()


@agent("unread.clerk", events=(Noted,))
def clerk(note: Note, context: Context) -> Note:
    """Pass it on, and tell."""
    context.emit(Noted(number=note.number))
    return note


HEARD: list[str] = []


@on(Noted)
@agent("unread.ear")
def ear(event: Noted) -> None:
    """Hear of it."""
    HEARD.append(event.number)


FLOW = Flow("unread.flow", clerk)


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    with Coordinator(Settings(agents=())) as opened:
        opened.work([clerk, ear])
        yield opened


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


MESSAGES: dict[str, dict[str, Any]] = {
    "a property": {"correlation_id": "\ud800"},
    "a name": {"headers": {b"\xff": 1}},
    "a value": {"headers": {"task": "\udfff"}},
    "a number": {"headers": {"n": float("nan")}},
    "deep": {"headers": {"a": deep(900)}},
    "many": {"headers": {f"h{one}": one for one in range(9_000)}},
    "a key": {"routing_key": "\ud800"},
    "a body": {"body": "\ud800"},
    "large": {"body": b"[" + b" " * 3_000_000 + b"]", "headers": {"task": "unread.clerk", "id": "1"}},
    "packed": {"body": gzip.compress(b" " * 10_000_000), "headers": {"compression": "gzip"}},
    "an event that says a thing twice": {
        "body": b'[["{}"],{"step":"1","step":"2"},{}]',
        "headers": {"task": "coordinator.event"},
    },
    "no task": {"headers": {"task": ["a"]}},
    "nothing": {"body": b""},
}


def publish(coordinator: Coordinator, **given: Any) -> None:
    """As anybody in this process could."""
    topology = coordinator.engine.topology
    key = given.pop("routing_key", topology.queue_name("unread.clerk"))
    exchange = topology.dead.name if key == "\ud800" else topology.agents.name
    body = given.pop("body", b"[]")
    options = {"content_type": "application/json", "content_encoding": "utf-8", **given}
    with coordinator.engine.app.connection_for_write() as connection:
        channel: Any = connection.channel()
        message = kombu.transport.virtual.Channel.prepare_message(
            channel, body, headers=options.pop("headers", {}),
            content_type=options.pop("content_type"), content_encoding=options.pop("content_encoding"),
            properties=options,
        )  # fmt: skip
        channel.basic_publish(message, exchange, key)


def test_what_cannot_be_read_is_a_letter_and_holds_up_nothing(coordinator: Coordinator) -> None:
    """Each is one letter, which says why; none is replayed; a run that is started behind them completes, and its event is heard."""
    for given in MESSAGES.values():
        publish(coordinator, **given)
    run = coordinator.start(FLOW, Note(number="1"))
    assert run.wait(20) == "completed"

    def letters() -> list[Letter]:
        found = list(coordinator.dead_letters())
        return found if len(found) >= len(MESSAGES) else []

    found = wait_until(letters, description="each has a letter", timeout=30)
    assert len(found) == len(MESSAGES)
    for letter in found:
        assert letter.kind == "undecodable"
        assert letter.text.isprintable()
        assert not letter.run
        with pytest.raises(CoordinationError, match="cannot be replayed"):
            letter.replay()
    wait_until(lambda: HEARD, description="the event is heard")


def test_a_letter_of_octets_is_kept_as_it_came(coordinator: Coordinator) -> None:
    """Properties and body are kept octet by octet; it is shown with escapes; it is one letter however often the broker brings it."""
    octets = properties([(b"handoff_run", item("r")), (b"\xff\x1b", item(b"\x80"))], app_id=b"caf\xe9")
    raw = RawLetter(
        {"handoff_run": "r", "\\xff\x1b": "\\x80"}, b"\x00\xff", "", "", "a header is no text", octets
    )
    row = coordinator.desk.receive(raw)
    again = coordinator.desk.receive(raw)
    assert row.id == again.id
    letter = coordinator.desk.letter(row.id)
    assert base64.b64decode(letter.message["properties_base64"]) == octets
    assert base64.b64decode(letter.message["body_base64"]) == b"\x00\xff"
    assert letter.text.startswith("a header is no text")
    assert (letter.run, letter.step) == ("", "")
    with pytest.raises(CoordinationError, match="cannot be replayed"):
        letter.replay()


COMMANDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a list": ([], {}),
    "nothing": ({}, {}),
    "a method": ({"method": 7}, {}),
    "arguments": ({"method": "ping", "arguments": [1]}, {}),
    "a destination": ({"method": "ping", "destination": {"a": 1}}, {}),
    "an expression": ({"method": "ping", "pattern": "(.+)+x", "matcher": "pcre"}, {}),
    "more": ({"method": "ping", "self": 1}, {}),
    "elsewhere": ({"method": "ping", "reply_to": {"exchange": "amq.direct", "routing_key": "a"}}, {}),
    "a ticket": ({"method": "ping", "ticket": {}}, {}),
    "a clock": ({"method": "ping"}, {"clock": 2**63 - 1}),
    "a text as clock": ({"method": "ping"}, {"clock": "1"}),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_is_no_command_is_not_obeyed(kind: str) -> None:
    """Remote control takes what Celery sends, and nothing that only looks like it."""
    body, headers = COMMANDS[kind]
    with pytest.raises(InvalidInput):
        check_command(body, headers, "reply.celery.pidbox")


def test_what_celery_sends_is_a_command() -> None:
    """With an answer and without, to all and to some."""
    reply = {"exchange": "reply.celery.pidbox", "routing_key": "a-b"}
    for body in (
        {"method": "ping", "arguments": None, "destination": None, "pattern": None, "matcher": None},
        {
            "method": "rate_limit",
            "arguments": {"a": 1},
            "destination": ["a@b"],
            "reply_to": reply,
            "ticket": "t",
        },
        {"method": "ping", "pattern": "a*", "matcher": "glob"},
    ):
        check_command(body, {"clock": 7, "expires": 1.5}, reply["exchange"])


QUEUES: dict[str, dict[str, Any]] = {
    "a number": {"queue": 5},
    "a list": {"queue": ["unread.clerk"]},
    "none": {},
    "another's": {"queue": "unread.nobody"},
    "an exchange of another kind": {"queue": "elsewhere", "exchange_type": "nonsense"},
    "declared otherwise": {"queue": "unread.clerk", "durable": False},
}


@pytest.mark.parametrize("command", ["add_consumer", "cancel_consumer"])
@pytest.mark.parametrize("kind", QUEUES)
def test_a_worker_takes_no_queue_but_its_own(command: str, kind: str) -> None:
    """Celery would obey later, out of whatever runs the worker, and end it with an error."""
    obeyed: list[Any] = []
    state = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues={"unread.clerk": None})))
    answer = guarded(command, lambda state, **given: obeyed.append(given))(state, **QUEUES[kind])
    assert list(answer) == ["error"]
    assert obeyed == []
    own = {"queue": "unread.clerk", "exchange": None, "exchange_type": "direct", "routing_key": None}
    guarded(command, lambda state, **given: obeyed.append(given))(state, **own)
    assert obeyed == [own]


def test_a_command_that_fails_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever its arguments are; who asked gets the reason."""

    def revoke(state: object, task_name: str) -> dict[str, str]:
        raise KeyError("\x1b[2J")

    for given in ({"task_name": "x"}, {"state": 1}, {"task_name": "x", "more": 2}, {}):
        answer = guarded("revoke", revoke)(object(), **given)
        assert answer["error"].isprintable()
    assert [record.exc_info for record in caplog.records] == [None] * 4
    assert all(record.getMessage().isprintable() for record in caplog.records)


RATES: list[Any] = [-1, "-1/s", "nan", "inf/m", "1e9", None, [], "1/y", ""]
SECONDS: list[Any] = [-1, "x", [], True, float("nan"), float("inf")]
LIMITS: list[tuple[str, dict[str, Any]]] = [
    *(("rate_limit", {"task_name": "t", "rate_limit": rate}) for rate in RATES),
    *(("time_limit", {"task_name": "t", "hard": hard}) for hard in SECONDS),
    ("time_limit", {"task_name": "t", "hard": 1, "soft": []}),
]


@pytest.mark.parametrize(("command", "given"), LIMITS, ids=range(len(LIMITS)))
def test_a_limit_is_a_limit(command: str, given: dict[str, Any]) -> None:
    """Celery takes a rate below nothing, and then a worker goes round for ever and says nothing to the broker."""
    answer = guarded(command, lambda state, **given: {"ok": "obeyed"})(object(), **given)
    assert "error" in answer


@pytest.mark.parametrize("rate", [0, 10, "5/s", "0.5/m", "100/h"])
def test_limits_are_obeyed(rate: object) -> None:
    """What Celery documents is taken."""
    for command, given in {
        "rate_limit": {"task_name": "t", "rate_limit": rate},
        "time_limit": {"task_name": "t", "hard": 2.5, "soft": None},
    }.items():
        assert guarded(command, lambda state, **given: {"ok": "obeyed"})(object(), **given) == {
            "ok": "obeyed"
        }
