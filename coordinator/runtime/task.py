"""Task: where the handoff meets Celery. Its Request, its Strategy and the worker's Consumer have modules of their own.

Celery's own ways to fail count a chord part as failed, run errbacks, or acknowledge and forget. Here whatever cannot go
on is rejected to the dead-letter exchange, and nothing else happens. See docs/decisions/0003.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from celery import Task
from celery.exceptions import Reject, Retry
from celery.worker import state

from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.sender import publish_later
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.handoff.handoff import Handoff
from handoffs.coordinator.handoff.open import again
from handoffs.coordinator.handoff.outcome import Done, Outcome, Park, Postpone, Reason
from handoffs.coordinator.messaging.delivery import Delivery, delivery_of

_log = logging.getLogger(__name__)
_SERVER_PAUSE = timedelta(seconds=2)
_GLANCE = 0.5  # seconds
_PASSED_BY = frozenset({Reason.PAUSED, Reason.OTHER_BUILD})


class Parked(Reject):
    """Leaves the task: its own message goes to the dead-letter exchange. ``reason`` is a line without payload."""


class AgentTask(Task):
    """The Celery task of one agent."""

    abstract = True
    Request = "handoffs.coordinator.runtime.request:Request"
    Strategy = "handoffs.coordinator.runtime.strategy:strategy"
    acks_late = True
    ignore_result = True
    typing = False
    max_retries = None

    handoff: ClassVar[Handoff]
    driver: ClassVar[Driver]
    limits: ClassVar[Limits]

    def run(self, envelope: str, **kwargs: Any) -> str:
        """Handle the delivery that this task's request is, and say in a line what became of it."""
        delivery = delivery_of(vars(self.request), envelope, kwargs)
        # The handoff passes on, not Celery
        self.request.update(chain=None, chord=None, callbacks=None, errbacks=None)
        try:
            ordered = self.handoff.agent.intake.ordered
            return self._concluded(self._in_order(delivery) if ordered else self._handled(delivery))
        except ServerError as error:
            return self._postponed(delivery, error)

    def _handled(self, delivery: Delivery) -> Outcome:
        return self.driver.perform(self.handoff(delivery))

    def _in_order(self, delivery: Delivery) -> Outcome:
        """What comes of a delivery whose successors must not pass it by: it is tried again here until that is known, also where
        a server fails. What is held with its story, or is for others, is passed by, or nobody would get anything."""
        while True:
            try:
                outcome = self._handled(delivery)
            except ServerError as error:
                if self.request.is_eager:
                    raise
                _log.warning("run=%s step=%s waits in its place: %s", delivery.run, delivery.step, error)
                self._pause(_SERVER_PAUSE)
                continue
            if not isinstance(outcome, Postpone) or outcome.reason in _PASSED_BY:
                return outcome
            self._pause(outcome.wait)
            delivery = replace(delivery, attempt=outcome.attempt, looks=outcome.looks)

    def _pause(self, wait: timedelta) -> None:
        """Wait before the next try. Raises :class:`Reject` where the worker is to end: the message stays the first of its
        queue."""
        until = time.monotonic() + wait.total_seconds()
        while not self.request.is_eager and (left := until - time.monotonic()) > 0:
            if state.should_stop not in (None, False) or state.should_terminate not in (None, False):
                raise Reject("the worker ends", requeue=True)
            time.sleep(min(left, _GLANCE))

    def _concluded(self, outcome: Outcome) -> str:
        if isinstance(outcome, Done):
            _log.info("%s %s", self.name, outcome.summary)
            return outcome.summary
        if isinstance(outcome, Park):
            raise Parked(str(outcome.failure), requeue=False)
        self._put_off(outcome)
        if outcome.error is not None:
            raise Retry(outcome.summary, when=outcome.wait.total_seconds())
        return outcome.summary

    def _postponed(self, delivery: Delivery, error: ServerError) -> str:
        """A server failed in the middle: try the same attempt again a little later, or leave it with the broker."""
        _log.warning("run=%s step=%s is put off: %s", delivery.run, delivery.step, error)
        self._put_off(again(delivery, _SERVER_PAUSE, Reason.SERVER, attempt=delivery.attempt))
        return "put off: a server cannot be reached"

    def _put_off(self, later: Postpone) -> None:
        try:
            self.driver.perform(publish_later(later.message, later.wait))
        except ServerError as error:
            _log.warning("task %s goes back to its queue: %s", later.message.id, error)
            raise Reject(str(error), requeue=True) from error


def task_class(handoff: Handoff, driver: Driver, limits: Limits) -> type[AgentTask]:
    """The task class of one agent."""
    agent = handoff.agent
    return type(
        f"AgentTask[{agent.name}]",
        (AgentTask,),
        {
            "__module__": __name__,
            "name": agent.name,
            "handoff": handoff,
            "driver": driver,
            "limits": limits,
            "time_limit": agent.time_limit.total_seconds() if agent.time_limit else None,
        },
    )
