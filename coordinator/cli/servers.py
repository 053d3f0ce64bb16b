"""Servers: a coordinator for a command that is about what other processes do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded


@contextmanager
def on_servers(what: str) -> Iterator[Coordinator]:
    """A coordinator for ``what``, such as "listing runs".

    Raises :class:`~handoffs.coordinator.errors.ServerError` where no servers are set: what one process embeds ends with it.
    """
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, what)
        yield coordinator
