"""Memory: what the kernel says of a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from handoffs.tasks import memory
from handoffs.tasks.memory import memory_of

_MEGABYTE = 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel has no /proc")
def test_own_memory() -> None:
    """A process that takes sixty megabytes has them, and its peak stays when it gives them back."""
    before = memory_of()
    taken = bytearray(60 * _MEGABYTE)
    during = memory_of()
    del taken
    after = memory_of()
    assert before
    assert during
    assert after
    assert during.resident >= before.resident + 50 * _MEGABYTE
    assert after.peak >= before.resident + 50 * _MEGABYTE
    assert after.resident < before.resident + 50 * _MEGABYTE


def test_process_that_has_ended() -> None:
    """Of a process that has ended there is nothing to say, and it is no error."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert memory_of(process.pid) is None


def test_system_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Where the kernel says nothing, nothing is said."""
    monkeypatch.setattr(memory, "_PROCESSES", tmp_path)
    assert memory_of() is None
