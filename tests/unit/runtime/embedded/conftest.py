"""Connections to the embedded broker of a test."""

import contextlib
from collections.abc import Iterator
from typing import Any

import kombu
import pytest

from handoffs.coordinator.runtime.embedded.brokers import forget
from handoffs.coordinator.runtime.embedded.transport import Transport
from tests.unit.runtime.embedded.amqp import Connect


@pytest.fixture
def connect(namespace: str) -> Iterator[Connect]:
    """Open connections to this test's broker, or to another one; all are closed after the test."""
    names = {namespace}
    with contextlib.ExitStack() as stack:

        def open_connection(name: str = namespace, **options: Any) -> kombu.Connection:
            names.add(name)
            connection = kombu.Connection(f"memory://{name}", transport=Transport, transport_options=options)
            stack.enter_context(connection)
            return connection

        yield open_connection
    for name in names:
        forget(name)


@pytest.fixture
def channel(connect: Connect) -> Any:
    """A channel of a connection to this test's broker."""
    return connect().channel()
