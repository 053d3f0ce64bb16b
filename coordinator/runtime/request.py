"""Request: a delivery in the worker's parent process. Whatever ends it badly parks it. See docs/decisions/0003."""

# ruff: noqa: ARG002 - Celery decides what the methods that it calls are given

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Reject, Retry, TimeLimitExceeded
from celery.utils.saferepr import saferepr
from celery.worker import state
from celery.worker.request import Request as CeleryRequest
from celery.worker.state import revoked as revoked_tasks
from celery.worker.state import task_ready
from kombu.asynchronous import get_event_loop

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.errors import ServerError, passes
from handoffs.coordinator.handoff.failure import FailureKind, describe
from handoffs.coordinator.handoff.handoff import Handoff
from handoffs.coordinator.handoff.outcome import Done
from handoffs.coordinator.handoff.spans import recorded
from handoffs.coordinator.messaging.delivery import delivery_of
from handoffs.coordinator.runtime.task import Parked

_log = logging.getLogger(__name__)


class Request(CeleryRequest):
    """A delivery in the worker's parent process: whatever ends it badly parks it, in every branch that Celery has."""

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options)
        if (
            not self._decoded
        ):  # the pool gets the body as the strategy has read it, and does not parse it again
            self._body, self._content_type, self._content_encoding = message.payload, None, None

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """The pool says that the task did not return."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, Parked):
            self._rejected(str(error.reason), told=error.told)
        elif isinstance(error, Reject) and error.requeue:
            task_ready(self)
            self.reject(requeue=True)
        elif isinstance(error, Retry):
            super().on_failure(exc_info, send_failed_event, return_ok)
        elif state.should_terminate or self._already_cancelled:
            task_ready(self)  # a cold shutdown: the broker hands the message to another worker
        else:
            self._park(*_lost(error))

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """The attempt ran into a time limit; at the hard one the pool kills its process."""
        if soft or state.should_terminate:
            super().on_timeout(soft, timeout)
        else:
            self._park(*_overran(timeout))

    def send_event(self, type: str, **fields: Any) -> None:
        """Send a task event from the worker's main loop only. Celery's threads pool would send it from its own thread,
        and one that retries there while the broker is away never comes back to work."""
        hub = get_event_loop()
        if hub is None or threading.current_thread() is threading.main_thread():
            super().send_event(type, **fields)
        else:
            hub.call_soon(partial(super().send_event, type, **fields))

    def revoked(self) -> bool:
        """Whether remote control has revoked it. A replay is the later decision, so it overrules a revocation."""
        if self.request_dict.get("handoff_replays"):
            revoked_tasks.discard(self.id)
        return bool(super().revoked())

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Somebody revoked the task by Celery's remote control."""
        self._already_revoked = True
        self._park(FailureKind.REVOKED, "TaskRevoked", f"the task was {reason} by remote control")

    def _park(self, kind: FailureKind, error: str, text: str) -> None:
        if self.acknowledged:
            return
        handoff: Handoff = self.task.handoff
        try:
            delivery = delivery_of({**self.request_dict, **_rest(self)}, *_arguments(self))
            parking = handoff.parking.lost(delivery, kind, error, text)
            # the span that its process had begun is lost with it
            outcome = self.task.driver.perform(recorded(parking, delivery, handoff.agent.name))
            self.task.driver.perform(handoff.parking.release(delivery))
        except ServerError as trouble:
            if kind is FailureKind.TIME_LIMIT and passes(
                trouble
            ):  # perhaps it waited for that server as well, and waiting is no failure
                self._given_back(str(trouble))
            else:
                self._unmarked(kind, error, text, trouble)
        except Exception as trouble:  # noqa: BLE001 - the letter itself must get away, its mark can be made from it
            self._unmarked(kind, error, text, trouble)
        else:
            if isinstance(outcome, Done):
                self._given_back(outcome.summary)
            else:
                self._rejected(f"{kind}: {error}: {text}")

    def _unmarked(self, kind: FailureKind, error: str, text: str, trouble: Exception) -> None:
        _log.warning("task %s is parked without its mark: %s", self.id, describe(trouble))
        self._rejected(f"{kind}: {error}: {text}")

    def _given_back(self, why: str) -> None:
        """The next delivery goes on: the step is settled, and its process may have died before it passed the outcome on; or a
        server is away."""
        revoked_tasks.discard(self.id)
        task_ready(self)
        _log.info("%s[%s] goes back to its queue: %s", self.name, self.id, why)
        self.reject(requeue=True)

    def _rejected(self, reason: str, *, told: bool = False) -> None:
        task_ready(self)
        if not told:
            _log.warning("%s[%s] parked: %s", self.name, self.id, reason)
        self.reject(requeue=False)
        self.send_event("task-failed", exception=f"Parked({saferepr(reason)})", traceback="")


def _lost(error: BaseException) -> tuple[FailureKind, str, str]:
    name, text = describe(error)
    if isinstance(error, TimeLimitExceeded):
        return _overran(*error.args)
    if isinstance(error, CoordinationError) or name not in {"WorkerLostError", "SystemExit", "Terminated"}:
        return FailureKind.ERROR, name, text
    return FailureKind.WORKER_LOST, name, text


def _overran(limit: float) -> tuple[FailureKind, str, str]:
    return FailureKind.TIME_LIMIT, "TimeLimitExceeded", f"it ran longer than {limit:g} s and was killed"


def _arguments(request: CeleryRequest) -> tuple[str, dict[str, Any]]:
    (envelope,) = request.args
    return envelope, request.kwargs


def _rest(request: CeleryRequest) -> dict[str, Any]:
    """What is to come after its step: a child process gets it among the headers, the parent has it apart."""
    payload: Any = getattr(request, "_payload", None)
    rest: dict[str, Any] = (payload[2] if payload else None) or {}
    return {name: rest.get(name) for name in ("chain", "chord")}
