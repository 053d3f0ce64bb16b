"""Task: where the handoff meets Celery. One Task class, its Request, its Strategy, and the worker's Consumer.

Celery's own ways to fail count a chord part as failed, run errbacks, or acknowledge and forget. Here whatever cannot go
on is rejected to the dead-letter exchange, and nothing else happens. See docs/decisions/0003.
"""

# ruff: noqa: ARG002 - Celery decides what the methods that it calls are given

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from billiard.einfo import ExceptionWithTraceback
from celery import Task
from celery.exceptions import Reject, Retry, TimeLimitExceeded
from celery.utils.saferepr import saferepr
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.request import Request as CeleryRequest
from celery.worker.state import revoked as revoked_tasks
from celery.worker.state import task_ready
from celery.worker.strategy import default as celery_strategy
from kombu import Consumer as KombuConsumer
from kombu.asynchronous import get_event_loop

from handoffs.config.topology import Topology
from handoffs.contracts import strictjson
from handoffs.contracts.contract import valid_name
from handoffs.contracts.errors import CoordinationError, InvalidInput, InvalidJson
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.text import is_plain
from handoffs.coordinator.continuation.canvas import EVENT
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.handoff.failure import Kind, said
from handoffs.coordinator.handoff.handoff import OTHERS, Done, Handoff, Later, Outcome, Park
from handoffs.coordinator.messaging.message import Delivery, addressed
from handoffs.coordinator.messaging.publisher import Publisher

_log = logging.getLogger(__name__)
_SERVER_PAUSE = timedelta(seconds=2)
_GLANCE = 0.5  # seconds
_PASSED_BY = frozenset({"paused", OTHERS})


class Parked(Reject):
    """Leaves the task: its own message goes to the dead-letter exchange. ``reason`` is a line without payload."""


class AgentTask(Task):
    """The Celery task of one agent."""

    abstract = True
    Request = "handoffs.coordinator.runtime.task:Request"
    Strategy = "handoffs.coordinator.runtime.task:strategy"
    acks_late = True
    ignore_result = True
    typing = False
    max_retries = None

    handoff: ClassVar[Handoff]
    publisher: ClassVar[Publisher]
    limits: ClassVar[Limits]

    def run(self, envelope: str, **kwargs: Any) -> str:
        """Handle the delivery that this task's request is, and say in a line what became of it."""
        delivery = delivered(vars(self.request), envelope, kwargs)
        # The handoff passes on, not Celery
        self.request.update(chain=None, chord=None, callbacks=None, errbacks=None)
        try:
            ordered = self.handoff.agent.intake.ordered
            return self._concluded(self._in_order(delivery) if ordered else self.handoff(delivery))
        except ServerError as error:
            return self._postponed(delivery, error)

    def _in_order(self, delivery: Delivery) -> Outcome:
        """What comes of a delivery whose successors must not pass it by: it is tried again here until that is known, also where
        a server fails. What is held with its story, or is for others, is passed by, or nobody would get anything."""
        while True:
            try:
                outcome = self.handoff(delivery)
            except ServerError as error:
                if self.request.is_eager:
                    raise
                _log.warning("run=%s step=%s waits in its place: %s", delivery.run, delivery.step, error)
                self._pause(_SERVER_PAUSE)
                continue
            if not isinstance(outcome, Later) or outcome.summary in _PASSED_BY:
                return outcome
            self._pause(outcome.wait)
            headers = outcome.message.headers
            attempt, looks = int(headers["retries"]) + 1, int(headers["handoff_looks"])
            delivery = replace(delivery, attempt=attempt, looks=looks)

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
        self._put_off(Later(_SERVER_PAUSE, delivery.again(attempt=delivery.attempt), "put off"))
        return "put off: a server cannot be reached"

    def _put_off(self, later: Later) -> None:
        try:
            self.publisher.publish([later.message], delay=later.wait)
        except ServerError as error:
            _log.warning("task %s goes back to its queue: %s", later.message.id, error)
            raise Reject(str(error), requeue=True) from error


class Request(CeleryRequest):
    """A delivery in the worker's parent process: whatever ends it badly parks it, in every branch that Celery has."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """The pool says that the task did not return."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, Parked):
            self._rejected(str(error.reason))
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
        self._park("revoked", "TaskRevoked", f"the task was {reason} by remote control")

    def _park(self, kind: Kind, error: str, text: str) -> None:
        if self.acknowledged:
            return
        handoff: Handoff = self.task.handoff
        try:
            delivery = delivered(self.request_dict, *_arguments(self))
            outcome = handoff.park(delivery, kind, error, text)
            handoff.release_for(delivery)
        except Exception as trouble:  # noqa: BLE001 - the letter itself must get away, its mark can be made from it
            _log.warning("task %s is parked without its mark: %s", self.id, said(trouble))
            self._rejected(f"{kind}: {error}: {text}")
        else:
            if isinstance(outcome, Done):
                self._given_back(outcome.summary)
            else:
                self._rejected(f"{kind}: {error}: {text}")

    def _given_back(self, why: str) -> None:
        """The step is settled: its process may have died before it passed the outcome on. The next delivery does that."""
        revoked_tasks.discard(self.id)
        task_ready(self)
        _log.info("%s[%s] goes back to its queue: %s", self.name, self.id, why)
        self.reject(requeue=True)

    def _rejected(self, reason: str) -> None:
        task_ready(self)
        _log.warning("%s[%s] parked: %s", self.name, self.id, reason)
        self.reject(requeue=False)
        self.send_event("task-failed", exception=f"Parked({saferepr(reason)})", traceback="")


