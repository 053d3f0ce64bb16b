"""The metrics of an installation on real servers."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.integration import shop
from tests.integration.bench import Bench, open_bench
from tests.servers import Servers
from tests.servers.ports import free_port
from tests.waiting import wait_until


def _read(port: int) -> dict[tuple[str, str], float]:
    """The samples by name and agent, summed over the other labels; empty while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name, sample.labels.get("agent", "")
            found[name] = found.get(name, 0) + sample.value
    return found


def test_the_coordinator_process_tells_of_all_workers(servers: Servers, tmp_path: Path) -> None:
    """What workers have done, what waits, and who is at work is answered on the port that `COORDINATOR_METRICS` says, while the process is there."""
    port = free_port()
    with open_bench(servers, tmp_path, METRICS=f"127.0.0.1:{port}") as bench:
        _look(bench, port)
    assert _read(port) == {}


def _look(bench: Bench, port: int) -> None:
    agent = "shop.one"
    bench.completed(bench.start(shop.chain))
    wait_until(
        lambda: _read(port).get(("handoffs_steps_total", agent), 0) >= 1, description="the step is counted"
    )
    wait_until(
        lambda: _read(port).get(("handoffs_workers_live", agent), 0) >= 1, description="its worker is seen"
    )
    found = _read(port)
    assert found["handoffs_servers_up", ""] == 1
    assert found["handoffs_runs_started_total", ""] >= 1
    assert found["handoffs_agent_seconds_count", agent] >= 1
