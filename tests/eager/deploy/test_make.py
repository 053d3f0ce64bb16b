"""`make` alone, and the whole list."""

from __future__ import annotations

import re
import subprocess

from tests.stack import ROOT

LINES, COLUMNS = 24, 80


def _make(*arguments: str) -> list[str]:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_make_alone_fits_a_screen() -> None:
    """With the lines of the prompt before and after it, what `make` prints fits a terminal of 24 lines and 80 columns."""
    lines = _make()
    assert len(lines) + 2 <= LINES
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert {"demo", "up", "test"} <= {line.split()[1] for line in lines if line.startswith("make ")}


def test_the_whole_list_has_every_target() -> None:
    """`make help-all` has every target that people may ask for, each once."""
    text = (ROOT / "Makefile").read_text("utf-8")
    declared = [name for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in line.split()]
    listed = [line.split()[1] for line in _make("help-all") if line.startswith("  make ")]
    assert sorted(listed) == sorted(declared)
