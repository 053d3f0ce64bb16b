"""The benchmarks run on real servers. What they measure is not looked at: only that they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.measures.measure import Bench
from bench.measures.throughput import THROUGHPUT
from bench.report.tables import section
from bench.samples import Record
from bench.servers import Place
from tests.servers import Servers

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def place(servers: Servers, tmp_path: Path) -> Place:
    """The session's servers as a benchmark gets them."""
    journal = f"sqlite:///{tmp_path / 'journal.sqlite3'}"
    return Place(
        servers.broker_url, servers.redis_url, journal, servers.versions, servers.kind, tmp_path, "bench-test"
    )


def test_throughput(place: Place) -> None:
    """A measure plays one round of each side, checks every result, meters the processor time of both, and its table says what it
    has found and how far the bar is."""
    record = Record()
    with Bench(place, "tiny") as bench:
        for one in THROUGHPUT.play(bench):
            record.add(one)
    samples = record.of("throughput")
    assert [one.side for one in samples] == ["handoffs", "celery"] * 2
    assert len({one.case for one in samples}) == 2
    assert all(one.values["per_second"] > 0 for one in samples)
    assert all({"client", "workers"} <= set(one.cpu) for one in samples)
    shown = section(THROUGHPUT, record)
    assert "| handoffs |" in shown
    assert "x celery" in shown
