"""Flows of every shape, in eager mode and with worker threads: what is started ends, once, and its history tells it."""

import logging
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Coordinator, Flow, parallel
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import Conflict, RunCancelled, UnknownFlow, UnknownRun
from handoffs.coordinator.flow.trigger import agents_of
from tests.eager.shop import SECRET, Shop, Thing, thing
from tests.waiting import wait_until

TIMEOUT = 20.0
PATHS = {
    "chain": "a>b>c",
    "header": "(a>b|a>c)>pair>d",
    "chain in header": "(a>b|c)>pair",
    "nested": "((a>b|a>c)|d)>nested",
}


@pytest.mark.parametrize("shape", PATHS)
def test_flow_completes(anywhere: Coordinator, shape: str) -> None:
    """A flow takes its input through every step once, and gives the last one's output."""
    shop = Shop()
    run = anywhere.start(shop.flows[shape], thing())
    result = run.result(TIMEOUT)
    assert result.path == PATHS[shape]
    assert run.status() == "completed"
    assert set(shop.effects.values()) == {1}
    assert run.letters() == []


def test_flow_may_end_in_branches(anywhere: Coordinator) -> None:
    """A flow that ends in branches gives their outputs by name."""
    shop = Shop()
    a, b = (agents_of(shop.flows["chain"])[f"shop.{name}"] for name in "ab")
    run = anywhere.start(Flow("shop.open", a >> parallel(one=b, other=parallel(deep=b))), thing())
    result: Any = run.result(TIMEOUT)
    assert (result["one"].path, result["other"]["deep"].path) == ("a>b", "a>b")


def test_same_key_is_the_same_run(anywhere: Coordinator) -> None:
    """Starting the same thing twice gives one run and one effect."""
    shop = Shop()
    first = anywhere.start(shop.flows["chain"], thing())
    second = anywhere.start(shop.flows["chain"], thing())
    assert first.id == second.id
    assert first.result(TIMEOUT) == second.result(TIMEOUT)
    assert set(shop.effects.values()) == {1}


def test_given_key_names_the_run(anywhere: Coordinator) -> None:
    """A key that the caller gives names the run; the agents' own keys still hold."""
    shop = Shop()
    runs = [anywhere.start(shop.flows["chain"], thing(), idempotency_key=key) for key in ("x", "y", "x")]
    assert len({run.id for run in runs}) == 2
    for run in runs:
        run.result(TIMEOUT)
    assert set(shop.effects.values()) == {1}


def test_other_content_conflicts(anywhere: Coordinator) -> None:
    """The same key with another input is refused, and the first run stands."""
    shop = Shop()
    run = anywhere.start(shop.flows["chain"], thing(), idempotency_key="k")
    with pytest.raises(Conflict):
        anywhere.start(shop.flows["chain"], thing("o-2"), idempotency_key="k")
    assert run.result(TIMEOUT).order == "o-1"


def test_invalid_payload_starts_nothing(anywhere: Coordinator) -> None:
    """What does not fit the flow is refused without a run, and without showing a value."""
    flow = Shop().flows["chain"]
    for payload in ({"order": 7, "pin": SECRET}, {"pin": SECRET}, {"order": "x" * 10, "pin": [SECRET]}):
        with pytest.raises(InvalidData) as caught:
            anywhere.start(flow, payload)
        assert SECRET not in str(caught.value)
    assert anywhere.journal.history.recent_runs() == []


def test_unknown_names_are_said(anywhere: Coordinator) -> None:
    """A flow or a run that nobody knows is said to be unknown."""
    with pytest.raises(UnknownFlow):
        anywhere.start("shop.nonsense", thing())
    with pytest.raises(UnknownRun):
        anywhere.run("nonsense")


def test_dict_starts_a_flow(anywhere: Coordinator) -> None:
    """A flow starts with plain data as well."""
    run = anywhere.start(Shop().flows["chain"], {"order": "o-1", "pin": SECRET})
    assert run.result(TIMEOUT).path == "a>b>c"


def test_run_is_found_again(anywhere: Coordinator) -> None:
    """A run is found by its id, with its result and its history."""
    run = anywhere.start(Shop().flows["chain"], thing())
    run.result(TIMEOUT)
    found = anywhere.run(run.id)
    assert found.status() == "completed"
    assert found.history() == run.history()


