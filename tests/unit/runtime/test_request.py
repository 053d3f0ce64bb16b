"""What becomes of a step that ran into its time limit while a server is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.runtime import request as module
from handoffs.coordinator.runtime.request import Request


@pytest.mark.parametrize(
    ("kind", "expected"), [(FailureKind.TIME_LIMIT, "given back"), (FailureKind.WORKER_LOST, "parked")]
)
def test_waiting_for_a_server_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, kind: FailureKind, expected: str
) -> None:
    """Where Redis does not answer either, a step that was killed at its time limit goes back to its queue: it may have waited
    for it. What is known to have failed is parked all the same."""
    said: list[str] = []

    def away(_: object) -> None:
        raise ServerError("Redis does not answer")

    parking = SimpleNamespace(lost=lambda *_: None, release=lambda *_: None)
    request: Any = Request.__new__(Request)
    request._request_dict, request.id = {"id": "m"}, "m"
    request._task = SimpleNamespace(
        handoff=SimpleNamespace(parking=parking, agent=SimpleNamespace(name="a")),
        driver=SimpleNamespace(perform=away),
    )
    monkeypatch.setattr(module, "delivery_of", lambda *_: None)
    monkeypatch.setattr(module, "_arguments", lambda _: ())
    monkeypatch.setattr(Request, "_given_back", lambda *_: said.append("given back"))
    monkeypatch.setattr(Request, "_rejected", lambda *_: said.append("parked"))
    request._park(kind, "TimeLimitExceeded", "it ran longer than 2 s")
    assert said == [expected]
