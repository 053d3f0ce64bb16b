"""Installing the package as its users do, from a wheel of this checkout, with nothing that comes from a network.

The package is on no index yet. A test that runs ``pip install handoffs`` as it stands points pip to a folder with the wheel, and to no
index (`PIP_FIND_LINKS`, `PIP_NO_INDEX`). What the wheel needs is there already: all packages of this environment but ours are in the
environment that the test makes, by links in a folder that a `.pth` file names, so pip finds them installed and leaves them alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.stack import ROOT

_OURS = ("handoffs", "_handoffs")


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built into ``folder``."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.glob("*.whl")
    return built


def prepare_environment(folder: Path) -> None:
    """An environment in ``folder`` without our package, and with what it needs; ``python3 -m venv`` on it leaves that there."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], timeout=100, check=True)
    packages = folder.parent / f"{folder.name}-packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith((*_OURS, "pip", "setuptools", "distutils", "__pycache__")):
            (packages / entry.name).symlink_to(entry)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n", "utf-8")


def environment_of(wheel: Path | None = None) -> dict[str, str]:
    """This machine's variables without settings of ours, with the tools of this environment at hand; pip finds ``wheel``, and no index."""
    foreign = ("COORDINATOR_", "COMPOSE_", "FLOWER_", "PIP_", "PYTEST_", "PYTHON", "VIRTUAL_ENV")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    programs = Path(sys.executable).parent
    return {
        **clean,
        "PATH": f"{programs}:{clean['PATH']}",
        "COLUMNS": "120",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheel.parent) if wheel else "",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
