"""A run is one trace, whatever its flow is and whatever is done to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from opentelemetry.sdk.trace import ReadableSpan

from handoffs import Coordinator
from handoffs.coordinator.runtime.service import Service
from tests.defaults import default_settings
from tests.flows.generated import scenarios
from tests.flows.judging import in_hand, judge
from tests.flows.scenario import Scenario
from tests.flows.test_meaning import FLOWS
from tests.flows.universe import AGENTS, LIMIT
from tests.spans import Recorded, attempts, connected, ids, recording, told
from tests.waiting import wait_until

_TIMEOUT = 10.0
_TOO_MUCH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    with pytest.MonkeyPatch.context() as patched, recording(patched) as found:
        yield found


@pytest.fixture(scope="module")
def eager(recorded: Recorded) -> Iterator[Coordinator]:
    with Coordinator(default_settings(eager=True, max_message_bytes=LIMIT)) as opened:
        opened.work(AGENTS)
        yield opened


@pytest.fixture(scope="module")
def embedded(recorded: Recorded) -> Iterator[Coordinator]:
    with Coordinator(default_settings(eager=False, max_message_bytes=LIMIT)) as opened:
        opened.work(AGENTS)
        yield opened


def _check(coordinator: Coordinator, recorded: Recorded) -> None:
    """Assert that what was recorded is one trace for each run."""
    traces: defaultdict[int, list[ReadableSpan]] = defaultdict(list)
    runs: defaultdict[str, list[ReadableSpan]] = defaultdict(list)
    for span in recorded.spans:
        traces[ids(span)[0]].append(span)
        runs[str(told(span)["handoff.run"])].append(span)
    tree = "\n".join(["", *recorded.tree()])
    for run, spans in runs.items():
        [flow] = {str(told(span)["handoff.flow"]) for span in spans if "handoff.flow" in told(span)}
        assert len({ids(span)[0] for span in spans}) == 1, f"run {run} is more than one trace{tree}"
        connected(traces[ids(spans[0])[0]], f"start {flow}")
        attempts(coordinator.run(run).history(), spans)


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS // 10, suppress_health_check=_TOO_MUCH, phases=[Phase.explicit, Phase.generate])
@given(scenario=scenarios())
def test_eager(eager: Coordinator, recorded: Recorded, scenario: Scenario) -> None:
    """In eager mode each run has one trace, with one root, the span of its start; every other span's parent is among its spans; and
    each attempt of its history has the span of its handoff, with the same end."""
    recorded.clear()
    judge(eager, scenario)
    _check(eager, recorded)
    Service(eager.engine, eager.journal).drain_history()


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS // 20, suppress_health_check=_TOO_MUCH, phases=[Phase.explicit, Phase.generate])
@given(scenario=scenarios())
def test_embedded(embedded: Coordinator, recorded: Recorded, scenario: Scenario) -> None:
    """And with worker threads."""
    wait_until(lambda: not in_hand(), description="nothing of the run before is at work")
    recorded.clear()
    judge(embedded, scenario, timeout=_TIMEOUT, idle=in_hand)
    wait_until(lambda: not in_hand(), description="nothing is at work")
    _check(embedded, recorded)
