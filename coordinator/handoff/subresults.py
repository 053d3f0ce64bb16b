"""Subresults: what the calls within one step have given, for the attempt that is at work on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.errors import ServerError, passes
from handoffs.coordinator.handoff.told import Told
from handoffs.coordinator.store.store import Store
from handoffs.coordinator.store.subresults import Work

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PAUSE = 0.5  # seconds


class StepSubresults:
    """The subresults of one attempt, in Redis. Where that is away it is waited for, which is no failure of the agent's, until it is
    told to end. Safe for threads."""

    def __init__(self, store: Store, work: Work, limits: Limits, told: Told) -> None:
        self._store = store
        self._work = work
        self._told = told
        self.limits = limits
        self.used = False
        """Whether the agent has asked for any."""

    def find(self, name: str) -> str | None:
        """What was recorded under a name; None where nothing was."""
        self.used = True
        text = self.patiently(lambda: self._store.subresult(self._work, name))
        if text is not None:
            _log.info("agent=%s: %r is not called again: what it gave is recorded", self._work.agent, name)
        return text

    def record(self, name: str, text: str) -> str:
        """Record what a call gave; gives what is recorded, which is another's where that came first."""
        return self.patiently(lambda: self._store.record_subresult(self._work, name, text))

    def let_go(self) -> None:
        """The work has its outcome."""
        if self.used:
            self._store.let_subresults_go(self._work)

    def patiently(self, ask: Callable[[], T]) -> T:
        """What ``ask`` gives, waiting for a server that is away. Raises :class:`ServerError` where the agent is to end."""
        while True:
            try:
                return ask()
            except ServerError as error:
                if not passes(error) or self._told.why():
                    raise
                self._told.waits()
                _log.warning("agent=%s waits in its place: %s", self._work.agent, error)
                time.sleep(_PAUSE)
