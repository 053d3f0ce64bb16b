"""Servers: a coordinator for a command that is about what other processes do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded
from handoffs.coordinator.store.scripts import MAY_BE_RECORDED

_READING = ("listing", "showing")
"""How a command begins that changes nothing."""


@contextmanager
def on_servers(what: str) -> Iterator[Coordinator]:
    """A coordinator for ``what``, such as "listing runs".

    Raises :class:`~handoffs.coordinator.errors.ServerError` where no servers are set: what one process embeds ends with it.
    """
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, what)
        try:
            yield coordinator
        except ServerError as error:
            if what.startswith(_READING) and error.consequence == MAY_BE_RECORDED:
                raise type(error)(
                    error.cause, "nothing was asked to be recorded: it was only looked at", error.remedy
                ) from error
            raise
