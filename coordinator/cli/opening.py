"""Opening: what a demo is about, told before anything that takes a second to load is loaded. Nothing heavy is imported here."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

_SYSTEMS = "handoffs.tasks"
_WIDEST = 100


def open_demo(arguments: Sequence[str]) -> None:
    """Tell what the demo is about where the command line is ``demo SYSTEM`` and nothing else: what else there is has to be understood
    first (:func:`announce` tells it then)."""
    if len(arguments) == 2 and arguments[0] == "demo":
        announce(arguments[1])


def announce(system: str) -> None:
    """Print to standard error what the demo of ``system`` shows, and why; nothing where there is no such demo."""
    text = about(system)
    if text and sys.stderr is not None:
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        sys.stderr.write(textwrap.fill(text, max(width, 20)) + "\n\n")
        sys.stderr.flush()


def about(system: str) -> str:
    """What the demo of ``system`` shows, in one paragraph; empty where there is no such demo."""
    found = find_spec(_SYSTEMS) if system.isidentifier() else None
    folders = found.submodule_search_locations if found else None
    for folder in folders or ():
        file = Path(folder) / system / "about.txt"
        if file.is_file():
            return file.read_text("utf-8").strip()
    return ""
