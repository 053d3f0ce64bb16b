"""Trace context: the trace that is current where a message is made, and again where its agent works.

It is that of OpenTelemetry where a process uses it; without it nothing here costs anything. Headers are those of W3C Trace Context
and W3C Baggage.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from handoffs.contracts.envelope import BAGGAGE, Envelope, trace_of
from handoffs.coordinator.messaging.trace_state import LONGEST_STATE, fitting, members_of, written

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

T = TypeVar("T")

HEADERS = ("traceparent", "tracestate", "baggage")
LINKS = "handoff_links"
"""The header with the spans that a message's handoff links to, by their ids, separated by blanks: where spans are recorded, those of
the other parts of a join, or that of the attempt before."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """What is current: ``parent`` and ``state`` are empty where no span is."""

    parent: str = ""
    state: str = ""
    baggage: str = ""

    @property
    def trace(self) -> str:
        """The id of the trace: 32 hexadecimal digits."""
        return self.parent[3:35]

    @property
    def span(self) -> str:
        """The id of the span: 16 hexadecimal digits; empty where no span is current."""
        return self.parent[36:52]

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> TraceContext:
        """What :meth:`headers` wrote."""
        return cls(*(headers.get(name, "") for name in HEADERS))

    def headers(self) -> dict[str, str]:
        """As headers, without what is empty."""
        values = zip(HEADERS, (self.parent, self.state, self.baggage), strict=True)
        return {name: value for name, value in values if value}


NONE = TraceContext()


def current() -> TraceContext:
    """What is current in this process, here."""
    if "opentelemetry.trace" not in sys.modules and "opentelemetry.baggage" not in sys.modules:
        return NONE
    # Imported here: it is loaded
    from opentelemetry.context import get_current  # noqa: PLC0415

    if not get_current():
        return NONE
    carrier: dict[str, str] = {}
    for propagator in _propagators():
        propagator.inject(carrier)
    state, baggage = carrier.get("tracestate", ""), carrier.get("baggage", "")
    return TraceContext(
        carrier.get("traceparent", ""),
        state if len(state) <= LONGEST_STATE else written(fitting(members_of([state]))),
        baggage if BAGGAGE.fullmatch(baggage) else "",
    )


def carried(envelope: Envelope) -> TraceContext:
    """What a message brings with it; without a parent where its trace is none but that of its run."""
    own = envelope.trace_parent[3:35] == trace_of(envelope.correlation_id)
    return TraceContext(
        "" if own else envelope.trace_parent, (not own and envelope.trace_state) or "", envelope.baggage or ""
    )


def goes_on(here: TraceContext, before: TraceContext) -> TraceContext:
    """What a message is given that is made ``here``, because of one that brought ``before``: a trace goes on as it began, and its
    parent is the span that is current in it."""
    if before.parent and here.trace != before.trace:
        return before
    if not here.parent:
        return TraceContext(before.parent, before.state, here.baggage or before.baggage)
    return TraceContext(here.parent, here.state, here.baggage or before.baggage)


def enter(brought: TraceContext) -> Token[Any] | None:
    """Make what a message brought current, in the caller's context: for a copy of one that is thrown away. A span that is
    current in the same trace stays, such as that of an instrumentation. None where there is nothing to make current."""
    if not (brought.parent or brought.baggage) or not _installed():
        return None
    # Imported here: only who installed it has it, and it takes a moment
    from opentelemetry import baggage, context, trace  # noqa: PLC0415

    found = context.get_current()
    here = trace.get_current_span(found).get_span_context()
    if brought.parent and f"{here.trace_id:032x}" != brought.trace:
        there = span_context_of(brought.parent, brought.state)
        found = trace.set_span_in_context(trace.NonRecordingSpan(there), found) if there.is_valid else found
    if brought.baggage and not baggage.get_all(found):
        found = _propagators()[1].extract(brought.headers(), found)
    return context.attach(found)


@contextmanager
def entered(brought: TraceContext) -> Iterator[None]:
    """The same, for as long as that takes; afterwards is current what was before."""
    token = enter(brought)
    try:
        yield
    finally:
        if token is not None:
            # Imported here: it is loaded, by enter()
            from opentelemetry import context  # noqa: PLC0415

            context.detach(token)


def traced(envelope: Envelope, function: Callable[[], T]) -> Callable[[], T]:
    """``function``, with what a message brought current in it: in a copy of the context that is thrown away."""

    def within() -> T:
        enter(carried(envelope))
        return function()

    return within


def span_context_of(parent: str, state: str) -> SpanContext:
    """As OpenTelemetry has it: what a ``traceparent`` names, elsewhere, with a ``tracestate``."""
    # Imported here: only who uses OpenTelemetry has it
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415

    from handoffs.coordinator.messaging.carried_state import CarriedState  # noqa: PLC0415 - as above

    trace, span, flags = (int(digits, 16) for digits in (parent[3:35], parent[36:52], parent[53:55]))
    return SpanContext(trace, span, True, TraceFlags(flags), CarriedState.read(state))


@cache
def _installed() -> bool:
    return find_spec("opentelemetry") is not None


@cache
def _propagators() -> tuple[Any, ...]:
    # Imported here: only who uses OpenTelemetry has it
    from opentelemetry.baggage.propagation import W3CBaggagePropagator  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - as above

    return TraceContextTextMapPropagator(), W3CBaggagePropagator()


def trace_of_work(envelope: Envelope) -> TraceContext:
    """The trace in which an agent works: that of its message, and in it the span that is current where this is asked."""
    here, state, baggage = current(), envelope.trace_state or "", envelope.baggage or ""
    if here.trace != envelope.trace_parent[3:35]:
        return TraceContext(envelope.trace_parent, state, baggage)
    return TraceContext(here.parent, here.state or state, baggage)
