"""A flow means the same wherever it runs: what the engine makes of generated flows is what the interpreter says.

The flows have every kind of step in every other, retry policies of their own, and events that others hear. Their agents, plain
and async, fail for a while or for good, with whatever can be raised, alone or in groups, make more than a message has room for, are slow, or do not come back before they are let go. Their runs begin at once or at a time that is to
come; they get signals, are paused, cancelled and given up, and what is parked or held in them is replayed, edited or skipped. Their
conditions ask what cannot always be answered, and runs share their keys, with the same content or another.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from handoffs import Coordinator, emit
from handoffs.config.settings import Settings
from handoffs.coordinator.continuation.path import SUBSCRIBER
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.budget import budget, cached
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runtime import losses, standstills
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.store.asking import Asking, RoundTrip
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.settlement import Settled
from tests.defaults import default_settings
from tests.flows.forgetting import Forgetting, Going
from tests.flows.generated import forgetful as forgetting
from tests.flows.generated import scenarios
from tests.flows.judging import in_hand, judge
from tests.flows.scenario import Operation, Scenario
from tests.flows.universe import AGENTS, LIMIT, STORIES, WORKS, Behaviour

FLOWS = int(os.environ.get("FLOWS", "300"))
"""How many flows are run, in all modes together."""
_TIMEOUT = 10.0  # seconds
HELD_IN_A_BUDGET = Scenario(
    emit() >> WORKS[0] >> budget(WORKS[0], within=timedelta(minutes=50), fallback=emit()),
    {"n": 0, "note": None, "items": []},
    {},
    (Operation("edit"),),
    ("2", Operation("pause")),
)
"""The budget's fallback ends the run while its step is held: nothing is outstanding then."""
_FROM_ANOTHER = budget(
    WORKS[0],
    within=timedelta(minutes=50),
    fallback=cached("n", max_age=timedelta(hours=1), otherwise=WORKS[4], shared=True),
)
"""Its agent is broken: the first time it has what another run has made, whose id is no key, the next time what depends on the input."""
EDITED_WHILE_HELD = Scenario(
    _FROM_ANOTHER >> WORKS[1] >> WORKS[2],
    {"n": 0, "note": None, "items": []},
    {"1.b.1": Behaviour("broken")},
    (Operation("edit-key"), Operation("resume")),
    ("2", Operation("pause")),
    warm=True,
    again="other",
)
"""The key that a held step came with stays with what it came with, though another key takes its place."""
FALLEN_BACK_WHILE_HELD = Scenario(
    _FROM_ANOTHER >> WORKS[1] >> budget(WORKS[2], within=timedelta(minutes=50), fallback=emit()) >> WORKS[3],
    {"n": 0, "note": None, "items": []},
    {"1.b.1": Behaviour("broken")},
    (Operation("resume"),),
    ("2", Operation("pause")),
    warm=True,
    again="other",
)
"""And though the step never begins, as its budget is spent."""
_FATES = ("", "between", "afterwards")
_TOO_MUCH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def _settings(*, eager: bool) -> Settings:
    return default_settings(eager=eager, max_message_bytes=LIMIT)


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
@example(scenario=HELD_IN_A_BUDGET)
@example(scenario=EDITED_WHILE_HELD)
@example(scenario=FALLEN_BACK_WHILE_HELD)
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
        sent: dict[str, list[Message]] = {}

        def twice(messages: Iterable[Message], **options: Any) -> None:
            messages = list(messages)
            again = [message for message in messages if message.id not in seen]
            seen.update(message.id for message in again)
            for message in again:
                if not message.event and SUBSCRIBER not in message.headers.get("handoff_step", SUBSCRIBER):
                    sent.setdefault(message.headers["handoff_run"], []).append(message)
            publish([*messages, *again], **options)

        def once_more(run: str) -> None:
            publish(sent.pop(run, []))

        publisher.publish, publisher.once_more = twice, once_more
        yield opened


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS * 2 // 5, suppress_health_check=_TOO_MUCH)
@given(scenario=scenarios())
def test_every_message_twice(stuttering: Coordinator, scenario: Scenario) -> None:
    """And where every message is delivered twice; and all of them once more when the run has ended and is forgotten."""
    judge(stuttering, scenario, once=False, afterwards=_haunted)
    _drain(stuttering)


def _haunted(coordinator: Coordinator, run: str) -> None:
    """However late messages of a run come that has ended, nothing begins."""
    publisher: Any = coordinator.engine.publisher
    store = coordinator.engine.store
    store.redis.delete(store.keys.run(run))
    publisher.once_more(run)
    assert not (begun := store.redis.hgetall(store.keys.run(run))), f"it has begun again: {begun}"
    assert not coordinator.engine.outstanding.counts()


