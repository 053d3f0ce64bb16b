"""Flower's own variables, as far as we insist on one and have a better default for another."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec

from handoffs.config.settings import SettingsError

_VARIABLE = "FLOWER_BASIC_AUTH"
_DEFAULTS = {
    "tasks_columns": "name,state,args,result,received,runtime,worker",
    "max_tasks": "10000",
}
"""Options of Flower's: the columns of the task list, what was handed over, what became of it, and no identifier that says less than
the run's; and how many tasks it keeps in memory, which is 300 MB at worst."""


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


def default_options() -> list[str]:
    """Options of Flower's, but for those that a variable of its own (``FLOWER_MAX_TASKS``) names."""
    return [
        f"--{name}={value}" for name, value in _DEFAULTS.items() if f"FLOWER_{name.upper()}" not in os.environ
    ]


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
