"""A run of ``tests.drawn.everything``, as its history tells it: everything that can happen, happens."""

from __future__ import annotations

from typing import Any


def entry(kind: str, ms: int, step: str = "", agent: str = "", **more: Any) -> dict[str, Any]:
    """Something that happened ``ms`` milliseconds after the start."""
    fields = {"run": "r-1", "flow": "drawn.everything", "step": step, "agent": agent, **more}
    at = f"2026-01-05T10:00:{ms // 1000:02d}.{ms % 1000:03d}+00:00"
    return {"kind": kind, "at": at, **{name: value for name, value in fields.items() if value != ""}}


HISTORY = [
    entry("started", 0, wrote="drawn.order/1", input={"order": "o-1", "amount": 1}),
    entry("retried", 400, "2.stock.1.i0.1", "drawn.price", attempt=1, error="error: Timeout: slow"),
    entry("settled", 500, "2.stock.1.i1.1", "drawn.price", took_ms=250.0, wrote="drawn.priced/1", output={"cents": 4}),
    entry("settled", 600, "2.score.1.f.1", "drawn.estimate", took_ms=80.0, wrote="drawn.score/1", output={"points": 0}),
    entry(
        "settled", 900, "2.stock.1.i0.1", "drawn.price", attempt=2, took_ms=200.0, wrote="drawn.priced/1", output={"cents": 3}
    ),
    entry("settled", 1000, "2.stock.2", "drawn.collect", took_ms=50.0, wrote="drawn.prices/1"),
    entry("settled", 1300, "3", "drawn.write", took_ms=200.0, wrote="drawn.draft/1", fallback="agent", output={"text": "0"}),
    entry("settled", 1400, "4.1.r1.1", "drawn.polish", took_ms=60.0, wrote="drawn.draft/1", output={"text": "0!"}),
    entry("settled", 1500, "4.1.r2.1", "drawn.polish", took_ms=70.0, wrote="drawn.draft/1", output={"approved": True}),
    entry("late", 1900, "2.score.1.b.1", "drawn.score", took_ms=1700.0, wrote="drawn.score/1", output={"points": 1}),
    entry("parked", 1950, "6.b.1", "drawn.send", attempt=3, error="error: Refused: no"),
    entry("fallback", 2400, "6", fallback="constant", output={"text": "sorry"}),
    entry("replayed", 3000, "6.b.1", "drawn.send", by="ada"),
    entry("cancelled", 3100, by="ada"),
]  # fmt: skip
