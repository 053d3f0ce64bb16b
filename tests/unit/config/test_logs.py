"""What the log of a process shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

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
