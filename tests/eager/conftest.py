"""Coordinators of both kinds, behind one name."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from handoffs.config.settings import Settings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.runtime.failure_log import FAILURES
from tests.eager.command import Command
from tests.eager.office import KEY, Office, opened


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What a command does to the log ends with the test."""
    loggers = [logging.getLogger(name) for name in ("", "celery.app.trace", FAILURES)]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(params=["coordinator", "live_coordinator"])
def anywhere(request: pytest.FixtureRequest) -> Coordinator:
    """A coordinator in eager mode, and one with worker threads: the same must hold on both."""
    found: Coordinator = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs commands in this process, of a coordinator that is there already."""
    return Command(capsys, monkeypatch)


@pytest.fixture
def office(
    coordinator_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """An office in eager mode."""
    given = {"eager": True, "journal_url": f"sqlite:///{tmp_path}/journal.sqlite3", "journal_keys": (KEY,)}
    with opened(coordinator_settings.model_copy(update=given), monkeypatch) as made:
        yield made
