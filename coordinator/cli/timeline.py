"""Timeline: a run's history in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from coordinator.cli.output import STYLES, out
from coordinator.drawing.chart import chart
from coordinator.drawing.course import course
from coordinator.drawing.outline import Outline
from coordinator.drawing.rails import cut, plain


def timeline(run: str, story: Sequence[dict[str, Any]], flow: Outline | None = None) -> Group:
    """The history of ``run``: what happened to which step, as its flow is nested, when, for how long, and what came of it.

    ``flow``, where it is loaded, adds its conditions, budgets and names; without it the steps' paths are told.
    """
    lines = [Text(cut(f"run {run}", out.width), "bold"), *chart(course(story, flow), out.width, STYLES)]
    if out.options.ascii_only:
        lines = [Text(plain(line.plain)) for line in lines]
    return Group(*lines)
