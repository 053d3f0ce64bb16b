"""Flower's own variables, as far as we insist on one and have a better default for another."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec

from handoffs.config.settings import SettingsError

_VARIABLE = "FLOWER_BASIC_AUTH"
_COLUMNS = "FLOWER_TASKS_COLUMNS"


def require_installed() -> None:
    """Raise :class:`~handoffs.config.settings.SettingsError` where Flower is not installed: it is an extra of this package."""
    if find_spec("flower") is None:
        raise SettingsError(
            "Flower is not installed here", "it was not started", "pip install 'handoffs[flower]'"
        )


def require_login() -> None:
    """Raise :class:`~handoffs.config.settings.SettingsError` where Flower would let everybody in, or no one."""
    logins = os.environ.get(_VARIABLE, "")
    if not logins or not all(user and password for user, _, password in _split(logins)):
        raise SettingsError(
            f"{_VARIABLE} is not set to user:password",
            "Flower was not started: it would show everybody every task, and let them stop workers",
            f"set {_VARIABLE}; several logins are separated by commas",
        )


def column_options() -> list[str]:
    """The columns of the task list, unless ``FLOWER_TASKS_COLUMNS`` names others: what was handed over, what became of
    it, and no identifier that says less than the run's."""
    return (
        [] if _COLUMNS in os.environ else ["--tasks_columns=name,state,args,result,received,runtime,worker"]
    )


def show_queues(names: Iterable[str]) -> None:
    """Have the page about the broker show these queues too, as far as they are there.

    Flower asks the workers for theirs once, when it starts: workers that began later were not on that page.
    """
    from flower.views import BaseHandler  # noqa: PLC0415 - for this one command, and it takes its time

    known, asked = frozenset(names), BaseHandler.get_active_queue_names

    def all_names(handler: BaseHandler) -> list[str]:
        return sorted(known.union(asked(handler)))

    BaseHandler.get_active_queue_names = all_names


def _split(logins: str) -> list[tuple[str, str, str]]:
    return [login.partition(":") for login in logins.split(",")]
