"""Stages: what the coordinator process does with a message whose time is far off, each time that it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handoffs.config.delays import stage
from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.continuation.path import follows_event
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.messaging.far_off import arrived, left
from handoffs.coordinator.messaging.message import BROKER_HEADERS, Message
from handoffs.coordinator.runs.budgets import Timers
from handoffs.coordinator.services import Services
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.run_state import ENDED


class Stages:
    """Sends what is far off from one stage into the next, and on its way once its time has come. Safe for threads."""

    def __init__(self, services: Services, timers: Timers) -> None:
        self._services = services
        self._timers = timers

    def take(self, headers: Mapping[str, Any], body: bytes | str) -> str:
        """Take a message at the end of a stage; gives a line on what came of it. Doing it again changes nothing.

        Nothing is sent of a run that has ended, or for a budget that is spent: so what nobody needs any more goes with its next
        stage. Raises :class:`~handoffs.contracts.errors.InvalidInput` for what is no message of ours, and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        try:
            text = body.decode() if isinstance(body, bytes) else body
        except UnicodeDecodeError as error:
            raise InvalidInput("the message is no text") from error
        kept = {name: value for name, value in headers.items() if not name.startswith(BROKER_HEADERS)}
        message = Message(str(headers.get("id", "")), TIMER, kept, text)
        whole = arrived(message)
        run, step = str(kept.get("handoff_run", "")), str(kept.get("handoff_step", ""))
        said = f"run={run} step={step}"
        store = self._services.store
        wait = left(message, scripts.time(store.redis, store.keys.run(run)))
        if self._is_over(whole, run, step):
            return f"not needed any more {said}"
        if wait.total_seconds() > 0:
            self._services.publisher.publish([message], delay=stage(wait), exact=True)
            return f"waits on, for {wait} {said}"
        if whole.agent == TIMER:
            return self._timers.fire(text, "application/json")
        self._services.publisher.publish([whole])
        return f"its time has come {said}"

    def _is_over(self, whole: Message, run: str, step: str) -> bool:
        if whole.agent == TIMER:
            return self._timers.is_over(whole.body, "application/json")
        state = self._services.runs.state(run)
        return state is not None and state.status in ENDED and not follows_event(step)
