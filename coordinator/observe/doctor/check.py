"""Check: one thing that was looked at, how it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable

Area: TypeAlias = Literal["settings", "rabbitmq", "redis", "journal", "workers"]
"""What a check is about."""

State: TypeAlias = Literal["ok", "warning", "failed", "unknown"]
"""``warning``: it works, and may not be meant so. ``unknown``: it could not be found out; the remedy says how it can."""

AREAS: tuple[Area, ...] = ("settings", "rabbitmq", "redis", "journal", "workers")
STATES: tuple[State, ...] = ("failed", "warning", "unknown", "ok")
"""The worst first."""

_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    name, area
        What it is, and of which server or part; together they name it. A queue, an agent or a run that it is about is in ``name``.
    state
        ``ok``, ``warning``, ``failed`` or ``unknown``.
    told
        What was found, in a line.
    remedy
        What to do; empty where it is in order.
    """

    name: str
    area: Area
    state: State
    told: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "area": self.area,
            "name": self.name,
            "state": self.state,
            "told": self.told,
            "remedy": self.remedy or None,
        }


def ok(area: Area, name: str, told: str) -> Check:
    """It is in order."""
    return Check(_line(name), area, "ok", _line(told))


def warning(area: Area, name: str, told: str, remedy: str) -> Check:
    """It works, and may not be meant so."""
    return Check(_line(name), area, "warning", _line(told), remedy)


def failed(area: Area, name: str, told: str, remedy: str) -> Check:
    """It does not work, or will not."""
    return Check(_line(name), area, "failed", _line(told), remedy)


def unknown(area: Area, name: str, told: str, remedy: str) -> Check:
    """It could not be found out."""
    return Check(_line(name), area, "unknown", _line(told), remedy)


def of_error(area: Area, name: str, error: BaseException, remedy: str) -> Check:
    """It could not be looked at, for an error; one of ours has a remedy of its own."""
    if isinstance(error, CoordinationError):
        told = "; ".join(filter(None, (error.cause, error.consequence)))
        return failed(area, name, told, error.remedy or remedy)
    return failed(area, name, f"{type(error).__name__}: {error}", remedy)


def worst(checks: Iterable[Check]) -> State:
    """The worst state of these; ``ok`` where there is none."""
    found = {check.state for check in checks}
    return next((state for state in STATES if state in found), "ok")


def _line(text: str) -> str:
    return printable(" ".join(text.split()), _LONGEST)
