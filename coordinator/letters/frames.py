"""Frames: where a letter's step failed, in short: the innermost places in the agent's code."""

from __future__ import annotations

import re
from pathlib import PurePath

INNERMOST = 3
"""How many places are told of a failure."""

_FRAME = re.compile(r"  (?P<file>\S.*?):(?P<line>[0-9]+) in (?P<function>[^\s:]+)(?::? .*)?")


def innermost(trace: str, most: int = INNERMOST) -> tuple[str, ...]:
    """The innermost ``most`` frames of a trace, as :mod:`handoffs.coordinator.handoff.trace` writes it, each as ``file.py:12 in function``,
    the innermost first. They are those of the exception that was raised, not of what it came from; none where there is no trace."""
    found: list[str] = []
    for line in trace.splitlines()[1:]:
        if not line.startswith("  "):
            break
        if frame := _FRAME.fullmatch(line):
            found.append(f"{PurePath(frame['file']).name}:{frame['line']} in {frame['function']}")
    return tuple(found[:most])
