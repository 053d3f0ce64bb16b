"""Unserved: a command that shows what a coordinator process keeps says where none is at work."""

from __future__ import annotations

from contextlib import suppress

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.served import UNSERVED, coordinator_processes
from handoffs.coordinator.render.console import tell


def tell_of_unserved(coordinator: Coordinator) -> None:
    """Say, to standard error, that no coordinator process is at work; nothing where one is, or where the broker cannot be asked. What is
    embedded serves itself."""
    if is_embedded(coordinator):
        return
    with suppress(ServerError):
        if not coordinator_processes(coordinator.engine.services):
            tell(f"coordinator: {UNSERVED}")


def is_embedded(coordinator: Coordinator) -> bool:
    """Whether what is embedded in this process does the work of a coordinator process."""
    return coordinator.engine.settings.embedded
