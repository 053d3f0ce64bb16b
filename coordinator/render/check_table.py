"""Check table: what the doctor has found of one server, a line each, with what to do below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group

from handoffs.coordinator.observe.doctor.check import Check
from handoffs.coordinator.render.console import table


def check_table(area: str, checks: Sequence[Check]) -> Group:
    """The checks of one area."""
    return table(area, ("state", "what", "found"), list(_rows(checks)))


def _rows(checks: Sequence[Check]) -> Iterator[tuple[str, str, str]]:
    for check in checks:
        yield check.state, check.name, check.told
        if check.remedy:
            yield "", "", f"-> {check.remedy}"
