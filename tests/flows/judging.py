"""Runs a scenario on a coordinator, and compares what has become of it with what the interpreter says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from celery.worker import state

from contracts import Contract
from coordinator import Coordinator, Run
from tests.flows.generated import Scenario
from tests.flows.interpreter import Outcome, interpret, plain
from tests.flows.universe import STORIES, Story

_KINDS = {"started", "settled", "retried", "parked", "replayed"}


def judge(
    coordinator: Coordinator,
    scenario: Scenario,
    *,
    timeout: float = 0.0,
    idle: Callable[[], bool] = lambda: True,
) -> None:
    """Run ``scenario`` to its end, replay by replay, and assert after each that it stands where it must.

    ``timeout`` is how many seconds it may take to get there each time; ``idle`` says whether nothing runs any more.
    """
    flow, given, story = scenario.begun()
    STORIES[flow.name] = story
    run = None
    try:
        run = coordinator.start(flow, given)
        outstanding: dict[tuple[str, str], int] = {}
        for mended in (frozenset[str](), *scenario.mending):
            if mended:
                story.mended = mended
                for letter in run.letters():
                    letter.replay(by="judge")
            expected = interpret(flow, given, story.work)
            _agree(run, story, expected, timeout, idle)
            waiting = Counter((agent, contract) for _, agent, contract in expected.parked)
            outstanding = coordinator.engine.store.outstanding()
            assert waiting <= Counter(outstanding)  # and what waits at a join
        assert not outstanding, "something is outstanding though the run has ended"
    finally:
        if run is not None and run.status() != "completed":
            run.cancel()  # or it would be in the way of the next
        del STORIES[flow.name]


def idle() -> bool:
    """Whether the workers of this process have nothing in hand."""
    return not (state.reserved_requests or state.active_requests or state.scheduled_requests)


def _agree(run: Run, story: Story, expected: Outcome, timeout: float, idle: Callable[[], bool]) -> None:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if (
            run.status() == expected.status
            and story.effects.total() >= expected.effects.total()
            and idle()
            and _observed(run, story) == expected
        ):
            break
        time.sleep(0.002)
    observed = _observed(run, story)
    assert observed.status == expected.status
    assert observed.parked == expected.parked
    assert _shown(observed.settled) == _shown(expected.settled)
    assert observed.effects == expected.effects
    assert observed.result == expected.result


def _observed(run: Run, story: Story) -> Outcome:
    """What has become of a run, by its status, its history, its letters and what its agents have done."""
    history = run.history()
    assert {entry["kind"] for entry in history} <= _KINDS
    status = run.status()
    settled = (
        (entry["step"], entry["agent"], plain(entry["input"]), plain(entry["output"]))
        for entry in history
        if entry["kind"] == "settled"
    )
    assert set(story.effects.values()) <= {1}, "an effect was taken twice under one key"
    assert not story.crowded, "more items at a time than the limit"
    return Outcome(
        status,
        _data(run.result(0)) if status == "completed" else None,
        Counter(settled),
        {(letter.step, letter.agent, letter.contract) for letter in run.letters()},
        Counter((agent, _own(key, story)) for agent, key in story.effects),
    )


def _own(key: str, story: Story) -> str:
    """The key that the agent derived; none where it had to take that of the message."""
    given, _, _ = key.partition("#")
    return given if given.split(".")[0] == story.name else ""


def _shown(settled: Counter[Any]) -> list[Any]:
    return sorted(settled.elements())


def _data(value: Any) -> Any:
    """A result as JSON data."""
    if isinstance(value, Contract):
        return value.to_data()
    if isinstance(value, list):
        return [_data(item) for item in value]
    return {name: _data(item) for name, item in value.items()} if isinstance(value, dict) else value