class Consumer(CeleryConsumer):
    """The worker's consumer: a message that Celery cannot read or does not know is rejected, never dropped."""

    class Blueprint(CeleryConsumer.Blueprint):
        """Celery's start-up without its native delayed delivery: messages wait in the topology's own queues."""

        default_steps: ClassVar[list[str]] = [
            step for step in CeleryConsumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Any:
        """The connection of the task events. They are not confirmed: several threads send them over one channel, and
        one that waits there for a confirm keeps all others, the consumer included, from going on."""
        connection = self.app.connection_for_write(url=url, heartbeat=heartbeat)
        connection.transport_options = {**connection.transport_options, "confirm_publish": False}
        return self.ensure_connected(connection)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Celery decodes the body of a message without a task name, and ends the worker at one that is no text."""
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> Any:
            if isinstance(message.headers.get("task"), str):
                return handle(message)
            return self._reject(message, InvalidInput("the header 'task' is missing or malformed"))

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._reject(message, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._reject(message, InvalidInput("it is no task message"))

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._reject(message, InvalidInput(f"no agent {exc} is loaded in this worker"))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._reject(message, exc)

    def _reject(self, message: Any, error: Exception) -> None:
        _log.warning("a message was parked unread: %s: %s", *said(error))
        message.reject_log_error(_log, self.connection_errors)


class RawConsumer(KombuConsumer):
    """Takes a body as it comes. Kombu decompresses it, to whatever size, before anybody can look at it."""

    def _receive_callback(self, message: Any) -> Any:
        headers = (getattr(message, "properties", None) or {}).get("application_headers")
        if isinstance(headers, dict) and "compression" in headers:
            headers["compressed"] = headers.pop("compression")
        return super()._receive_callback(message)  # type: ignore[no-untyped-call]


class AgentConsumer(RawConsumer):
    """Takes an event as the message that starts what the agent of the queue does with it."""

    topology: ClassVar[Topology]

    @property
    def on_message(self) -> Any:
        """Who takes the messages, once events among them are addressed."""
        return self._address if self._handle is not None else None

    @on_message.setter
    def on_message(self, handle: Any) -> None:
        self._handle = handle

    def _address(self, message: Any) -> Any:
        headers = message.headers
        if isinstance(headers, dict) and headers.get("task") == EVENT:
            tag = message.delivery_info.get("consumer_tag")
            queue = next((name for name, known in self._active_tags.items() if known == tag), "")
            try:
                agent = self.topology.agent_of(queue)
                message.headers, message.body = addressed(headers, message.body, agent)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                _log.warning(
                    "an event for %s cannot be read", queue
                )  # it is parked as it is: EVENT is no agent
        return self._handle(message)


def agent_consumer(topology: Topology) -> type[AgentConsumer]:
    """The consumer of the agents' queues of one installation."""
    return type("AgentConsumer", (AgentConsumer,), {"__module__": __name__, "topology": topology})


def strategy(task: AgentTask, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """How the consumer treats a message of ``task``: first whether it can be read at all, then Celery's own way."""
    handle = celery_strategy(task, app, consumer, **options)

    def on_message(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        try:
            read_message(
                message.headers, message.body, message.content_type, message.content_encoding, task.limits
            )
        except InvalidInput as error:
            _log.warning("a message for %s was parked unread: %s", task.name, error)
            reject(_log, consumer.connection_errors, False)
            return None
        return handle(message, body, ack, reject, callbacks, **more)

    return on_message


def read_message(
    headers: Mapping[str, Any],
    body: bytes | str,
    content_type: str | None,
    content_encoding: str | None,
    limits: Limits,
) -> str:
    """Check everything about a message that Celery or the handoff relies on, and give its envelope's text.

    Raises :class:`InvalidInput` where it is not what :func:`handoffs.coordinator.messaging.message.message` makes.
    """
    if (content_encoding or "").lower() != "utf-8":
        raise InvalidInput("the content encoding is not utf-8")
    for name, longest in _NAMES.items():
        value = headers.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= longest or not is_plain(value):
            raise InvalidInput(f"the header {name!r} is missing or malformed")
    for name, longest in _SHOWN.items():
        value = headers.get(name)
        if value is not None and not (isinstance(value, str) and len(value) <= longest and is_plain(value)):
            raise InvalidInput(f"the header {name!r} is malformed: logs and Flower would show it")
    for name in ("retries", "handoff_replays", "handoff_looks"):
        count = headers.get(name, 0)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST:
            raise InvalidInput(f"the header {name!r} is no count")
    for name in ("eta", "expires", "shadow", "group", "stamped_headers", "compression", "compressed"):
        if headers.get(name) is not None:
            raise InvalidInput(f"the header {name!r} is set: Celery would act on it, past the handoff")
    if headers.get("timelimit") not in (None, [None, None]):
        raise InvalidInput("the header 'timelimit' is set: the agent declares its own")
    envelope, kwargs, _ = read_body(body, content_type, limits)
    if (kwargs.get("flow"), kwargs.get("step")) != (headers["handoff_flow"], headers["handoff_step"]):
        raise InvalidInput("headers and arguments name different steps")
    _check_event(headers, kwargs)
    return envelope


def _check_event(headers: Mapping[str, Any], kwargs: Mapping[str, Any]) -> None:
    """Raise :class:`InvalidInput` where headers and arguments do not name the same event, by a name that a contract may have:
    it becomes a routing key."""
    event = kwargs.get("event")
    if event != headers.get("handoff_event") or (event is None and headers["task"] == EVENT):
        raise InvalidInput("headers and arguments name different events")
    if event is not None and not valid_name(event):
        raise InvalidInput("the header 'handoff_event' is no name of a contract")


def read_body(
    body: bytes | str, content_type: str | None, limits: Limits
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Take a message body apart: envelope text, keyword arguments, continuation.

    Raises :class:`InvalidJson` where it is not what :func:`handoffs.coordinator.messaging.message.message` makes.
    """
    if content_type != "application/json":
        raise InvalidJson("the content type is not application/json")
    value = strictjson.loads(body, limits)
    match value:
        case [[str(envelope)], dict(kwargs), dict(continuation)]:
            if _has_types([kwargs, continuation]):
                raise InvalidJson("the body holds objects that Celery would make into something else")
            return envelope, kwargs, continuation
    raise InvalidJson("the body is not [[envelope], arguments, continuation]")


def _has_types(value: Any) -> bool:
    """Whether there is a mark in it by which Kombu's decoder turns objects into dates, bytes or numbers."""
    if isinstance(value, dict):
        return "__type__" in value or any(map(_has_types, value.values()))
    return isinstance(value, list) and any(map(_has_types, value))


def delivered(request: Mapping[str, Any], envelope: str, kwargs: dict[str, Any]) -> Delivery:
    """The delivery that a Celery request is: a task's in a child process, or a worker's in its parent."""
    headers = {name: request[name] for name in _HEADERS if name in request}
    return Delivery(
        id=str(request["id"]),
        agent=str(request["task"]),
        envelope=envelope,
        kwargs=kwargs,
        chain=request.get("chain") or [],
        chord=request.get("chord"),
        attempt=int(request.get("retries") or 0) + 1,
        replays=int(request.get("handoff_replays") or 0),
        looks=int(request.get("handoff_looks") or 0),
        worker=str(request.get("hostname") or ""),
        headers=headers,
    )


def task_class(handoff: Handoff, publisher: Publisher, limits: Limits) -> type[AgentTask]:
    """The task class of one agent."""
    agent = handoff.agent
    return type(
        f"AgentTask[{agent.name}]",
        (AgentTask,),
        {
            "__module__": __name__,
            "name": agent.name,
            "handoff": handoff,
            "publisher": publisher,
            "limits": limits,
            "time_limit": agent.time_limit.total_seconds() if agent.time_limit else None,
        },
    )


_NAMES = {"id": 200, "task": 200, "handoff_run": 200, "handoff_flow": 120, "handoff_step": 1000}
"""The headers that must be there, with the most characters that each may have."""

_SHOWN = {"argsrepr": 2000, "kwargsrepr": 2000, "origin": 300, "root_id": 200, "parent_id": 200, "lang": 20}
"""The headers that people get to see, with the most characters that each may have."""

_MOST = 1_000_000

_HEADERS = (
    "lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit", "root_id",
    "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamped_headers",
    "stamps", "handoff_run", "handoff_flow", "handoff_step", "handoff_replays", "handoff_event",
)  # fmt: skip


def _lost(error: BaseException) -> tuple[Kind, str, str]:
    name, text = said(error)
    if isinstance(error, TimeLimitExceeded):
        return _overran(*error.args)
    if isinstance(error, CoordinationError) or name not in {"WorkerLostError", "SystemExit", "Terminated"}:
        return "error", name, text
    return "worker-lost", name, text


def _overran(limit: float) -> tuple[Kind, str, str]:
    return "time-limit", "TimeLimitExceeded", f"it ran longer than {limit:g} s and was killed"


def _arguments(request: CeleryRequest) -> tuple[str, dict[str, Any]]:
    (envelope,) = request.args
    return envelope, request.kwargs
