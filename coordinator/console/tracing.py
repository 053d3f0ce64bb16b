"""Tracing: what a request does belongs to the trace that the request brings.

What a request brings is read as W3C Trace Context and W3C Baggage say: what is not valid is as if it were not there, and the request
goes on without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from handoffs.contracts.envelope import BAGGAGE
from handoffs.coordinator.messaging.trace_context import TraceContext, current, entered
from handoffs.coordinator.messaging.trace_state import fitting, members_of, written

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FLAGS = 0b11
"""The flags of a trace that are known: sampled, and that its id is random."""
_BLANKS = " \t"


class Traced:
    """Makes current what a request brings, for as long as it is answered. A span that is current before, such as that of an
    instrumentation of the server, stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within its trace."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        brought = brought_by(scope["headers"])
        if current().parent:
            brought = TraceContext(baggage=brought.baggage)
        with entered(brought):
            await self._app(scope, receive, send)


def brought_by(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext:
    """What the headers of a request bring, with names in lower case; empty where they bring nothing that is valid."""
    found: dict[bytes, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value.decode("latin-1").strip(_BLANKS))
    parent = _parent_of(found.get(b"traceparent", []))
    state = written(fitting(members_of(found.get(b"tracestate", [])))) if parent else ""
    baggage = ",".join(filter(None, found.get(b"baggage", [])))
    return TraceContext(parent, state, baggage if BAGGAGE.fullmatch(baggage) else "")


def _parent_of(values: list[str]) -> str:
    """In the version that is known: of a later one, what that version has as well. Several are none, also where they are alike: nobody
    knows which of them is meant."""
    match = _PARENT.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        return ""
    version, trace, span, flags, more = match.groups()
    is_known = version == "00"
    if version == "ff" or (is_known and more is not None) or not (int(trace, 16) and int(span, 16)):
        return ""
    return f"00-{trace}-{span}-{int(flags, 16) & _FLAGS:02x}"
