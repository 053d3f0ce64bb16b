"""Commands in a project, as in a shell of its owner."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.stack import ROOT


def run(
    folder: Path, *command: str, programs: Path | None = None, **exported: str
) -> subprocess.CompletedProcess[str]:
    """A command in a project, with the interpreter and the programs of this environment, and with none of its settings,
    nor those of the ``make`` that these tests may run in. ``programs`` has some that come first, ``exported`` is what the shell has."""
    foreign = ("COORDINATOR_", "PYTEST_", "MAKE", "MFLAGS")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    places = [*filter(None, [programs]), Path(sys.executable).parent, os.environ["PATH"]]
    return subprocess.run(
        command,
        cwd=folder,
        env={**clean, "PATH": ":".join(map(str, places)), "PYTHONPATH": str(ROOT / "src"), **exported},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
