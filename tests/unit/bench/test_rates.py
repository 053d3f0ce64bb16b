"""Runs at a fixed rate, on a side that is none."""

from __future__ import annotations

import pytest

from bench.measures.rates import at_rate
from bench.work import Job, WrongResult
from tests.unit.bench.sides import Instant


def test_each_run_is_started_once() -> None:
    """Eight threads start all runs, none twice, and each has a latency."""
    side, jobs = Instant(slow=2), [Job() for _ in range(50)]
    values = at_rate(side, jobs, rate=1_000)
    assert sorted(side.started) == sorted(job.document["id"] for job in jobs)
    assert 0 <= values["p50_ms"] <= values["p95_ms"] <= values["p99_ms"]


def test_a_start_that_fails_ends_it() -> None:
    """A run that cannot be started is an error, and nobody waits for it."""
    with pytest.raises(ConnectionError):
        at_rate(Instant(fails=True), [Job() for _ in range(20)], rate=1_000)


def test_a_wrong_result_ends_it() -> None:
    """So is one with a wrong result."""
    with pytest.raises(WrongResult):
        at_rate(Instant(wrong=True), [Job()], rate=1_000)
