"""A flow means the same wherever it runs: what the engine makes of generated flows is what the interpreter says.

The flows have every kind of step in every other, retry policies of their own, and events that others hear. Their agents fail
for a while or for good, are slow, or do not come back before they are let go. Their runs begin at once or at a time that is to
come; they get signals, are paused, cancelled and given up, and what is parked or held in them is replayed, edited or skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from handoffs import Coordinator
from handoffs.config.settings import Settings
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runtime.service import Service
from tests.flows.generated import scenarios
from tests.flows.judging import in_hand, judge
from tests.flows.scenario import Scenario
from tests.flows.universe import AGENTS

FLOWS = int(os.environ.get("FLOWS", "300"))
"""How many flows are run, in all modes together."""
_TIMEOUT = 10.0  # seconds
_TOO_MUCH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def _settings(*, eager: bool) -> Settings:
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return Settings.model_construct(**{**defaults, "eager": eager})


@pytest.fixture(scope="module")
def eager() -> Iterator[Coordinator]:
    with Coordinator(_settings(eager=True)) as opened:
        opened.engine.store.handoffs.worth_letting_go = 0  # however short an outcome is
        opened.work(AGENTS)
        yield opened


@pytest.fixture(scope="module")
def embedded() -> Iterator[Coordinator]:
    with Coordinator(_settings(eager=False)) as opened:
        opened.engine.store.handoffs.worth_letting_go = 0  # however short an outcome is
        opened.work(AGENTS)
        yield opened


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS * 2 // 5, suppress_health_check=_TOO_MUCH)
@given(scenario=scenarios())
def test_eager(eager: Coordinator, scenario: Scenario) -> None:
    """In eager mode: the same status, result, steps with inputs, outputs and attempts, parked steps, events and effects."""
    judge(eager, scenario)
    _drain(eager)


@pytest.fixture(scope="module")
def stuttering() -> Iterator[Coordinator]:
    """Eager, and every message comes twice: once when it is its turn, and again behind those that were sent with it."""
    with Coordinator(_settings(eager=True)) as opened:
        opened.engine.store.handoffs.worth_letting_go = 0  # however short an outcome is
        opened.work(AGENTS)
        publisher: Any = opened.engine.publisher
        publish = publisher.publish
        seen: set[str] = set()

        def twice(messages: Iterable[Message], **options: Any) -> None:
            messages = list(messages)
            again = [message for message in messages if message.id not in seen]
            seen.update(message.id for message in again)
            publish([*messages, *again], **options)

        publisher.publish = twice
        yield opened


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS * 2 // 5, suppress_health_check=_TOO_MUCH)
@given(scenario=scenarios())
def test_every_message_twice(stuttering: Coordinator, scenario: Scenario) -> None:
    """And where every message is delivered twice."""
    judge(stuttering, scenario, once=False)
    _drain(stuttering)


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS // 5, suppress_health_check=_TOO_MUCH, phases=[Phase.explicit, Phase.generate])
@given(scenario=scenarios())
def test_embedded(embedded: Coordinator, scenario: Scenario) -> None:
    """And with worker threads, where parallel steps are parallel, and waits are waited for."""
    judge(embedded, scenario, timeout=_TIMEOUT, idle=in_hand)


def _drain(coordinator: Coordinator) -> None:
    """Put the history into the journal, as no service does in eager mode: what waits is looked through each time."""
    Service(coordinator.engine, coordinator.journal).drain_history()
