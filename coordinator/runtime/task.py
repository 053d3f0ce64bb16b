"""Task: where the handoff meets Celery. Its Request, its Strategy and the worker's Consumer have modules of their own.

Celery's own ways to fail count a chord part as failed, run errbacks, or acknowledge and forget. Here whatever cannot go
on is rejected to the dead-letter exchange, and nothing else happens. See docs/decisions/0003.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from celery import Task
from celery.exceptions import Reject, Retry
from celery.worker import state

from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.dispatch.sender import publish_later
from handoffs.coordinator.errors import ServerError, passes
from handoffs.coordinator.handoff.failure import FailureKind, describe
from handoffs.coordinator.handoff.handoff import Handoff
from handoffs.coordinator.handoff.interruption import interruption_of, signals_told_apart
from handoffs.coordinator.handoff.open import again
from handoffs.coordinator.handoff.outcome import Done, Outcome, Park, Postpone, Reason, Refusal
from handoffs.coordinator.handoff.spans import recorded
from handoffs.coordinator.messaging.delivery import Delivery, delivery_of
from handoffs.coordinator.runtime.failure_log import log_failure

_log = logging.getLogger(__name__)
_SERVER_PAUSE = timedelta(seconds=2)
_GLANCE = 0.5  # seconds
_OF_THE_AGENT = frozenset(
    {
        FailureKind.ERROR,
        FailureKind.ALLOWANCE,
        FailureKind.OVER_BUDGET,
        FailureKind.INVALID_OUTPUT,
        FailureKind.TOO_LARGE,
    }
)
_PASSED_BY = frozenset({Reason.PAUSED, Reason.OTHER_BUILD})

_known: ContextVar[tuple[Outcome | None, BaseException | None] | None] = ContextVar("known", default=None)


class Parked(Reject):
    """Leaves the task: its own message goes to the dead-letter exchange. ``reason`` is a line without payload; ``told`` says that
    the log has it already."""

    told = False


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
        with signals_told_apart():
            return copy_context().run(self._run, delivery)  # what one step sets, the next does not see

    def _run(self, delivery: Delivery) -> str:
        try:
            return self._tried(delivery)
        except (Reject, Retry):
            raise
        except BaseException as error:
            if interruption_of(error) is not None:
                raise
            return self._fallen(delivery, error)

    def _tried(self, delivery: Delivery) -> str:
        try:
            ordered = self.handoff.agent.intake.ordered
            return self._concluded(self._in_order(delivery) if ordered else self._handled(delivery))
        except ServerError as error:
            if not passes(error):
                raise
            return self._postponed(delivery, error)

    def _handled(self, delivery: Delivery) -> Outcome:
        known = _known.get()
        if known is None:
            return self.driver.perform(self.asking(delivery))
        outcome, error = known
        if outcome is None:
            assert error is not None
            raise error
        return outcome

    def asking(self, delivery: Delivery) -> Asking[Outcome]:
        """What the handoff of a delivery asks for, with its spans where this process records any."""
        return recorded(self.handoff(delivery), delivery, self.handoff.agent.name)

    @contextmanager
    def knowing(self, outcome: Outcome | None, error: BaseException | None) -> Iterator[None]:
        """Have a delivery that is run in the block end with what has come of it already."""
        token = _known.set((outcome, error))
        try:
            yield
        finally:
            _known.reset(token)

    def _in_order(self, delivery: Delivery) -> Outcome:
        """What comes of a delivery whose successors must not pass it by: it is tried again here until that is known, also where
        a server fails. What is held with its story, or is for others, is passed by, or nobody would get anything."""
        while True:
            try:
                outcome = self._handled(delivery)
            except ServerError as error:
                if self.request.is_eager or not passes(error):
                    raise
                _log.warning("run=%s step=%s waits in its place: %s", delivery.run, delivery.step, error)
                self._pause(_SERVER_PAUSE)
                continue
            if not isinstance(outcome, Postpone) or outcome.reason in _PASSED_BY:
                return outcome
            if outcome.reason is Reason.STOPPING and self.handoff.stopping.begun:
                raise Reject("the worker ends", requeue=True)
            self._pause(outcome.wait)
            delivery = replace(delivery, attempt=outcome.attempt, looks=outcome.looks, waited=outcome.waited)

    def _pause(self, wait: timedelta) -> None:
        """Wait before the next try. Raises :class:`Reject` where the worker is to end: the message stays the first of its
        queue."""
        until = time.monotonic() + wait.total_seconds()
        while not self.request.is_eager and (left := until - time.monotonic()) > 0:
            if _set(state.should_stop) or _set(state.should_terminate):
                raise Reject("the worker ends", requeue=True)
            time.sleep(min(left, _GLANCE))

    def _concluded(self, outcome: Outcome) -> str:
        if isinstance(outcome, Done):
            _log.info("%s %s", self.name, outcome.summary)
            return outcome.summary
        if isinstance(outcome, Park):
            raise self._parked(outcome)
        self.postpone(outcome)
        if outcome.error is not None:
            raise Retry(outcome.summary, when=outcome.wait.total_seconds())
        return outcome.summary

    def postpone(self, outcome: Postpone) -> None:
        """Leave a delivery with the broker until later, and log why where its agent has failed."""
        self._put_off(outcome)
        if outcome.error is not None:
            line = f"{self.name}[{self.request.id}] {outcome.summary}"
            log_failure(logging.INFO, line, outcome.error, outcome.trace)

    def _parked(self, outcome: Park) -> Parked:
        """What leaves the task. A failure of the agent's is logged here, where its exception is, as an error and once."""
        parked = Parked(str(outcome.failure), requeue=False)
        if outcome.error is not None and outcome.failure.kind in _OF_THE_AGENT:
            line = f"{self.name}[{self.request.id}] parked: {outcome.failure}"
            log_failure(logging.ERROR, line, outcome.error, outcome.failure.trace)
            parked.told = True
        return parked

    def _postponed(self, delivery: Delivery, error: Exception) -> str:
        """A server failed in the middle: try the same attempt again a little later, or leave it with the broker."""
        _log.warning("run=%s step=%s is put off: %s", delivery.run, delivery.step, error)
        self._put_off(again(delivery, _SERVER_PAUSE, Reason.SERVER, attempt=delivery.attempt))
        return "put off: a server cannot be reached"

    def _fallen(self, delivery: Delivery, error: BaseException) -> str:
        """What no step of the handoff expects: code of a user, such as a validator or a key function, raised anything at all,
        a server does not take what it was given, or we have a fault. The step is parked; where that cannot be written down either,
        its message goes as it is, and the coordinator process finds out from that what can be told."""
        parking = self.handoff.parking
        try:
            outcome = self.driver.perform(parking.refuse(delivery, None, Refusal(FailureKind.ERROR, error)))
            if isinstance(outcome, Done):  # it has its outcome, and perhaps not what follows that
                not_sent = Refusal(FailureKind.NOT_PASSED_ON, error)
                outcome = self.driver.perform(parking.refuse(delivery, None, not_sent))
            self.driver.perform(parking.release(delivery))
            return self._concluded(outcome)
        except (Reject, Retry):
            raise
        except Exception as trouble:
            if passes(trouble):
                return self._postponed(delivery, trouble)
            _log.warning("task %s is parked without its mark: %s: %s", self.request.id, *describe(trouble))
            raise Parked(": ".join(describe(error)), requeue=False) from trouble

    def _put_off(self, later: Postpone) -> None:
        """Leave it with the broker until later. Where the broker takes nothing, under an alarm perhaps for hours, it is kept here
        until it does: what goes back to its queue again and again is dead-lettered in the end."""
        while True:
            try:
                return self.driver.perform(publish_later(later.message, later.wait))
            except ServerError as error:
                if not passes(error):
                    raise
                if self.request.is_eager:
                    raise Reject(str(error), requeue=True) from error
                _log.warning("task %s is kept in hand: %s", later.message.id, error)
            self._pause(_SERVER_PAUSE)


def _set(status: object) -> bool:
    """Whether Celery has set a status to end with; 0 is one."""
    return status is not None and status is not False


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
