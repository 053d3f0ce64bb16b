"""Naming: whether a name can be that of a new project, whose package, agents, contracts and image are called so."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from handoffs.contracts.text import quoted
from handoffs.coordinator.errors import ProjectRefused

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*\Z")
_LONGEST = 30
_FOLDERS = frozenset({"contracts", "tests", "wheels"})
"""Folders of the project itself."""
_RESERVED = frozenset({"celery", "coordinator", "handoff"})
"""How no agent may begin: there are queues and tasks of these names."""


def check_name(name: str) -> None:
    """Raise :class:`~handoffs.coordinator.errors.ProjectRefused` for what cannot be a project's name: it is imported as a module, so
    it is a Python identifier and no other module has it; it begins the names of agents and contracts, so it is in lower case."""
    reason = next(_reasons(name), None)
    if reason is not None:
        raise ProjectRefused(
            f"{quoted(name, 60)} cannot be a project's name: {reason}",
            "nothing was written",
            "take another one, such as my_shop: up to 30 lower case letters and digits, joined by single underscores",
        )


def _reasons(name: str) -> Iterator[str]:
    if len(name) > _LONGEST:
        yield f"it has {len(name)} characters"
    if not _NAME.match(name):
        yield "it is not one lower case word, or several that single underscores join"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        yield "it is a keyword of Python"
    if name in _FOLDERS:
        yield "the project has a folder of that name"
    if name in _RESERVED:
        yield "there are queues and tasks of that name"
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        yield "it is a module of Python's standard library"
    if _is_installed(name):
        yield "a package of that name is installed here"


def _is_installed(name: str) -> bool:
    """Whether a module or a distribution of that name is installed. What only lies in the working directory is not."""
    here = Path.cwd()
    elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
    if PathFinder.find_spec(name, elsewhere) is not None:
        return True
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
