"""Python in a process of its own."""

import os
import subprocess
import sys

from tests.stack import ROOT


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it in the repository, without the settings that this process may have."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
