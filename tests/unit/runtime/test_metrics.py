"""What Prometheus is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.tally import Tally
from handoffs.coordinator.observe.topology import LandscapeMap, MapAgent, MapQueue
from handoffs.coordinator.runtime.metrics import Handoffs
from tests.stack import ROOT

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


class Stub:
    """An installation with one agent and two letters; ``away`` is what its servers answer with."""

    away: Exception | None = None
    asked = 0

    def landscape(self) -> LandscapeMap:
        """One agent, and the queue of the timers."""
        agent = MapAgent(
            name="shop.price", queue="shop.price", known="live", live=3, builds=(), reads={}, writes={}, subscribes=(),
            depth=7, consumers=2, outstanding=9, parked=2,
        )  # fmt: skip
        gone = MapQueue("dead", "dead letters", None, None)
        return LandscapeMap(True, (agent,), (), (), (MapQueue("timers", "timers", 0, 1), gone))

    def letters(self) -> Mapping[str, tuple[int, str]]:
        """Two."""
        self.asked += 1
        if self.away:
            raise self.away
        return {"error": (2, "2026-12-01T11:00:00.000+00:00")}


def _samples(collector: Handoffs) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    registry = CollectorRegistry()
    registry.register(collector)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def _tally() -> Tally:
    tally = Tally()
    entry = {"flow": "shop.order", "agent": "shop.price", "at": NOW.isoformat()}
    tally.hear(
        [
            {**entry, "kind": "started", "agent": ""},
            {**entry, "kind": "settled", "took_ms": 12.0, "emitted": [{}]},
            {**entry, "kind": "parked", "error": "error: ValueError: no"},
            {**entry, "kind": "retried"},
            {**entry, "kind": "fallback", "fallback": "constant"},
        ],
        NOW,
    )
    return tally


def test_what_is_counted_and_looked_up_is_told() -> None:
    """Counters, histograms and gauges have the names and labels of docs/metrics.md, in Prometheus' own format."""
    found = _samples(Handoffs(_tally(), Stub()))
    place = (("agent", "shop.price"), ("flow", "shop.order"))
    assert found["handoffs_runs_started_total", (("flow", "shop.order"),)] == 1
    assert found["handoffs_steps_total", (*place, ("outcome", "settled"))] == 1
    assert found["handoffs_steps_parked_total", (*place, ("reason", "error"))] == 1
    assert found["handoffs_agent_seconds_bucket", (*place, ("le", "0.01"))] == 0
    assert found["handoffs_agent_seconds_bucket", (*place, ("le", "0.025"))] == 1
    assert found["handoffs_agent_seconds_count", place] == 1
    assert found["handoffs_servers_up", ()] == 1
    assert found["handoffs_letters_waiting", (("reason", "error"),)] == 2
    oldest = found["handoffs_letter_oldest_timestamp_seconds", (("reason", "error"),)]
    assert oldest == datetime(2026, 12, 1, 11, tzinfo=UTC).timestamp()
    assert found["handoffs_workers_live", (("agent", "shop.price"),)] == 3
    assert found["handoffs_queue_messages", (("queue", "shop.price"),)] == 7
    assert ("handoffs_queue_messages", (("queue", "dead"),)) not in found


def test_a_server_that_is_away_is_no_zero() -> None:
    """Where a server does not answer that is said, counts stay, and there is no gauge that would say that all is quiet."""
    stub = Stub()
    stub.away = ServerError("the journal cannot be used")
    found = _samples(Handoffs(_tally(), stub))
    assert found["handoffs_servers_up", ()] == 0
    assert found["handoffs_runs_started_total", (("flow", "shop.order"),)] == 1
    names = {name for name, _ in found}
    assert not {"handoffs_letters_waiting", "handoffs_queue_messages", "handoffs_workers_live"} & names


def test_many_who_ask_are_one_question() -> None:
    """What is looked up is told again for some seconds, so a scraper that asks all the time does not burden the servers."""
    stub = Stub()
    collector = Handoffs(_tally(), stub)
    for _ in range(20):
        _samples(collector)
    assert stub.asked == 1


def _exported() -> dict[str, set[str]]:
    """The labels of each sample that there is."""
    found: dict[str, set[str]] = {}
    for name, labels in _samples(Handoffs(_tally(), Stub())):
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


def _expressions() -> dict[str, str]:
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8")
    board = json.loads((ROOT / "deploy" / "grafana" / "handoffs.json").read_text("utf-8"))
    found = dict(re.findall(r"- alert: (\w+)\n +expr: (.*)\n", alerts))
    assert len(found) == alerts.count("- alert:")
    return found | {
        panel["title"]: target["expr"] for panel in board["panels"] for target in panel["targets"]
    }


EXPRESSIONS = _expressions()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_rules_and_panels_ask_for_what_there_is(name: str) -> None:
    """Each alert and each panel asks for metrics, and groups by labels, that are exported."""
    expression, exported = EXPRESSIONS[name], _exported()
    asked = set(re.findall(r"handoffs_\w+", expression))
    assert asked
    assert asked <= exported.keys()
    labels = {label for metric in asked for label in exported[metric]}
    grouped = {
        label.strip()
        for group in re.findall(r"(?:by|on) \(([^)]*)\)", expression)
        for label in group.split(",")
    }
    assert grouped <= labels
    assert expression.count("(") == expression.count(")")


def test_the_page_lists_each_metric() -> None:
    """docs/metrics.md has every metric that is exported, with its labels, and no other."""
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    rows: dict[str, Any] = {}
    for names, labels in re.findall(r"^\| (`handoffs_[^|]*) \| ([^|]*)\|", page, re.MULTILINE):
        for metric in re.findall(r"handoffs_\w+", names):
            rows[metric] = set(re.findall(r"\w+", labels))
    exported = {
        re.sub(r"_(bucket|count|sum)$", "", name): labels - {"le"} for name, labels in _exported().items()
    }
    assert rows == exported
