"""Processor time and memory of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.cpu import Meter, memory_mb, server_processes

_BURNS = """
import sys, time
sys.stdin.readline()
while time.process_time() < 0.3:
    pass
print("burnt", flush=True)
sys.stdin.readline()
"""


def test_what_a_process_takes_is_seen_in_its_group() -> None:
    """A process that burns three tenths of a second is seen to, in its own group and in no other, and only since the last reading."""
    with subprocess.Popen(
        [sys.executable, "-c", _BURNS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        meter = Meter({"busy": [process.pid], "nobody": []})
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "burnt\n"
        first, second = meter.read(), meter.read()
        assert first["client"] < first["busy"], "the time of a child is not the client's"
        process.stdin.close()
    assert 0.1 < first["busy"] < 0.5
    assert first["nobody"] == 0
    assert second["busy"] < first["busy"]


def test_a_process_that_has_ended() -> None:
    """It takes nothing any more, and is no error."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        meter = Meter({"gone": [process.pid]})
        process.kill()
    assert meter.read()["gone"] == 0.0
    assert Meter({"gone": [process.pid]}).read()["gone"] == 0.0


def test_own_time_goes_on() -> None:
    """What this process takes grows while it works."""
    meter, until = Meter({}), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert meter.read()["client"] > 0.05


def test_memory() -> None:
    """This process has some memory, one that is gone has none."""
    assert memory_mb([os.getpid()]) > 10
    assert memory_mb([]) == 0
    assert memory_mb([2**22 + 1]) == 0


def test_servers_elsewhere_are_not_seen() -> None:
    """Processes of another machine are none of this one's."""
    assert server_processes("amqp://a:b@rabbit.example:5672//", "redis://redis.example:6379/0") == {}
