"""The level of the log, in a program that makes a coordinator."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent
from handoffs.config.settings import load
from handoffs.coordinator.errors import RunNotCompleted


class Order(Contract, name="level.order", version=1):
    number: str = Key()


@agent("level.fail")
def fail(order: Order) -> Order:
    raise ValueError("it fails")


FLOW = Flow("level.flow", fail)


@pytest.fixture
def silent() -> Iterator[logging.Logger]:
    """The log of this package, without a level."""
    log = logging.getLogger("handoffs")
    before = log.level
    log.setLevel(logging.NOTSET)
    yield log
    log.setLevel(before)


@pytest.mark.parametrize("eager", [True, False])
def test_the_level_counts_where_it_is_set(
    eager: bool, silent: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With COORDINATOR_LOG_LEVEL=CRITICAL nothing is logged of a step that is parked; unset, it is. Afterwards the log is as it was."""
    monkeypatch.setenv("COORDINATOR_EAGER", str(eager))
    for level in ("CRITICAL", ""):
        if level:
            monkeypatch.setenv("COORDINATOR_LOG_LEVEL", level)
        else:
            monkeypatch.delenv("COORDINATOR_LOG_LEVEL")
        caplog.clear()
        with Coordinator(load()) as coordinator:
            run = coordinator.start(FLOW, Order(number="1"))
            with contextlib.suppress(RunNotCompleted):
                run.result(20)
        assert any("parked" in record.getMessage() for record in caplog.records) is not bool(level)
        assert silent.level == logging.NOTSET


def test_a_level_of_the_program_s_own_counts(silent: logging.Logger) -> None:
    """A level that the program has given to the log stays."""
    silent.setLevel(logging.INFO)
    with Coordinator(load(eager=True, log_level="CRITICAL")):
        assert silent.level == logging.INFO
    assert silent.level == logging.INFO