@pytest.mark.parametrize("shape", PATHS)
def test_history_tells_everything_in_order(anywhere: Coordinator, shape: str) -> None:
    """History has the start and each step once, each after what it depends on, with versions and redacted data."""
    shop = Shop()
    flow = shop.flows[shape]
    run = anywhere.start(flow, thing())
    run.result(TIMEOUT)
    history = run.history()
    assert [entry["kind"] for entry in history] == ["started"] + ["settled"] * len(list(flow.places()))
    told = [entry["step"] for entry in history[1:]]
    assert sorted(told) == sorted(place.path for place in flow.places())
    for number, step in enumerate(told):
        prefix, _, place = step.rpartition(".")
        earlier = f"{prefix}.{int(place) - 1}" if prefix else str(int(place) - 1)
        if not earlier.endswith("0"):
            assert any(other == earlier or other.startswith(f"{earlier}.") for other in told[:number])
    assert all(entry["run"] == run.id and entry["flow"] == flow.name for entry in history)
    assert all(history[0]["at"] <= entry["at"] for entry in history)
    assert {entry["wrote"] for entry in history} == {"shop.thing/1"}
    assert all(entry["output"]["pin"] == "**********" for entry in history[1:])


def test_late_deadline_parks(anywhere: Coordinator) -> None:
    """A run whose deadline passes is parked at the step that it has come to."""
    run = anywhere.start(Shop().flows["chain"], thing(), deadline=timedelta(microseconds=1))
    assert run.wait(TIMEOUT) == "parked"
    [letter] = wait_until(run.letters, description="the letter is there")
    assert (letter.kind, letter.step) == ("expired", "1")


def test_what_a_person_replays_is_wanted_still(anywhere: Coordinator) -> None:
    """A replay lets a run go on to its end whose deadline has passed, and the steps after the one that is replayed have none either."""
    run = anywhere.start(Shop().flows["chain"], thing(), deadline=timedelta(microseconds=1))
    assert run.wait(TIMEOUT) == "parked"
    [letter] = wait_until(run.letters, description="the letter is there")
    letter.replay()
    assert run.wait(TIMEOUT) == "completed"


def test_cancelled_run_has_no_result(anywhere: Coordinator) -> None:
    """A cancelled run goes no further, its letters wait no more, and its result is an error."""
    shop = Shop()
    shop.broken = {"b"}
    run = anywhere.start(shop.flows["chain"], thing())
    run.wait(TIMEOUT)
    [letter] = wait_until(run.letters, description="the letter is there")
    assert run.cancel(by="me") == "cancelled"
    assert run.letters() == []
    with pytest.raises(RunCancelled):
        run.result(TIMEOUT)
    shop.broken.clear()
    with pytest.raises(RunCancelled):
        letter.replay()
    assert shop.effects == Counter(a=1)
    assert next(entry for entry in run.history() if entry["kind"] == "cancelled")["by"] == "me"


def test_completed_run_is_not_cancelled(anywhere: Coordinator) -> None:
    """A run that has ended keeps its status."""
    run = anywhere.start(Shop().flows["chain"], thing())
    run.result(TIMEOUT)
    assert run.cancel() == "completed"
    assert run.result(TIMEOUT).path == "a>b>c"


def test_failed_attempt_is_retried(anywhere: Coordinator) -> None:
    """An attempt that fails for a while is made again, and history tells both."""
    shop = Shop()
    attempts: list[str] = []
    work = shop.work

    def flaky(name: str, order: str, path: str) -> Thing:
        attempts.append(name)
        if attempts.count("b") == 1 and name == "b":
            raise OSError("gone for a moment")
        return work(name, order, path)

    shop.work = flaky  # type: ignore[method-assign]
    run = anywhere.start(shop.flows["chain"], thing())
    assert run.result(TIMEOUT).path == "a>b>c"
    assert attempts == ["a", "b", "b", "c"]
    assert [entry["kind"] for entry in run.history()] == [
        "started",
        "settled",
        "retried",
        "settled",
        "settled",
    ]
    assert [entry.get("attempt") for entry in run.history()[1:]] == [1, 1, 2, 1]


def test_secrets_appear_nowhere(anywhere: Coordinator, caplog: pytest.LogCaptureFixture) -> None:
    """A sensitive value is in no log line, no history, no representation, no error, and in nothing that a letter shows."""
    shop = Shop()
    shop.broken = {"c"}
    with caplog.at_level(logging.DEBUG):
        run = anywhere.start(shop.flows["chain"], thing())
        assert run.wait(TIMEOUT) == "parked"
        [letter] = wait_until(run.letters, description="the letter is there")
        shown = {name: getattr(letter, name) for name in type(letter.row).__slots__ if name != "message"}
        with pytest.raises(Exception, match="parked") as caught:
            run.result()
        shop.broken.clear()
        letter.replay()
        result = run.result(TIMEOUT)
    assert result.pin.get_secret_value() == SECRET
    texts = [
        repr(run),
        repr(letter),
        repr(shown),
        repr(run.history()),
        repr(result),
        str(caught.value),
        repr(thing()),
    ]
    texts += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert [text for text in texts if SECRET in text] == []
    assert "working on" in caplog.text
