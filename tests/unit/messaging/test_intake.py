"""Intake: nothing decodes, decompresses or shows a message from the broker before it was looked at."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from amqp.basic_message import Message as AmqpMessage
from kombu.transport.pyamqp import Message as KombuMessage

from handoffs.config.logs import configure
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.handoff.failure import describe
from handoffs.coordinator.messaging.wire import read_body, read_message
from handoffs.coordinator.runtime import strategy as strategy_module
from handoffs.coordinator.runtime.consumer import Consumer
from handoffs.coordinator.runtime.request import Request
from handoffs.coordinator.runtime.strategy import strategy

LIMITS = Limits(octets=2000, depth=20, nodes=100)
BODY = b'[["{}"],{"flow":"shop.order","step":"0","accepts":"urn:contract:shop.order:1"},{}]'
HEADERS = {
    "id": "m-1",
    "task": "shop.reserve",
    "handoff_run": "r-1",
    "handoff_flow": "shop.order",
    "handoff_step": "0",
    "argsrepr": "run=r-1",
}
HOSTILE = {
    "oversized": BODY + b" " * 2000,
    "deep": BODY.replace(b"{}]", b'{"chain":' + b"[" * 100 + b"]" * 100 + b"}]"),
    "very deep": b"[" * 100_000,
    "many values": BODY.replace(b"{}]", b'{"chain":[' + b"1," * 200 + b"1]}]"),
    "NaN": BODY.replace(b"{}]", b'{"chord":NaN}]'),
    "duplicate key": BODY.replace(b"{}]", b'{"chord":1,"chord":2}]'),
    "lone surrogate": BODY.replace(b"{}]", b'{"chord":"\\ud800"}]'),
    "no UTF-8": BODY + b"\xff",
    "typed object": BODY.replace(b"{}]", b'{"chord":{"__type__":"bytes","__value__":"x"}}]'),
    "typed object, escaped": BODY.replace(
        b"{}]", b'{"chord":[{"\\u005f_type__":"decimal","__value__":"1"}]}]'
    ),
}


class Undecoded(KombuMessage):
    """A message that fails the test when somebody decodes it."""

    def decode(self) -> Any:
        raise AssertionError("it was decoded")

    payload = property(decode)

    def reject_log_error(self, *_: Any) -> None:
        self.refused = True


class Read(KombuMessage):
    """A message that fails the test when its body is parsed by Kombu."""

    def _decode(self) -> Any:
        raise AssertionError("it was parsed")


def arrived(body: bytes = BODY, headers: dict[str, Any] | None = None) -> Any:
    """A message as Kombu makes it of what the broker sends."""
    return Undecoded(sent(body, HEADERS if headers is None else headers))  # type: ignore[no-untyped-call]


def sent(body: bytes, headers: dict[str, Any]) -> Any:
    """A message as the broker sends it."""
    raw = AmqpMessage(body, application_headers={**headers})
    raw.properties |= {"content_type": "application/json", "content_encoding": "utf-8"}
    raw.delivery_info = {"delivery_tag": 1}
    return raw


def ignore(*_: Any, **__: Any) -> None:
    """Does nothing."""


def handled_by_strategy(message: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """What went on to Celery, and what was rejected."""
    handled: list[Any] = []
    rejected: list[Any] = []
    monkeypatch.setattr(
        strategy_module, "celery_strategy", lambda *_, **__: lambda message, *_, **__: handled.append(message)
    )
    handoff = SimpleNamespace(agent=SimpleNamespace(intake=SimpleNamespace(ordered=True)))
    on_message = strategy(
        SimpleNamespace(name="shop.reserve", limits=LIMITS, handoff=handoff),  # type: ignore[arg-type]
        None,
        SimpleNamespace(connection_errors=()),
    )
    on_message(message, None, ignore, lambda *given: rejected.append(given), [])
    return handled, rejected


def test_a_good_message_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is as it should be is handed to Celery."""
    message = arrived()
    assert handled_by_strategy(message, monkeypatch) == ([message], [])


