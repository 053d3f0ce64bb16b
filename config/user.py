"""User: who is at work here, as the operating system has it."""

from __future__ import annotations

import getpass


def current_user() -> str:
    """The name of the user who is logged in, or ``unknown``."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
