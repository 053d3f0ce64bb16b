"""docs/first-project.md, all of it: from `pip install` to the project on docker compose."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.documented import commands_of, run_all
from tests.installing import build_wheel, environment_of, prepare_environment
from tests.servers.ports import free_port
from tests.servers.reaper import Reaper
from tests.smoke.stack import REMOVE
from tests.stack import ROOT

DOCUMENT = (ROOT / "docs" / "first-project.md").read_text("utf-8")
PORTS = ("FLOWER_PORT", "RABBITMQ_PORT", "REDIS_PORT", "POSTGRES_PORT")


@pytest.mark.timeout(1200)
def test_every_command(image: str, tmp_path: Path) -> None:
    """Every command of the page, in order, does and prints what it says; nothing of the stack is left.

    What a reader has and this machine does not is put there around the commands, not into them: the package is no release yet, so
    pip finds a wheel of this checkout (tests/installing.py), and the image gets it by the project's own ``wheels/``, as the page
    says. Ahead of `make up` the ports in ``.env.example`` become free ones, and the compose project has a name of its own.
    """
    wheel = build_wheel(tmp_path)
    prepare_environment(tmp_path / ".venv")
    project = f"coordinator-smoke-{secrets.token_hex(4)}"
    ports = "; ".join(f"sed -i 's/^{name}=.*/{name}={free_port()}/' .env.example" for name in PORTS)
    reaper = Reaper(REMOVE, project)
    try:
        run_all(
            commands_of(DOCUMENT),
            tmp_path,
            {**environment_of(wheel), "COMPOSE_PROJECT_NAME": project},
            before={"make up": f"cp {wheel} wheels/; {ports}"},
            timeout=1100,
        )
    finally:
        reaper.reap()
