"""Spans that a test has had recorded, and what they say of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

_ATTEMPTS = {
    "settled": "settled",
    "deduplicated": "deduplicated",
    "retried": "retried",
    "waits": "retried",
    "parked": "parked",
}
"""The entries of a history that tell of an attempt, and the outcome of the span of its handoff."""


class Recorded:
    """The spans that this process has recorded."""

    def __init__(self, exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
        self.exporter = exporter
        self.provider = provider

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that have ended, in the order in which they began."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of a name."""
        return [span for span in self.spans if span.name == name]

    def only(self, name: str) -> ReadableSpan:
        """The one of a name."""
        [found] = self.named(name)
        return found

    def clear(self) -> None:
        """Forget them."""
        self.exporter.clear()

    def tree(self, *, links: bool = True) -> list[str]:
        """As lines, each span below its parent, with the outcome of a handoff; ``links`` with the outcomes of those that it links to."""
        return list(_lines(self.spans, links))


@contextmanager
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Have this process record spans for as long as that takes: OpenTelemetry takes one provider a process, and a test is no process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with monkeypatch.context() as patched:
        patched.setattr(trace, "_TRACER_PROVIDER", provider)
        yield Recorded(exporter, provider)


def ids(span: ReadableSpan) -> tuple[int, int]:
    """The ids of its trace and its own."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def parent(span: ReadableSpan) -> int:
    """The id of its parent; 0 for none."""
    return span.parent.span_id if span.parent is not None else 0


def linked(span: ReadableSpan) -> set[int]:
    """The ids of the spans that it links to."""
    return {link.context.span_id for link in span.links}


def told(span: ReadableSpan) -> Mapping[str, Any]:
    """Its attributes."""
    return span.attributes or {}


def connected(spans: Iterable[ReadableSpan], root: str) -> None:
    """Assert that spans are one trace: all of them below one, of the name ``root``."""
    spans = list(spans)
    known = {ids(span)[1] for span in spans}
    assert len({ids(span)[0] for span in spans}) == 1, "there is more than one trace"
    roots = [span.name for span in spans if not parent(span)]
    assert roots == [root], f"{roots} instead of {root}"
    lost = [span.name for span in spans if parent(span) and parent(span) not in known]
    assert not lost, f"their parents are not among them: {lost}"


def attempts(history: Iterable[Mapping[str, Any]], spans: Iterable[ReadableSpan]) -> None:
    """Assert that each attempt of a history has the span of its handoff, and no other has ended so."""
    spans = list(spans)
    worked = {parent(span) for span in spans if span.name.startswith("agent ")}
    entries = Counter(
        (entry["step"], entry["attempt"], _ATTEMPTS[entry["kind"]])
        for entry in history
        if entry["kind"] in _ATTEMPTS and entry.get("attempt")
    )
    found = Counter(
        (told(span)["handoff.step"], told(span)["handoff.attempt"], ended)
        for span in spans
        if span.name.startswith("handoff ") and (ended := _ended(span, ids(span)[1] in worked))
    )
    assert found == entries, f"spans without an entry: {found - entries}; entries without: {entries - found}"


def _ended(span: ReadableSpan, worked: bool) -> str:
    """How an attempt has ended, in the words of its entry; empty where there is none. What is settled after its run was cancelled is told
    of as any other, and by that name to who asks for the outcome."""
    outcome = str(told(span)["handoff.outcome"])
    if outcome in {"undo", "cancelled"} and worked:
        return "settled"
    return outcome if outcome in _ATTEMPTS.values() else ""


def _lines(spans: list[ReadableSpan], links: bool) -> Iterator[str]:
    known = {ids(span)[1]: span for span in spans}

    def below(above: int, depth: int) -> Iterator[str]:
        for span in spans:
            if parent(span) == above or (not depth and parent(span) not in known):
                outcome = told(span).get("handoff.outcome")
                others = sorted(known[one].name for one in linked(span) if one in known) if links else []
                words = [
                    span.name,
                    *([f"({outcome})"] if outcome else []),
                    *([f"<- {', '.join(others)}"] if others else []),
                ]
                yield "  " * depth + " ".join(words)
                yield from below(ids(span)[1], depth + 1)

    return below(0, 0)
