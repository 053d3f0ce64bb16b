"""Agents at the edges of what Python allows, in workers of every pool."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.flow.usage import Usage
from tests.integration import edges
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, Worker, open_installation

TIMEOUT = 30.0
KINDS = ("", "-async")


@dataclass
class Edges:
    """Workers of every pool, and a client."""

    installation: Installation
    workers: dict[str, Worker]
    client: Coordinator

    def start(self, agent: str, what: str) -> Run:
        """Start a run of an agent that does so."""
        return self.client.start(edges.FLOWS[agent], edges.Job(number=secrets.token_hex(6), what=what))

    def seen(self, run: Run, what: str) -> Path:
        """What the agent of a run has written down."""
        record = self.client.engine.runs.get(run.id)
        assert record is not None
        return edges.seen(f"{record.key}.{what}", self.installation.folder)

    def told(self, run: Run) -> str:
        """Wait for what the agent of a run was told."""
        heard = self.seen(run, "heard")
        wait_until(lambda: heard.exists() and heard.read_text(), timeout=8, description="it was told")
        return heard.read_text()

    def worker(self, pool: str, *, wait: bool = True) -> Worker:
        """A worker of a pool, with two at a time where it has more than one; started where there is none."""
        worker = self.workers.get(pool)
        if worker is None or not worker.running:
            names = [one.name for one in edges.AGENTS[pool]]
            worker = self.installation.worker(
                *names, pool=pool, concurrency=1 if pool == "solo" else 2, wait=wait
            )
            self.workers[pool] = worker
        return worker


@pytest.fixture(scope="module")
def found(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    folder = tmp_path_factory.mktemp("edges")
    settings = {
        "AGENTS": "tests.integration.edges",
        "STOP_GRACE": "500ms",
        "CONTRACTS_ENFORCED": "false",
        "LEASE": "5s",
    }
    with open_installation(servers, folder, **settings) as installation:
        installation.coordinator_process(wait=False)
        with installation.client() as client:
            yield Edges(installation, {}, client)


@pytest.mark.parametrize("pool", edges.POOLS)
def test_whatever_is_raised_is_parked(found: Edges, pool: str) -> None:
    """Whatever an agent raises, plain or async: its step is parked with that name, and its place in the pool is free."""
    worker = found.worker(pool)
    runs = {
        (kind, raised): found.start(f"edges.{pool}{kind}", raised)
        for kind in KINDS
        for raised in edges.RAISED
    }
    for (kind, raised), run in runs.items():
        assert run.wait(TIMEOUT) == "parked", f"{kind} {raised}\n{worker.last_words()}"
        [letter] = wait_until(run.letters, description="the letter is there")
        named = "RuntimeError" if (kind, raised) == ("-async", "StopIteration") else raised.partition(" ")[0]
        assert (letter.kind, letter.error) == ("error", named)  # no coroutine can raise that one
    for kind in KINDS:
        assert found.start(f"edges.{pool}{kind}", "").wait(TIMEOUT) == "completed"


@pytest.mark.parametrize("pool", edges.POOLS)
def test_what_is_shared_and_what_is_not(found: Edges, pool: str) -> None:
    """A client that an async agent makes once works in every later step of its process; what a step sets in the context is not
    seen by the next."""
    found.worker(pool)
    asked = [found.start(f"edges.{pool}-async", "client") for _ in range(6)]
    assert [run.result(TIMEOUT).what for run in asked] == ["answered"] * 6
    marked = [found.start(f"edges.{pool}{kind}", "mark") for kind in KINDS * 3]
    assert [run.result(TIMEOUT).what for run in marked] == [""] * 6


@pytest.mark.parametrize("pool", edges.POOLS)
def test_children(found: Edges, pool: str) -> None:
    """An agent may compute in processes of its own, however they are started; those that it leaves behind end with the process
    that ran it, also where that is killed."""
    worker = found.worker(pool)
    run = found.start(f"edges.{pool}", "children")
    assert run.wait(TIMEOUT) == "completed", worker.last_words()
    assert run.result(0).what == "computed"
    if pool == "prefork":
        left = found.start(f"edges.{pool}", "leave")
        assert left.wait(TIMEOUT) == "completed", worker.last_words()
        child = psutil.Process(int(found.seen(left, "child").read_text()))
        child.parent().send_signal(signal.SIGKILL)
        wait_until(lambda: not child.is_running(), timeout=10, description="the child has ended")


@pytest.mark.parametrize("pool", edges.POOLS)
def test_told_of_cancellation(found: Edges, pool: str) -> None:
    """A running agent, plain or async, is told within seconds that its run was cancelled; its step ends as cancelled, and its
    place in the pool is free."""
    worker = found.worker(pool)
    for kind in KINDS:
        run = found.start(f"edges.{pool}{kind}", "told")
        wait_until(found.seen(run, "began").exists, description=f"it has begun\n{worker.last_words()}")
        run.cancel()
        assert found.told(run) == "cancelled"
        assert run.wait(TIMEOUT) == "cancelled"
        assert found.start(f"edges.{pool}{kind}", "").wait(TIMEOUT) == "completed"
        assert not run.letters()


@pytest.mark.parametrize("pool", edges.POOLS)
def test_told_of_the_end(found: Edges, pool: str) -> None:
    """A running agent is told when its worker gets SIGTERM; the worker ends soon, and another one does the step, with the same
    attempt."""
    worker = found.worker(pool)
    kinds = KINDS if pool != "solo" else KINDS[:1]
    runs = [found.start(f"edges.{pool}{kind}", "told") for kind in kinds]
    for run in runs:
        wait_until(found.seen(run, "began").exists, description=f"it has begun\n{worker.last_words()}")
    psutil.Process(worker.pid).terminate()
    assert [found.told(run) for run in runs] == ["stopping"] * len(runs)
    wait_until(
        lambda: not worker.running, timeout=15, description=f"the worker has ended\n{worker.last_words()}"
    )
    for run in runs:
        found.seen(run, "began").unlink()
    found.worker(pool, wait=False)
    for run in runs:
        wait_until(found.seen(run, "began").exists, timeout=15, description="another one has begun")
        assert {entry["kind"] for entry in run.history()} == {"started"}
        run.cancel()
        assert run.wait(TIMEOUT) == "cancelled"


@pytest.mark.parametrize(("pool", "kind"), [("prefork", ""), ("threads", ""), ("threads", "-async")])
def test_what_was_paid_for(found: Edges, pool: str, kind: str) -> None:
    """A call within a step is not made again by the worker that does the step once more, after the one that made it was killed."""
    worker = found.worker(pool)
    run = found.start(f"edges.{pool}{kind}", "paid")
    wait_until(found.seen(run, "began").exists, timeout=TIMEOUT, description="the call was made")
    worker.kill()
    worker.start()
    found.seen(run, "go").touch()
    assert run.wait(TIMEOUT) == "completed"
    assert run.result(5).what == "paid"
    assert found.seen(run, "calls").read_text() == "a call\n"


@pytest.mark.parametrize(("pool", "kind"), [("prefork", ""), ("threads", ""), ("threads", "-async")])
def test_a_model(found: Edges, pool: str, kind: str) -> None:
    """A model that is busy costs no attempt; how far its agent is can be seen; and what was used up counts once for each try, also
    where the worker of one was killed and the message was delivered once more."""
    worker = found.worker(pool)
    run = found.start(f"edges.{pool}{kind}", "model")
    wait_until(found.seen(run, "began").exists, timeout=TIMEOUT, description="it has begun again")
    said = wait_until(
        lambda: [one.words() for one in run.current() if one.progress], description="it is seen how far it is"
    )
    assert said == ["running, 50 %: page 1 of 2"]
    wait_until(lambda: run.usage().tokens == 200, description="both tries are counted")
    found.seen(run, "began").unlink()
    worker.kill()
    worker.start()
    wait_until(found.seen(run, "began").exists, timeout=TIMEOUT, description="another worker has begun")
    found.seen(run, "go").touch()
    assert run.wait(TIMEOUT) == "completed"
    assert run.usage() == Usage(200, Decimal(1))
    waits = [entry for entry in run.history() if entry["kind"] == "waits"]
    assert [(entry["attempt"], entry["wait_ms"]) for entry in waits] == [(1, 300)]
