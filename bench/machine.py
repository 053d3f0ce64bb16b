"""The machine: what a reader of figures has to know of where they were taken."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from bench.cpu import load
from bench.measures.measure import STANDARD
from bench.peers.choice import OPTIONAL
from bench.servers import Place

_PACKAGES = ("celery", "kombu", "redis", "hiredis", "pydantic")


def facts(place: Place, optional: Sequence[str], size: str) -> dict[str, str]:
    """Date, machine, versions, workers, and how busy the machine was before."""
    found = {
        "on": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{psutil.cpu_count()} cores ({processor()}), {psutil.virtual_memory().total / 2**30:.0f} GB,"
        f" {platform.system()} {platform.release()}",
        "load before": f"{load():.1f}",
        "size": size,
        "servers": f"{place.versions} ({place.kind}), on the same machine"
        if place.kind != "given"
        else place.versions,
        "workers": f"{STANDARD.processes} processes of {STANDARD.threads} threads",
        "Python": sys.version.split()[0],
    }
    found |= {name: _version(name) for name in _PACKAGES}
    return found | {name: _version(name) if name in optional else "not installed" for name in OPTIONAL}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
