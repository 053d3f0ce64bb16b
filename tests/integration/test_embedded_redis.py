"""Embedded mode on a real `redis-server`, which it runs itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import Phase, given, settings

from handoffs import Contract, Coordinator, Flow, Key, agent
from handoffs.coordinator.errors import ServerError
from tests.defaults import default_settings
from tests.flows.generated import scenarios
from tests.flows.judging import in_hand, judge
from tests.flows.scenario import Scenario
from tests.flows.universe import AGENTS, LIMIT
from tests.forking import in_child
from tests.servers import ServersUnavailable, programs
from tests.stack import ROOT
from tests.waiting import wait_until

FLOWS = int(os.environ.get("FLOWS", "300")) // 20
_TIMEOUT = 30.0  # seconds


class Job(Contract, name="embedded-redis.job", version=1):
    number: str = Key()


@agent("embedded-redis.work")
def work(job: Job) -> Job:
    return job


flow = Flow("embedded-redis.flow", work >> work)


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> str:
    """The program; it is installed where that may be done without asking, else the tests are skipped, and in CI they fail."""
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    try:
        programs.ensure(
            ["redis"],
            reporter.write_line if reporter else print,
            "embedded mode starts a redis-server itself",
        )
    except ServersUnavailable as error:
        if "CI" in os.environ:
            pytest.fail(str(error))
        pytest.skip(str(error))
    found = programs.find("redis-server")
    assert found is not None
    return found


@pytest.fixture
def path(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH names it."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(redis_server).parent), os.environ["PATH"]]))


@pytest.fixture
def embedded(path: None) -> Iterator[Coordinator]:
    """A coordinator with its own."""
    with Coordinator(default_settings(embedded_redis="server")) as coordinator:
        yield coordinator


def _server(coordinator: Coordinator) -> psutil.Process:
    return psutil.Process(int(coordinator.engine.store.redis.info("server")["process_id"]))


def _is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)  # nobody has buried it yet
    except psutil.NoSuchProcess:
        return True


def test_it_is_a_redis_without_port_and_files(embedded: Coordinator) -> None:
    """It listens at a socket that nobody else can open, has no port, and writes nothing down; runs go through it."""
    run = embedded.start(flow, Job(number="1"))
    assert run.wait(_TIMEOUT) == "completed"
    server = _server(embedded)
    [listening] = server.net_connections(kind="unix")[:1]
    socket = Path(listening.laddr)
    assert socket.stat().st_mode & 0o777 == 0o700
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert not server.net_connections(kind="inet")
    assert list(socket.parent.iterdir()) == [socket]
    embedded.close()
    assert not socket.parent.exists()
    assert _is_gone(server.pid)


def test_two_coordinators_have_one_each(path: None) -> None:
    """Two in one process share nothing: the runs of one are unknown to the other, and closing one leaves the other at work."""
    with (
        Coordinator(default_settings(embedded_redis="server")) as one,
        Coordinator(default_settings(embedded_redis="server")) as two,
    ):
        run = one.start(flow, Job(number="1"))
        assert run.wait(_TIMEOUT) == "completed"
        assert two.engine.runs.get(run.id) is None
        one.close()
        assert two.start(flow, Job(number="2")).wait(_TIMEOUT) == "completed"


def test_it_is_refused_in_a_child(embedded: Coordinator) -> None:
    """In a process that is forked each call is refused, and closing there ends nothing."""

    def child() -> str:
        try:
            embedded.start(flow, Job(number="child"))
        except ServerError as error:
            return error.cause
        finally:
            embedded.close()
        return "accepted"

    assert "was forked" in in_child(child)
    assert embedded.start(flow, Job(number="after")).wait(_TIMEOUT) == "completed"


def test_one_that_is_killed_is_an_error_and_no_wait(embedded: Coordinator) -> None:
    """When it is killed, who waits and who starts is told what happened, and closing the coordinator takes no time to wait for it."""
    assert embedded.start(flow, Job(number="1")).wait(_TIMEOUT) == "completed"
    waiting = embedded.start(flow, Job(number="2"))
    _server(embedded).send_signal(signal.SIGKILL)

    def refused() -> bool:
        try:
            waiting.wait(_TIMEOUT)
            embedded.start(flow, Job(number="3"))
        except ServerError as error:
            return "redis-server of this embedded coordinator has ended" in error.cause
        return False

    wait_until(refused, description="calls say that it has ended")
    embedded.close()
    wait_until(lambda: in_hand() == 0, description="its workers have nothing in hand")


def test_killed_with_its_coordinator(path: None) -> None:
    """A coordinator's process that is killed leaves neither the server nor its folder."""
    script = """
import time
from handoffs import Coordinator
from handoffs.config.settings import Settings
coordinator = Coordinator(Settings(embedded_redis="server"))
print(coordinator.engine.store.redis.info("server")["process_id"], coordinator.engine._redis.socket, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, _, socket = parent.stdout.readline().strip().partition(" ")
        assert not _is_gone(int(pid))
        parent.kill()
    wait_until(
        lambda: not Path(socket).parent.exists() and _is_gone(int(pid)),
        description="nothing is left",
    )


@pytest.fixture(scope="module")
def serving(redis_server: str) -> Iterator[Coordinator]:
    """A coordinator for many flows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "which", lambda _: redis_server)
        coordinator = Coordinator(
            default_settings(
                embedded_redis="server", agents=("tests.flows.universe",), max_message_bytes=LIMIT
            )
        )
    with coordinator:
        coordinator.work(AGENTS)
        yield coordinator


@pytest.mark.timeout(120 + FLOWS)
@settings(max_examples=FLOWS, phases=[Phase.explicit, Phase.generate])
@given(scenario=scenarios())
def test_a_flow_means_the_same(serving: Coordinator, scenario: Scenario) -> None:
    """On it: the same status, result, steps, attempts, parked steps, events and effects as the interpreter says."""
    judge(serving, scenario, timeout=_TIMEOUT, idle=in_hand)
