"""The README's examples, and those of the page on tests, work as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.stack import ROOT

README = ROOT / "README.md"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The README's files in a folder of their own."""
    blocks = _blocks(README)
    assert {name for name, _ in blocks} == {"shop.py", "try_it.py", "test_shop.py"}
    for name, text in blocks:
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.fixture
def tested(example: Path) -> Path:
    """The files of docs/testing.md beside them."""
    blocks = _blocks(ROOT / "docs" / "testing.md")
    expected = {"test_fakes.py", "test_middle.py", "test_time.py", "test_told.py", "test_export.py"}
    assert {name for name, _ in blocks} == expected
    for name, text in blocks:
        (example / name).write_text(text, "utf-8")
    return example


def _blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"<!-- file: ([\w.]+) -->\n```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    root = str(README.parent / "src")
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": f"{root}:{folder}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_example_runs(example: Path) -> None:
    """A stranger's first script completes one order and parks another, as the comments say."""
    done = _run(example, "try_it.py")
    assert done.returncode == 0, done.stderr
    shipped, status, parked = done.stdout.splitlines()
    assert shipped.startswith("order_id='17' parcel='")
    assert status == "completed 4"
    assert parked == "parked"


def test_the_example_test_passes(example: Path) -> None:
    """A stranger's first test passes with the plugin that the package installs."""
    plugin = [] if _plugin_installed() else ["-p", "handoffs.coordinator.testing"]
    done = _run(example, "-m", "pytest", "-q", *plugin, "-p", "no:cacheprovider", "test_shop.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_page_on_tests(tested: Path) -> None:
    """What docs/testing.md shows passes: agents that something stands in for, time that is moved, what happened, and tests of that."""
    plugin = [] if _plugin_installed() else ["-p", "handoffs.coordinator.testing"]
    files = sorted(path.name for path in tested.glob("test_*.py") if path.name != "test_shop.py")
    done = _run(tested, "-m", "pytest", "-q", *plugin, "-p", "no:cacheprovider", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout


def _plugin_installed() -> bool:
    return any(point.value == "handoffs.coordinator.testing" for point in entry_points(group="pytest11"))
