"""Postgres: connections to PostgreSQL of which no answer is waited for for ever.

A statement timeout of the server bounds nothing where the server is stopped, and libpq knows no other.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator
from typing import Any

import psycopg

from handoffs.coordinator.journal.patience import Patience
from handoffs.coordinator.patience import within

_CANCEL_WITHIN = 1.0  # seconds


class _Connection(psycopg.Connection[Any]):
    """A connection that is closed where an answer takes too long."""

    patience: Patience

    def wait(self, gen: Any, *options: Any, **more: Any) -> Any:
        """See :class:`psycopg.Connection`. Raises :class:`psycopg.OperationalError` where nobody answers in time."""
        try:
            return super().wait(_bounded(gen, self.patience.until()), *options, **more)
        except _Silent:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Have the server stop what it does for us, if it listens: it would hold locks, and wait for them, after we are gone."""
        with contextlib.suppress(Exception):
            self.cancel_safe(timeout=_CANCEL_WITHIN)
        with contextlib.suppress(Exception):
            self.close()


class _Silent(psycopg.OperationalError):
    """There was no answer in time."""


def connecting(patience: Patience) -> Callable[..., Any]:
    """What SQLAlchemy calls for a new connection (``do_connect``)."""
    made: Any = type("_Connection", (_Connection,), {"patience": patience, "__module__": __name__})

    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        left = min(patience.seconds, patience.until() - time.monotonic())
        options = {"connect_timeout": max(math.ceil(left), 2), **options}
        try:
            return within(left, lambda: made.connect(*arguments, **options), leave=lambda late: late.close())
        except TimeoutError as error:
            raise _Silent(str(error)) from error

    return connect


def _bounded(generator: Any, until: float) -> Generator[Any, Any, Any]:
    """What psycopg waits for, which it resumes now and then although there is nothing."""
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > until:
                raise _Silent("the database does not answer")
            wanted = generator.send(ready)
    except StopIteration as end:
        return end.value
