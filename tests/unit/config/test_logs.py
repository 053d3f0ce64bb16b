"""What the log of a process shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.config.at_work import at
from handoffs.config.logs import PROGRESS, configure
from tests.defaults import default_settings


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The log after the test is that of before."""
    loggers = [
        logging.getLogger(name) for name in ("", PROGRESS, "celery.app.trace", "celery.worker.strategy")
    ]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize(
    ("level", "shown"),
    [(default_settings().log_level, True), ("INFO", True), ("DEBUG", True), ("ERROR", False)],
)
def test_how_far_agents_are(level: str, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """What an agent says of how far it is is in the log at the default level, and not where only errors are wanted."""
    configure(level)
    logging.getLogger(PROGRESS).info("page 3 of 9")
    assert ("page 3 of 9" in capsys.readouterr().err) == shown


def test_other_lines_at_the_default_level(capsys: pytest.CaptureFixture[str]) -> None:
    """All else that is no warning is left out there."""
    configure(default_settings().log_level)
    logging.getLogger("coordinator.agents").info("something else")
    assert "something else" not in capsys.readouterr().err


STEP = {
    "run": "r-1",
    "flow": "shop.order",
    "step": "2",
    "agent": "shop.price",
    "attempt": "3",
    "trace": "4bf92f",
}


def _within(say: Callable[[], None]) -> None:
    copy_context().run(at(STEP, say))


def test_an_agents_own_line_says_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is logged while a step is at work ends with its run and step; one that says a run already, and one after it, do not."""
    configure("INFO")
    log = logging.getLogger("shop")
    _within(lambda: log.info("priced"))
    _within(lambda: log.info("run=r-2 step=7 is put off"))
    log.info("idle")
    priced, put_off, idle = capsys.readouterr().err.splitlines()
    assert priced.endswith("shop priced run=r-1 step=2")
    assert put_off.endswith("run=r-2 step=7 is put off")
    assert idle.endswith("shop idle")


def test_a_line_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON each record is one object in one line, with the step that is at work, or the one that our own line is about."""
    configure("INFO", "json")
    log = logging.getLogger("shop")
    _within(lambda: log.info('priced\n{"level": "forged"}'))
    log.warning("run=r-2 step=7: it is put off")
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("failed")
    priced, put_off, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert priced.items() >= {**STEP, "level": "INFO", "logger": "shop"}.items()
    assert priced["message"] == 'priced\n{"level": "forged"}'
    assert datetime.fromisoformat(priced["time"]).tzinfo is UTC
    assert (put_off["run"], put_off["step"]) == ("r-2", "7")
    assert "agent" not in put_off
    assert failed["error"].endswith("ValueError: no")


@given(message=st.text(), name=st.text(min_size=1))
def test_whatever_is_logged_is_one_line(message: str, name: str) -> None:
    """No text, lone surrogates and controls included, makes a second line or something that is no JSON."""
    record = logging.LogRecord(name, logging.INFO, "", 0, "%s", (message,), None)
    configure("INFO", "json")
    form = logging.getLogger().handlers[0].formatter
    assert form is not None
    line = form.format(record)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert json.loads(line)["message"] == message[:4000]


def test_what_may_be_shown_of_an_error_is_shown() -> None:
    """A record that brings its trace, with secrets masked, is shown with that, and not with what the exception itself says."""
    configure("INFO", "json")
    form = logging.getLogger().handlers[0].formatter
    assert form is not None
    error = ValueError("the card is 4000000000000002")
    record = logging.LogRecord("failures", logging.ERROR, "", 0, "failed", (), (ValueError, error, None))
    record.exc_text = "ValueError: the card is **********"
    assert json.loads(form.format(record))["error"] == "ValueError: the card is **********"