@pytest.fixture(scope="module")
def torn() -> Iterator[Coordinator]:
    """Eager, and Redis goes away while a step is settled: when it has the outcome of the key but not that of the run, or when it
    has both and has not said so. Each is met by some steps of runs that go on, once for each message, and the message comes again."""
    with Coordinator(_settings(eager=True)) as opened:
        opened.engine.store.handoffs.worth_letting_go = 0  # however short an outcome is
        opened.work(AGENTS)
        store = opened.engine.store
        handoffs: Any = store.handoffs
        publisher: Any = opened.engine.publisher
        settle = handoffs.settle
        seen: set[tuple[str, str, int]] = set()

        def tears(ref: StepRef, **options: Any) -> Asking[Settled]:
            asking = settle(ref, **options)
            met = (ref.run, ref.step, options["fence"])
            status, held = store.redis.hmget(store.keys.run(ref.run), "status", "paused")
            goes_on = (
                status == "running" and not held and not (_amid(ref.flow) and publisher._pending)
            )  # or what comes again would be told of later, or not at all
            fate = _FATES[crc32(ref.step.encode()) % len(_FATES)] if goes_on and met not in seen else ""
            seen.add(met)
            if fate:
                asked = next(asking)
                yield RoundTrip.of(*asked.calls[:1]) if fate == "between" else asked
                raise ServerError(f"Redis went away {fate}")
            settled: Settled = yield from asking
            return settled

        handoffs.settle = tears
        yield opened


def _amid(flow: str) -> bool:
    """Whether something is to be done yet to a run of that flow while an agent is at work."""
    return flow in STORIES and bool(STORIES[flow].amid)


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS // 5, suppress_health_check=_TOO_MUCH)
@given(scenario=scenarios())
def test_redis_goes_away_in_the_middle(torn: Coordinator, scenario: Scenario) -> None:
    """And where Redis goes away between the two scripts that settle a step, or after them: what is settled is passed on and undone."""
    judge(torn, scenario, once=False)
    _drain(torn)


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS // 5, suppress_health_check=_TOO_MUCH, phases=[Phase.explicit, Phase.generate])
@given(scenario=scenarios())
def test_embedded(embedded: Coordinator, scenario: Scenario) -> None:
    """And with worker threads, where parallel steps are parallel, and waits are waited for."""
    judge(embedded, scenario, timeout=_TIMEOUT, idle=in_hand)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[Coordinator]:
    """Eager, and the coordinator process waits for nothing before it compares a run with the journal."""
    monkeypatch.setattr(losses, "_COMPARED_EVERY", 0.0)
    monkeypatch.setattr(losses, "_SHORTEST_GRACE", 0.0)
    monkeypatch.setattr(standstills, "_MOMENT", 0.0)
    # what is delayed comes at once here
    monkeypatch.setattr(standstills.Standstills, "comes_back", lambda *_: False)
    monkeypatch.setattr(standstills.Standstills, "_first_waits", lambda *_: [])
    hasty = {"lease": timedelta(), "shards": 1, "unpublished_after": timedelta()}
    with Coordinator(_settings(eager=True).model_copy(update=hasty)) as opened:
        opened.engine.store.handoffs.worth_letting_go = 0  # however short an outcome is
        opened.work(AGENTS)
        yield opened


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS // 50, suppress_health_check=[*_TOO_MUCH, HealthCheck.function_scoped_fixture])
@given(drawn=forgetting())
def test_redis_goes_back(forgetful: Coordinator, drawn: tuple[Scenario, Going]) -> None:
    """And where Redis goes back to an earlier state, or has nothing any more, whether that is noticed or not, and whether the journal
    had been told or not: the run ends as it would have, or waits in the open."""
    scenario, going = drawn
    Forgetting(forgetful, scenario, going, Service(forgetful.engine, forgetful.journal)).judge()


@pytest.fixture(scope="module")
def narrow() -> Iterator[Coordinator]:
    """With worker threads, and queues that have room for a message or two."""
    limits = {agent.name: 1 for agent in AGENTS}
    narrow = _settings(eager=False).model_copy(
        update={"queue_limits": limits, "unpublished_after": timedelta(milliseconds=100)}
    )
    with Coordinator(narrow) as opened:
        opened.engine.store.handoffs.worth_letting_go = 0  # however short an outcome is
        opened.work(AGENTS)
        yield opened


@pytest.mark.timeout(60 + FLOWS)
@settings(max_examples=FLOWS // 40, suppress_health_check=_TOO_MUCH, phases=[Phase.explicit, Phase.generate])
@given(scenario=scenarios())
def test_full_queues(narrow: Coordinator, scenario: Scenario) -> None:
    """And where the queues are full most of the time, and refuse what comes: nothing is lost, doubled or parked for that."""
    judge(narrow, scenario, timeout=3 * _TIMEOUT, idle=in_hand)


def _drain(coordinator: Coordinator) -> None:
    """Put the history into the journal, as no service does in eager mode: what waits is looked through each time."""
    Service(coordinator.engine, coordinator.journal).drain_history()
