"""docs/deploy.md: every command of it, and the image and the overlay that it shows, as they stand there."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.documented import commands_of, run_all
from tests.installing import environment_of
from tests.servers.ports import free_port
from tests.servers.reaper import Reaper
from tests.smoke.stack import REMOVE
from tests.stack import ROOT

DOCUMENT = (ROOT / "docs" / "deploy.md").read_text("utf-8")
PORTS = ("FLOWER_PORT", "RABBITMQ_PORT", "RABBITMQ_MANAGEMENT_PORT", "REDIS_PORT", "POSTGRES_PORT")


def files_of(document: str) -> dict[str, str]:
    """The files that a document shows, by their names."""
    blocks = re.findall(r"<!-- file: ([\w.]+) -->\n```\w+\n(.*?)```", document, re.DOTALL)
    return dict(blocks)


def copy_checkout(folder: Path) -> None:
    """What git has of this checkout, and a ``.venv`` like the one that `make` makes: of the packages of this environment, with the
    command, on the copied sources."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.exists():
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], timeout=60, check=True)
    [site] = venv.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n", "utf-8")
    program = venv / "bin" / "coordinator"
    program.write_text(f"#!{venv}/bin/python\nfrom handoffs.coordinator.cli import main\n\nmain()\n", "utf-8")
    program.chmod(0o755)
    for stamp in (".runtime", ".dev"):
        (venv / stamp).touch()


def write_agents(folder: Path) -> None:
    """A package `shop` with the agents of README.md, what it needs besides, and the page's Dockerfile."""
    shop = files_of((ROOT / "README.md").read_text("utf-8"))["shop.py"]
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "__init__.py").write_text(f"import trove_classifiers\n{shop}", "utf-8")
    (folder / "requirements.txt").write_text("trove-classifiers\n", "utf-8")
    (folder / "Dockerfile").write_text(files_of(DOCUMENT)["Dockerfile"], "utf-8")


@pytest.mark.timeout(1800)
def test_every_command(image: str, tmp_path: Path) -> None:
    """Every command of the page, in order, does and prints what it says: the three systems, a worker with agents of one's own by the
    page's own Dockerfile and compose file, three nodes, new keys, an upgrade. Nothing of the stack is left.

    They are run in a copy of this checkout whose ``.venv`` is there already; ports and the project's name are those of a test. The
    agents import a package that the image does not have, so that the page's build stage has something to install.
    """
    checkout, agents = tmp_path / "coordinator", tmp_path / "shop-agents"
    copy_checkout(checkout)
    write_agents(agents)
    (checkout / "shop.yaml").write_text(files_of(DOCUMENT)["shop.yaml"], "utf-8")
    (checkout / ".env").write_text("".join(f"{name}={free_port()}\n" for name in PORTS), "utf-8")
    project = f"coordinator-smoke-{secrets.token_hex(4)}"
    reaper = Reaper(REMOVE, project)
    environment = {**environment_of(), "COMPOSE_PROJECT_NAME": project}
    try:
        run_all(commands_of(DOCUMENT), checkout, environment, timeout=1700)
    finally:
        reaper.reap()
