"""Flower's own variables, as far as we insist on one, use another as well, and have a better default for others."""

from __future__ import annotations

import os
from importlib.util import find_spec

from handoffs.config.settings import SettingsError

_VARIABLE = "FLOWER_BASIC_AUTH"
_MANAGEMENT = "FLOWER_BROKER_API"
_DEFAULTS = {
    "tasks_columns": "name,state,args,result,received,runtime,worker,uuid",
    "max_tasks": "10000",
}
"""Options of Flower's: the columns of the task list, what was handed over, what became of it, and last the id, for it is what opens a task;
and how many tasks it keeps in memory, which is 300 MB at worst."""


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


def management_api() -> str:
    """The URL of RabbitMQ's management API, with user and password, where Flower is told one; empty where it is not."""
    return os.environ.get(_MANAGEMENT, "").strip()


def default_options() -> list[str]:
    """Options of Flower's, but for those that a variable of its own (``FLOWER_MAX_TASKS``) names."""
    return [
        f"--{name}={value}" for name, value in _DEFAULTS.items() if f"FLOWER_{name.upper()}" not in os.environ
    ]


def _split(logins: str) -> list[tuple[str, str, str]]:
    return [login.partition(":") for login in logins.split(",")]
