"""Flower's own variables, as far as we insist on one of them."""

from __future__ import annotations

import os

from config.settings import SettingsError

_VARIABLE = "FLOWER_BASIC_AUTH"


def require_login() -> None:
    """Raise :class:`~config.settings.SettingsError` where Flower would let everybody in, or nobody."""
    logins = os.environ.get(_VARIABLE, "")
    if not logins or not all(user and password for user, _, password in _split(logins)):
        raise SettingsError(
            f"{_VARIABLE} is not set to user:password",
            "Flower was not started: it would show everybody every task, and let them stop workers",
            f"set {_VARIABLE}; several logins are separated by commas",
        )


def _split(logins: str) -> list[tuple[str, str, str]]:
    return [login.partition(":") for login in logins.split(",")]
