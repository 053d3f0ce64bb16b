"""Spans: what OpenTelemetry is told of starts, handoffs, the work of agents, publishing and waiting, where this process records it.

Who sets up OpenTelemetry's SDK is not decided here: the application, ``opentelemetry-instrument``, or COORDINATOR_TELEMETRY. Without it
there is no :func:`recorder`, and nothing of OpenTelemetry is loaded. docs/telemetry.md describes the spans; none has a payload.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.trace_context import LINKS, span_context_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, Tracer, TracerProvider

SCOPE = "handoffs"
"""The instrumentation scope of all spans."""
SYSTEM, DESTINATION, OPERATION = (
    "messaging.system",
    "messaging.destination.name",
    "messaging.operation.type",
)
MESSAGE, CONVERSATION, BATCH = (
    "messaging.message.id",
    "messaging.message.conversation_id",
    "messaging.batch.message_count",
)
RUN, FLOW, STEP, AGENT = "handoff.run", "handoff.flow", "handoff.step", "handoff.agent"
ATTEMPT, REPLAYS, OUTCOME, REASON = (
    "handoff.attempt",
    "handoff.replays",
    "handoff.outcome",
    "handoff.reason",
)
CREATED, STATUS, FALLBACK = "handoff.created", "handoff.status", "handoff.fallback"
ERROR = "error.type"
RABBITMQ = "rabbitmq"

MOST_LINKS = 128
"""How many spans a message links to at most, as many as OpenTelemetry keeps of a span's links."""
_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SPAN = re.compile(r"[0-9a-f]{16}")


class Recorder:
    """Makes the spans of this process. Safe for threads."""

    def __init__(self, tracer: Tracer) -> None:
        # Imported here: where nobody records there is no recorder, and nothing is to be loaded
        from opentelemetry import context, trace  # noqa: PLC0415

        self._tracer = tracer
        self._trace = trace
        self._context = context
        self.attach, self.detach = context.attach, context.detach

    @property
    def kinds(self) -> type[SpanKind]:
        """PRODUCER, CONSUMER, INTERNAL, CLIENT."""
        return self._trace.SpanKind

    def begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        within: Context | None = None,
        links: Iterable[Link] = (),
    ) -> Span:
        """A span that has begun, a child of what is current ``within`` that context, by default the caller's. It is not made
        current. Attributes that are empty are left out."""
        told = {key: value for key, value in attributes.items() if value not in ("", None)}
        return self._tracer.start_span(name, within, kind, told, list(links))

    def with_span(self, span: Span, within: Context | None = None) -> Context:
        """The context ``within``, by default the caller's, in which ``span`` is current."""
        return self._trace.set_span_in_context(span, within)

    def current(self) -> Span | None:
        """The span that is current where it is asked for; None where none is."""
        span = self._trace.get_current_span()
        return span if span.get_span_context().is_valid else None

    def with_value(self, name: str, value: object, within: Context) -> Context:
        """The context ``within``, with a value."""
        return self._context.set_value(name, value, within)

    def value(self, name: str) -> Any:
        """A value of the context that is current where it is asked for; None where it has none of that name."""
        return self._context.get_value(name)

    def remote(self, parent: str, state: str = "") -> Context:
        """The caller's context, in which the span is current that ``parent`` names, a W3C ``traceparent``."""
        return self.with_span(self._trace.NonRecordingSpan(span_context_of(parent, state)))

    def within_message(self, parent: str, state: str = "") -> Context:
        """The same; but where the span that is current is a child of that one, such as that of an instrumentation of Celery, it stays."""
        above = getattr(self._trace.get_current_span(), "parent", None)
        if above is not None and f"{above.trace_id:032x}-{above.span_id:016x}" == parent[3:52]:
            return self._context.get_current()
        return self.remote(parent, state)

    def links(self, parent: str, spans: str) -> list[Link]:
        """Links to ``spans``, ids separated by blanks, of the trace of ``parent``. What is none is left out."""
        found = [one for one in spans.split(" ") if _SPAN.fullmatch(one)][:MOST_LINKS]
        return [self._trace.Link(span_context_of(f"{parent[:36]}{one}{parent[52:]}", "")) for one in found]

    def link(self, parent: str) -> Link:
        """A link to the span that ``parent`` names."""
        return self._trace.Link(span_context_of(parent, ""))

    def fail(self, span: Span, error: str, kind: str = "") -> None:
        """Say that a span has failed: with the name of an error's type, and the kind of the failure. What an error says may have
        something of a payload in it, and is not told."""
        span.set_attribute(ERROR, error)
        description = f"{kind}: {error}" if kind else error
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, description))


class _Known(NamedTuple):
    """The recorder of a provider."""

    provider: object = None
    recorder: Recorder | None = None


_known = _Known()
_own: tuple[int, TracerProvider] | None = None


def recorder() -> Recorder | None:
    """What makes the spans of this process; None where nobody records any. It costs next to nothing to ask."""
    global _known  # noqa: PLW0603 - what was found out is kept for the process
    api = sys.modules.get("opentelemetry.trace")
    get = getattr(api, "get_tracer_provider", None)  # it may be half loaded, by another thread
    if get is None:
        return None
    provider = _own[1] if _own is not None and _own[0] == os.getpid() else get()
    if provider is not _known.provider:
        _known = _Known(provider, _recorder_of(provider))
    return _known.recorder


def record_with(provider: TracerProvider) -> None:
    """Have the spans of the coordinator recorded by ``provider`` in this process, and not in its children; for everybody else there is
    none."""
    global _own  # noqa: PLW0603 - one a process
    _own = (os.getpid(), provider)


def _recorder_of(provider: Any) -> Recorder | None:
    # Imported here: somebody has loaded it already
    from opentelemetry.trace import NoOpTracer, NoOpTracerProvider, ProxyTracerProvider  # noqa: PLC0415

    if isinstance(provider, ProxyTracerProvider | NoOpTracerProvider):
        return None
    tracer = provider.get_tracer(SCOPE)
    return None if isinstance(tracer, NoOpTracer) else Recorder(tracer)


def parent_of(span: Span) -> str:
    """The W3C ``traceparent`` of those who come after ``span``."""
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags & 0xFF:02x}"


def is_parent(text: object) -> bool:
    """Whether a text is a W3C ``traceparent`` of a trace and a span."""
    found = _PARENT.fullmatch(text) if isinstance(text, str) else None
    return found is not None and bool(int(found[1], 16) and int(found[2], 16))


def published_by(message: Message, before: str, parent: str) -> Message:
    """The same message, the trace of which goes on with ``parent`` where it went on with ``before``: the span that publishes it is known
    only when it is published. Both are of one length, so it has as much room as before."""
    old, new = (f'\\"traceparent\\":\\"{one}\\"' for one in (before, parent))
    if old not in message.body:
        return message  # it was made by another
    body = message.body.replace(old, new, 1)  # the envelope's own is before its data
    return replace(message, headers={**message.headers, "traceparent": parent}, body=body)


def linked(message: Message, spans: Iterable[str]) -> Message:
    """The same message, whose handoff links to ``spans``, by their ids."""
    found = " ".join(dict.fromkeys(filter(None, spans)))
    return replace(message, headers={**message.headers, LINKS: found}) if found else message
