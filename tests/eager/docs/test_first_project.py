"""docs/first-project.md, as far as it needs no container."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documented import commands_of, run_all
from tests.installing import build_wheel, environment_of, prepare_environment
from tests.stack import ROOT

DOCUMENT = (ROOT / "docs" / "first-project.md").read_text("utf-8")


@pytest.mark.timeout(500)  # mypy reads the packages that the project needs, without a cache
def test_the_first_half(tmp_path: Path) -> None:
    """Every command that needs no container, from `pip install` on, does and prints what the page says.

    `pip install handoffs` installs a wheel of this checkout, from a folder that pip is pointed to by its variables; what the wheel needs
    is in the environment already (tests/installing.py). The page's own `python3 -m venv` is run on that.
    """
    wheel = build_wheel(tmp_path)
    prepare_environment(tmp_path / ".venv")
    commands = [command for command in commands_of(DOCUMENT) if not command.needs]
    assert {"pip install handoffs", "make test", "make run", "make publish"} <= {one.text for one in commands}
    run_all(commands, tmp_path, environment_of(wheel), timeout=450)
