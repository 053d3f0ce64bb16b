"""Recording: a span around what somebody asks for. It is current while the asking code itself runs, and not while what it asks for is
performed: in eager mode that is whole runs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from handoffs.coordinator.dispatch.requests import Asking, Publish, Request
from handoffs.coordinator.messaging import spans
from handoffs.coordinator.messaging.spans import Recorder

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

T = TypeVar("T")

Passing: TypeAlias = Callable[[Request], Generator[Request, Any, Any]]
"""How a request is passed on: asks for it, or for another in its place, and gives the answer."""


def passed(request: Request) -> Generator[Request, Any, Any]:
    """A request, passed on as it is."""
    return (yield request)


def within(recorder: Recorder, asking: Asking[T], context: Context, passing: Passing = passed) -> Asking[T]:
    """What ``asking`` asks for, each request passed on by ``passing``. Its own code runs in ``context``."""
    found: Any = None
    error: BaseException | None = None
    try:
        while True:
            token = recorder.attach(context)
            try:
                request = asking.send(found) if error is None else asking.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                recorder.detach(token)
            found = error = None
            try:
                found = yield from passing(request)
            except GeneratorExit:
                raise
            except BaseException as raised:  # noqa: BLE001 - it is dealt with by the one that asks
                error = raised
    finally:
        error = None  # or it would keep the frame, and the frame it
        asking.close()


def publishing(recorder: Recorder, request: Publish, context: Context, before: str) -> Asking[None]:
    """Ask for messages to be published, with a span of that in ``context``. Those whose trace would go on with ``before``, the span
    in which they were made, go on with the one that publishes them."""
    span = recorder.begin(_name(request), recorder.kinds.PRODUCER, _told(request), context)
    parent = spans.parent_of(span)
    messages = tuple(spans.published_by(message, before, parent) for message in request.messages)
    try:
        yield replace(request, messages=messages)
    except Exception as error:
        recorder.fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def started(recorder: Recorder, span: Span, asking: Asking[T]) -> Asking[T]:
    """What is asked for in ``span``, which ends with it, and tells with what error where it fails."""
    try:
        return (yield from within(recorder, asking, recorder.with_span(span)))
    except Exception as error:
        recorder.fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def _destinations(request: Publish) -> list[str]:
    return list(dict.fromkeys(message.event or message.agent for message in request.messages))


def _name(request: Publish) -> str:
    names = _destinations(request)
    return f"publish {names[0]}" if len(names) == 1 else "publish"


def _told(request: Publish) -> dict[str, Any]:
    names, count = _destinations(request), len(request.messages)
    first = request.messages[0] if count == 1 else None
    run = next((str(message.headers.get("handoff_run", "")) for message in request.messages), "")
    return {
        spans.SYSTEM: spans.RABBITMQ,
        spans.OPERATION: "send",
        spans.DESTINATION: names[0] if len(names) == 1 else "",
        spans.MESSAGE: first.id if first else "",
        spans.BATCH: count if count != 1 else None,
        spans.CONVERSATION: run,
        spans.RUN: run,
    }
