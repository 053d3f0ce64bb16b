"""What makes spans, and what messages say of them."""

from __future__ import annotations

import contextvars
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from handoffs.contracts.envelope import Envelope
from handoffs.coordinator.messaging import spans
from handoffs.coordinator.messaging.spans import is_parent, linked, parent_of, published_by, recorder
from handoffs.coordinator.messaging.trace_context import LINKS
from tests.deliveries import deliver, start
from tests.spans import ids, recording, told
from tests.unit.messaging.test_trace_context import _flow

TRACE, SPAN = "a" * 32, "b" * 16
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{TRACE}-{'c' * 16}-01"


def test_nobody_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an SDK there is no recorder, and where nobody has loaded OpenTelemetry asking for one does not load it."""
    assert recorder() is None
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    assert recorder() is None
    kept = {name: module for name, module in sys.modules.items() if not name.startswith("opentelemetry")}
    monkeypatch.setattr(sys, "modules", kept)
    assert recorder() is None
    assert "opentelemetry.trace" not in kept


def test_a_provider_that_is_set_later_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found out is not kept longer than it is so."""
    assert recorder() is None
    with recording(monkeypatch):
        first = recorder()
        assert first is not None
        assert recorder() is first
    assert recorder() is None


def test_a_disabled_sdk_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SDK_DISABLED` is heeded: no message gets a trace that nobody has."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider())
    assert recorder() is None


def test_one_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is for the coordinator's spans alone is nobody else's, and no child's."""
    monkeypatch.setattr(spans, "_own", None)
    spans.record_with(TracerProvider())
    assert recorder() is not None
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    monkeypatch.setattr(spans.os, "getpid", lambda: -1)  # type: ignore[attr-defined]
    assert recorder() is None


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (PARENT, True),
        (PARENT + "\n", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"01-{TRACE}-{SPAN}-01", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_is_parent(text: object, good: bool) -> None:
    """Only what names a trace and a span is taken for a parent, whatever a header has."""
    assert is_parent(text) is good


def test_published_by_a_span() -> None:
    """A message that was made in one span goes on with the one that publishes it, in its envelope and its headers, and says the same
    otherwise; one that was made in another stays as it is."""
    flow, job = _flow()
    [made] = start(flow, job)
    own = Envelope.decode(deliver(made).envelope).trace_parent
    sent = published_by(made, own, PARENT)
    envelope = Envelope.decode(deliver(sent).envelope)
    assert envelope.trace_parent == sent.headers["traceparent"] == PARENT
    assert envelope.model_copy(update={"trace_parent": own}) == Envelope.decode(deliver(made).envelope)
    assert len(sent.body) == len(made.body)
    assert deliver(sent).content == deliver(made).content
    assert published_by(made, OTHER, PARENT) is made


def test_a_payload_is_no_envelope() -> None:
    """What a payload says of a trace is left as it is, though it is the same."""
    flow, job = _flow()
    text = f'"traceparent":"{PARENT}"'
    [made] = start(flow, job.model_copy(update={"number": text}))
    own = Envelope.decode(deliver(made).envelope).trace_parent
    again = published_by(published_by(made, own, PARENT), PARENT, OTHER)
    envelope = Envelope.decode(deliver(again).envelope)
    assert (envelope.trace_parent, envelope.data["number"]) == (OTHER, text)


def test_links() -> None:
    """A message has the spans that its handoff links to, each once; they go on with a retry, and a replay has none of before."""
    flow, job = _flow()
    [made] = start(flow, job)
    found = linked(made, [SPAN, "", SPAN, "c" * 16])
    assert found.headers[LINKS] == f"{SPAN} {'c' * 16}"
    assert deliver(found).again(attempt=2).headers[LINKS] == found.headers[LINKS]
    assert LINKS not in found.replayed(1).headers
    assert linked(made, [""]) is made


def test_links_are_read_with_care(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a header that somebody else has written, what is no span is left out, and there are only so many."""
    with recording(monkeypatch):
        found = recorder()
        assert found is not None
        many = " ".join(f"{number:016x}" for number in range(1, 1000))
        assert [link.context.span_id for link in found.links(PARENT, f"x {SPAN} {'C' * 16}")] == [
            int(SPAN, 16)
        ]
        assert len(found.links(PARENT, many)) == spans.MOST_LINKS
        assert found.links(PARENT, "")[:] == []


def test_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is empty is left out. A failure tells the name of the error, and nothing of what it says."""
    with recording(monkeypatch) as recorded:
        found = recorder()
        assert found is not None
        span = found.begin(
            "one", found.kinds.INTERNAL, {"a": "", "b": None, "c": 0}, found.remote(PARENT, "k=1")
        )
        found.fail(span, "Broken", "error")
        span.end()
        made = recorded.only("one")
    assert dict(told(made)) == {"c": 0, "error.type": "Broken"}
    assert (made.status.description, len(made.events)) == ("error: Broken", 0)
    assert ids(made)[0] == int(TRACE, 16)
    assert parent_of(span)[:36] == f"00-{TRACE}-"
    assert made.context is not None
    assert made.context.trace_state.get("k") == "1"


def test_a_span_of_an_instrumentation_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a child of the message's span is current, such as that of an instrumentation of Celery, it is the parent; any other is not,
    were it of the same trace."""
    with recording(monkeypatch) as recorded:
        found = recorder()
        assert found is not None
        tracer = recorded.provider.get_tracer("another")

        def within(parent: str) -> Any:
            with tracer.start_as_current_span("run", context=found.remote(parent)) as current:
                return current, trace.get_current_span(found.within_message(PARENT))

        child, stays = contextvars.copy_context().run(within, PARENT)
        assert stays is child
        _, other = contextvars.copy_context().run(within, OTHER)
        assert parent_of(other) == PARENT
