"""The example with a busy model that is paid for does what its README says."""

from __future__ import annotations

from decimal import Decimal

import pytest

from examples.research import StubModel, Topic, research_flow
from examples.research.__main__ import main
from handoffs import Coordinator, Usage


def test_a_busy_model_costs_no_attempt(anywhere: Coordinator) -> None:
    """However often the model is busy, the report is made in one attempt, and each call is paid for once."""
    model = StubModel(busy=7)
    run = anywhere.start(research_flow(model), Topic(name="tides", pages=3))
    assert run.result(timeout=20).text == "[write a report on 3 notes]"
    assert run.usage() == Usage(4_000, Decimal("0.008"))
    assert [entry["kind"] for entry in run.history()].count("waits") == 7
    assert {entry.get("attempt", 1) for entry in run.history()} == {1}
    assert len(model.asked) == 4


def test_it_says_what_happens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a program it waits, says how far it is, stops at its limit, and goes on without paying twice."""
    for name in ("COORDINATOR_BROKER_URL", "COORDINATOR_REDIS_URL", "COORDINATOR_JOURNAL_URL"):
        monkeypatch.delenv(name, raising=False)
    main()
    said = capsys.readouterr().out
    assert "   how far it is: running, " in said
    assert said.count("attempt 1 waits 50 ms: Transient: 429 Too Many Requests, Retry-After: 0.05") == 2
    assert "research.read: over-budget; 5,000 tokens, cost 0.01 of at most 4,500 tokens" in said
    assert "[write a report on 5 notes]: 6,000 tokens, cost 0.012, 6 calls" in said
    assert said.endswith("all runs of its flow: 6,000 tokens, cost 0.012\n")
