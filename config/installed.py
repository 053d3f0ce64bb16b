"""Installed: what this process runs on, by its versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

OUR = "handoffs"
PACKAGES = (OUR, "celery", "kombu", "redis", "pydantic")
"""What workers and whoever sends to them should have alike."""


@cache
def installed() -> Mapping[str, str]:
    """The versions of Python, of this package, and of those that speak to servers; empty of one that is not installed as a package."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
