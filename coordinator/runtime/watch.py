"""Watch: whether a worker's servers answer now. A worker that waits for work would not notice, and one that works not at once."""

from __future__ import annotations

from datetime import timedelta

from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.jobs import Job, Jobs
from handoffs.coordinator.runtime.preflight import PROBE_WITHIN
from handoffs.coordinator.store.server import Server, connect

PROBE_EVERY = 3.0
"""Seconds between looks at a server."""


class Watch:
    """Looks at Redis and the broker again and again, in threads of its own."""

    def __init__(self, engine: Engine) -> None:
        settings = engine.settings
        self._publisher = engine.publisher
        within = min(settings.server_timeout, timedelta(seconds=PROBE_WITHIN))
        self._server = Server(connect(settings.redis_url or "", within))
        self._jobs = Jobs("watch")

    def start(self) -> None:
        """Begin to look."""
        self._jobs.start(
            [
                Job("redis", self._server.now, PROBE_EVERY),
                Job("broker", lambda: self._publisher.probe(PROBE_WITHIN), PROBE_EVERY),
            ]
        )

    def fault(self) -> str:
        """What a server does not do now, in a line; empty where all is well."""
        return self._jobs.fault()

    def stop(self) -> None:
        """Look no more."""
        self._jobs.stop(0)
