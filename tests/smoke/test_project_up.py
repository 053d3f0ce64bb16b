"""`make up` of a written project where containers do not become healthy, on a real engine."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from handoffs.coordinator.project.writing import write_project
from tests.servers.docker import why_not
from tests.servers.reaper import Reaper
from tests.smoke.stack import REMOVE
from tests.stack import ROOT

_COMPOSE = """
services:
  well: {image: "redis:8", healthcheck: {test: [CMD-SHELL, "echo fine"], interval: 1s, retries: 1}}
  held: {image: "redis:8", healthcheck: {test: [CMD-SHELL, "echo held: the queue is another; exit 1"], interval: 1s, retries: 1}}
  behind: {image: "redis:8", depends_on: {held: {condition: service_healthy}}}
"""


def test_each_container_that_is_not_healthy_says_why(tmp_path: Path) -> None:
    """The health check's line is shown of the one that is held, the state of the one behind it, and nothing of those that are well."""
    obstacle = why_not(("redis",), lambda _: None)
    if obstacle is not None:
        pytest.skip(f"{obstacle}: the smoke tests need an engine")
    write_project("shop", tmp_path)
    (tmp_path / "compose.yaml").write_text(_COMPOSE, "utf-8")
    project = f"coordinator-smoke-{secrets.token_hex(4)}"
    reaper = Reaper(REMOVE, project)
    try:
        done = subprocess.run(
            ["make", "up"],
            cwd=tmp_path,
            env={
                **{
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith(("COORDINATOR_", "MAKE"))
                },
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT / "src"),
                "COMPOSE_PROJECT_NAME": project,
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        reaper.reap()
    assert done.returncode != 0
    said = done.stderr.splitlines()
    assert "held (unhealthy): held: the queue is another" in said
    assert "behind (created): " in said
    assert not any(line.startswith("well") for line in said)
    assert "make up again" in done.stderr