def test_a_good_message_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Celery is handed has been read already: neither Kombu nor the pool parses the body again."""
    message: Any = Read(sent(BODY, HEADERS))  # type: ignore[no-untyped-call]
    handled_by_strategy(message, monkeypatch)
    body = [["{}"], {"flow": "shop.order", "step": "0", "accepts": "urn:contract:shop.order:1"}, {}]
    assert message.payload == body
    app = SimpleNamespace(tasks={}, use_fast_trace_task=False)
    request = Request(
        message, body=message.body, headers=message.headers, app=app, task=SimpleNamespace(ignore_result=True)
    )
    assert (request.body, request.content_type, request.content_encoding) == (body, None, None)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_body_is_rejected_undecoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too large or too deep, or that two parsers could read differently, is rejected before Celery decodes it."""
    handled, rejected = handled_by_strategy(arrived(HOSTILE[kind]), monkeypatch)
    assert handled == []
    assert [given[2] for given in rejected] == [False]  # not requeued: to the dead letters


@pytest.mark.parametrize("name", [None, [1], {"a": 1}, 7, b"x"])
def test_a_message_without_a_task_name_is_rejected_undecoded(name: object) -> None:
    """Celery would decode it to look for a name inside, or stop the worker on a name that is no text."""
    consumer = Consumer.__new__(Consumer)
    consumer.strategies, consumer.on_task_message, consumer.call_soon_ack = {}, set(), ignore
    consumer.app = SimpleNamespace()
    consumer.connection_errors = ()
    headers = {**HEADERS, "task": name} if name is not None else {"id": "m-1"}
    message = arrived(b'{"task":"shop.reserve","args":[]}', headers)
    consumer.create_task_handler()(message)
    assert message.refused


def test_an_unknown_task_is_rejected_undecoded() -> None:
    """A task name that no worker knows is rejected without a look into the body."""
    consumer = Consumer.__new__(Consumer)
    consumer.strategies, consumer.on_task_message, consumer.call_soon_ack = {}, set(), ignore
    consumer.connection_errors = ()
    message = arrived()
    consumer.create_task_handler()(message)
    assert message.refused


@pytest.mark.parametrize("encoding", [None, "", "binary", "utf-16"])
def test_a_message_without_utf8_is_refused(encoding: str | None) -> None:
    """A message that does not say that it is UTF-8 is refused, also where it says nothing at all."""
    with pytest.raises(InvalidInput, match="utf-8"):
        read_message(HEADERS, BODY, "application/json", encoding, LIMITS)
    with pytest.raises(InvalidInput, match="content type"):
        read_body(BODY, None, LIMITS)


@pytest.mark.parametrize("name", ["argsrepr", "kwargsrepr", "origin", "root_id", "parent_id", "lang"])
@pytest.mark.parametrize("value", ["a\u202eb", "a\nb", "\U000e0041", "x" * 2001, 7, ["x"], "\x9b31m"])
def test_headers_that_people_see_are_plain_and_short(name: str, value: object) -> None:
    """What Flower and the logs show of a message is plain text of bounded length, or the message is refused."""
    with pytest.raises(InvalidInput, match=name):
        read_message({**HEADERS, name: value}, BODY, "application/json", "utf-8", LIMITS)
    read = read_message({**HEADERS, name: None}, BODY, "application/json", "utf-8", LIMITS)
    assert read.envelope == "{}"


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """What a test does to the log ends with it."""
    loggers = [logging.getLogger(name) for name in (None, "celery.app.trace", "celery.worker.strategy")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.usefixtures("logging_as_it_was")
def test_errors_and_log_lines_hide_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The name and text of an exception, and a log line, are escaped: bidi, tags and controls."""
    hostile = "a\u202e\U000e0041\x1b[2J\u2066\ufe0fb"
    error = type(hostile, (Exception,), {})(hostile)
    configure("INFO")
    logging.getLogger("anything").warning("%s", hostile)
    line = capsys.readouterr().err.strip()
    for text in (*describe(error), line):
        assert text.isascii()
        assert text.isprintable()
        assert "\\u202e" in text
