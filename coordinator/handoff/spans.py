"""Spans of one handoff: the handoff, the work of its agent in it, and each time that it publishes. What they tell is taken from the
delivery, from what the handoff asks for, and from how it ends: the handoff itself knows nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from handoffs.contracts.envelope import trace_parent
from handoffs.coordinator.dispatch.recording import publishing, within
from handoffs.coordinator.dispatch.requests import Asking, Invoke, Publish, Request
from handoffs.coordinator.flow.usage import COST, TOKENS, Amounts, as_float
from handoffs.coordinator.handoff.attempt import Attempted
from handoffs.coordinator.handoff.outcome import Done, Outcome, Park, Postpone, Reason
from handoffs.coordinator.messaging import spans
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.spans import Recorder, recorder
from handoffs.coordinator.messaging.trace_context import LINKS
from handoffs.coordinator.store.record import StepRef

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

PARKED, RETRIED, POSTPONED, LATE, BROKEN_OFF = "parked", "retried", "postponed", "late", "broken-off"
"""How a handoff ends, beside the words of what is done."""

MODEL, INPUT, OUTPUT = "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
TOTAL, SPENT, OTHER = "gen_ai.usage.total_tokens", "gen_ai.usage.cost", "handoff.usage."
_AT_WORK = "handoffs-agent-span"
_NAMED = {"input_tokens": INPUT, "output_tokens": OUTPUT, TOKENS: TOTAL}


def recorded(asking: Asking[Outcome], delivery: Delivery, agent: str) -> Asking[Outcome]:
    """What a handoff of ``delivery`` to ``agent`` asks for, with its spans, where this process records any."""
    found = recorder()
    return asking if found is None else _Recording(found, delivery, agent).of(asking)


def tell_usage(so_far: Callable[[], Amounts], model: str) -> None:
    """Tell what the attempt that is at work here has used up ``so_far``, and of which model, where that was named."""
    found = recorder()
    span = found.value(_AT_WORK) if found is not None else None
    if span is None:
        return
    if model:
        span.set_attribute(MODEL, model)
    for name, amount in so_far().items():
        if name == COST:
            span.set_attribute(SPENT, as_float(amount))
        else:
            span.set_attribute(_NAMED.get(name, f"{OTHER}{name}"), amount)


def told_of(place: StepRef, agent: str, attempt: int) -> dict[str, Any]:
    """What a span of an attempt tells of where it is made."""
    return {
        spans.RUN: place.run,
        spans.FLOW: place.flow,
        spans.STEP: place.step,
        spans.AGENT: agent,
        spans.ATTEMPT: attempt,
    }


class _Recording:
    """The spans of one handoff."""

    def __init__(self, recorder: Recorder, delivery: Delivery, agent: str) -> None:
        self._recorder = recorder
        self._delivery = delivery
        self._agent = agent
        parent, state = _came_from(delivery)
        links = recorder.links(parent, str(delivery.headers.get(LINKS) or ""))
        kind = recorder.kinds.CONSUMER
        context = recorder.within_message(parent, state)
        self._span = recorder.begin(f"handoff {agent}", kind, self._told(), context, links)
        self._parent = spans.parent_of(self._span)
        self._within = recorder.with_span(self._span)
        self._failed = False

    def of(self, asking: Asking[Outcome]) -> Asking[Outcome]:
        """What the handoff asks for."""
        span = self._span
        try:
            outcome = yield from within(self._recorder, asking, self._within, self._passing)
            self._tell(outcome)
            return self._linked(outcome)
        except GeneratorExit:
            span.set_attribute(spans.OUTCOME, BROKEN_OFF)
            raise
        except BaseException as error:
            span.set_attribute(spans.OUTCOME, BROKEN_OFF)
            self._recorder.fail(span, type(error).__name__)
            raise
        finally:
            span.end()

    def _told(self) -> dict[str, Any]:
        came = self._delivery
        return {
            spans.SYSTEM: spans.RABBITMQ,
            spans.OPERATION: "process",
            spans.DESTINATION: came.agent,
            spans.MESSAGE: came.id,
            spans.CONVERSATION: came.run,
            **self._place(),
            spans.REPLAYS: came.replays or None,
        }

    def _place(self) -> dict[str, Any]:
        came = self._delivery
        return told_of(StepRef(came.run, came.flow, came.step), self._agent, came.attempt)

    def _passing(self, request: Request) -> Generator[Request, Any, Any]:
        match request:
            case Publish():
                return (yield from publishing(self._recorder, request, self._within, self._parent))
            case Invoke() if request.work:
                return (yield self._working(request))
        return (yield request)

    # The agent's work

    def _working(self, request: Invoke) -> Invoke:
        begin = request.begin

        def function() -> Any:
            span, context = self._begun()
            token = self._recorder.attach(context)
            try:
                found = request.function()
            except BaseException as error:  # what a signal has raised
                self._recorder.fail(span, type(error).__name__)
                raise
            else:
                self._worked(span, found)
                return found
            finally:
                self._recorder.detach(token)
                span.end()

        def beginning(told: Callable[[Any], None]) -> None:
            assert begin is not None
            span, context = self._begun()

            def ended(found: Any) -> None:
                self._worked(span, found)
                span.end()
                told(found)

            token = self._recorder.attach(context)
            try:
                begin(ended)
            finally:
                self._recorder.detach(token)

        return replace(request, function=function, begin=beginning if begin is not None else None)

    def _begun(self) -> tuple[Span, Context]:
        found = self._recorder
        span = found.begin(f"agent {self._agent}", found.kinds.INTERNAL, self._place(), self._within)
        return span, found.with_value(_AT_WORK, span, found.with_span(span))

    def _worked(self, span: Span, found: Attempted) -> None:
        if found.error is not None:
            self._failed = True
            self._recorder.fail(span, type(found.error).__name__)

    # How it ends

    def _tell(self, outcome: Outcome) -> None:
        span, how = self._span, spans.OUTCOME
        match outcome:
            case Done() if (
                self._failed
            ):  # its failure counts for nothing: the step is settled, or its run has ended
                span.set_attribute(how, LATE)
            case Done():
                span.set_attribute(how, outcome.summary.partition(" ")[0])
            case Park():
                span.set_attribute(how, PARKED)
                self._recorder.fail(span, outcome.failure.error, outcome.failure.kind)
            case Postpone() if outcome.error is not None:
                span.set_attribute(how, RETRIED)
                self._recorder.fail(span, type(outcome.error).__name__)
            case Postpone():
                span.set_attribute(how, POSTPONED)
                span.set_attribute(spans.REASON, str(outcome.reason))

    def _linked(self, outcome: Outcome) -> Outcome:
        """The next attempt links to the one that has failed."""
        if isinstance(outcome, Postpone) and outcome.reason is Reason.FAILED:
            return replace(outcome, message=spans.linked(outcome.message, [self._parent[36:52]]))
        return outcome


def _came_from(delivery: Delivery) -> tuple[str, str]:
    """The span that a delivery comes from, as ``traceparent``, and its ``tracestate``. Where nobody has recorded one, its run has a
    trace of its own."""
    headers: Mapping[str, Any] = delivery.headers
    parent = headers.get("traceparent")
    if spans.is_parent(parent):
        return str(parent), str(headers.get("tracestate") or "")
    return trace_parent(delivery.run, str(headers.get("parent_id") or delivery.id)), ""
