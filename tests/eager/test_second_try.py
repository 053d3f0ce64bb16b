"""The second try of the few tests that failed beside others: what fails twice fails, and what passes then is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.second_try import AT_MOST
from tests.stack import ROOT

ONCE = """\
    from pathlib import Path

    def test_once():
        mark = Path(__file__).with_name("tried")
        tried = mark.exists()
        mark.touch()
        assert tried
"""
ALWAYS = "    def test_always():\n        assert False"
FINE = "    def test_fine():\n        pass"


def _run(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """What the second try makes of modules with these tests."""
    for number, test in enumerate(tests):
        lines = [line.removeprefix("    ") for line in test.splitlines()]
        (folder / f"test_{number}.py").write_text("\n".join(lines) + "\n", "utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "tests.second_try", "-q", "-n", "2"],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_passes_alone_passes_and_is_named(tmp_path: Path) -> None:
    """A test that fails once is run again without the others; it passes, and is said to be looked at."""
    done = _run(tmp_path, ONCE, FINE)
    assert done.returncode == 0, done.stdout
    assert "assert tried" in done.stdout
    assert (
        "passed alone, a race or a limit that is too close; look at:\n  test_0.py::test_once" in done.stdout
    )
    assert "test_fine" not in done.stdout


def test_what_fails_twice_fails(tmp_path: Path) -> None:
    """One that fails again is a failure, whatever the others did."""
    done = _run(tmp_path, ALWAYS, ONCE, FINE)
    assert done.returncode == 1
    assert "look at" not in done.stdout


def test_many_failures_are_no_accident(tmp_path: Path) -> None:
    """More than a few are not tried again."""
    done = _run(tmp_path, *[ONCE.replace("tried", f"tried-{n}") for n in range(AT_MOST + 1)])
    assert done.returncode == 1
    assert "once more" not in done.stdout


@pytest.mark.parametrize(
    ("test", "code"),
    [("    import nothing_of_the_kind", 1), ("    def helper():\n        pass", 5)],
    ids=["one that cannot be imported", "no test at all"],
)
def test_nothing_else_is_tried_again(tmp_path: Path, test: str, code: int) -> None:
    """What cannot be collected, and a choice that chooses nothing, end as pytest ends them."""
    done = _run(tmp_path, test)
    assert done.returncode == code, done.stdout
    assert "once more" not in done.stdout
