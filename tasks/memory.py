"""Memory: how much of it a process has, as the kernel counts it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_PROCESSES = Path("/proc")
_RESIDENT = re.compile(r"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """``resident`` now, and at its ``peak``, in octets."""

    resident: int
    peak: int


def memory_of(process: int | None = None) -> Memory | None:
    """The memory of a process, by default of this one; None where it has ended, or the kernel has no ``/proc`` to say so."""
    try:
        status = (_PROCESSES / str(process or os.getpid()) / "status").read_text("ascii", "replace")
    except OSError:
        return None
    found = {name: int(kilobytes) * 1024 for name, kilobytes in _RESIDENT.findall(status)}
    if len(found) < 2:
        return None  # it is about to end
    return Memory(found["VmRSS"], found["VmHWM"])
