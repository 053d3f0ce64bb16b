"""Returns: what the broker has given up on and what was only waiting is no dead letter: it goes back to where it waited.

A broker counts how often it has delivered a message, also where nobody worked on it: where its worker was restarted while the
message lay ready there, where a server was away, where a connection broke. Waiting is not failing. How often an agent has died
at work is counted at its idempotency key (``COORDINATOR_CRASH_LIMIT``).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.messaging.far_off import is_far_off
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef

_AFTER = timedelta(seconds=5)
_log = logging.getLogger(__name__)


class Returns:
    """Sends back what was only waiting."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def was_waiting(self, row: LetterRow) -> bool:
        """Whether nobody was at work on a message that the broker has given up on: a timer; a step that has not begun, or has its
        outcome, which may not have been passed on. Raises :class:`~handoffs.coordinator.errors.ServerError`."""
        if row.kind != FailureKind.DELIVERY_LIMIT or "body" not in row.message:
            return False
        return row.agent == TIMER or not self._services.runs.is_at_work(StepRef(row.run, row.flow, row.step))

    def send_back(self, row: LetterRow) -> None:
        """Have it delivered again, a little later. Raises :class:`~handoffs.coordinator.errors.ServerError`."""
        _log.warning(
            "run=%s step=%s was delivered too often and has not begun: it goes back to %s",
            row.run,
            row.step,
            row.agent,
        )
        message = Message.restored(row.message).returned()
        if is_far_off(message.headers):  # it waited among the timers
            message = replace(message, agent=TIMER)
        self._services.publisher.publish([message], delay=_AFTER)
