"""Published: the registry of one command, looked through before anything relies on it."""

from __future__ import annotations

from pathlib import Path

import click

from handoffs.config.settings import Settings
from handoffs.contracts.registry.registry import Registry, open_registry
from handoffs.coordinator.render.console import tell

_MOST = 50
"""Of how many files it is told what is wrong."""


def sound_registry(settings: Settings) -> Registry:
    """The contracts that are published. Where files are malformed it tells of each in a line, and ends the command with status 1."""
    registry = open_registry(Path(settings.contracts_folder))
    faults = list(registry.faults())
    for fault in faults[:_MOST]:
        tell(f"coordinator: {fault}")
    if len(faults) > _MOST:
        tell(f"coordinator: and {len(faults) - _MOST} files more")
    if faults:
        raise click.exceptions.Exit(1)
    return registry
