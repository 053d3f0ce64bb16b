"""Spans of callers: where somebody waits for a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from handoffs.coordinator.client.waiting import Found
from handoffs.coordinator.messaging import spans
from handoffs.coordinator.messaging.spans import recorder


@contextmanager
def waiting(run: str, started: str) -> Iterator[Callable[[Found], Found]]:
    """A span in which somebody waits for ``run``: a child of what is current, or else of the span in which it was ``started``. Where
    neither is there, it would stand alone, and there is none. What it gives is told what was found, and gives that back."""
    found = recorder()
    current = found.current() if found is not None else None
    if found is None or (current is None and not started):
        yield lambda answer: answer
        return
    within = found.remote(started) if current is None else None
    links = [found.link(started)] if started and current is not None else []
    span = found.begin("wait", found.kinds.CLIENT, {spans.RUN: run}, within, links)

    def told(answer: Found) -> Found:
        span.set_attribute(spans.STATUS, answer[1])
        return answer

    try:
        yield told
    except BaseException as error:  # also where the task that waits is cancelled
        found.fail(span, type(error).__name__)
        raise
    finally:
        span.end()
