"""A client of real servers in a process that forks: as a web server does that loads the application first."""

from __future__ import annotations

import secrets
import threading
import time
from functools import partial
from pathlib import Path

from handoffs.coordinator.client.coordinator import Coordinator
from tests.forking import forked
from tests.integration import edges
from tests.servers import Servers
from tests.workers import open_installation

MANY = 15


def _used(client: Coordinator, name: str) -> str:
    """Start runs, and read the journal; what went wrong."""
    slowest, faults = 0.0, []
    for number in range(MANY):
        began = time.monotonic()
        try:
            run = client.start(edges.FLOWS["edges.prefork"], edges.Job(number=f"{name}-{number}"))
            client.dead_letters()
            assert run.history()
        except Exception as error:  # noqa: BLE001 - shown by the parent
            faults.append(f"{type(error).__name__}: {error}")
        slowest = max(slowest, time.monotonic() - began)
    return f"{faults} {'slow' if slowest > 5 else 'soon'}"


def test_parent_and_children_share_nothing(servers: Servers, tmp_path: Path) -> None:
    """Parent and children, forked at whatever moment, start runs and read the journal at the same time, and none hears another's
    answer; a child that ends ends none of the parent's connections."""
    settings = {"AGENTS": "tests.integration.edges"}
    with open_installation(servers, tmp_path, **settings) as installation, installation.client() as client:
        name = secrets.token_hex(4)
        assert _used(client, f"{name}-before") == "[] soon"
        parent: list[str] = []
        working = threading.Thread(target=lambda: parent.append(_used(client, f"{name}-parent")))
        working.start()
        waiting = []
        for number in range(4):
            time.sleep(0.02)
            waiting.append(forked(partial(_in_threads, client, f"{name}-{number}")))
        children = [said() for said in waiting]
        working.join()
        assert children == ["[] soon [] soon"] * 4
        assert parent == ["[] soon"]
        assert _used(client, f"{name}-after") == "[] soon"


def _in_threads(client: Coordinator, name: str) -> str:
    """The same in two threads of a child, at once."""
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(_used(client, f"{name}-{n}"))) for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    return " ".join(found)
