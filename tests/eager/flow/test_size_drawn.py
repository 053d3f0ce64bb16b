"""Sizes as they come: whatever the parts of a join weigh, it is put together or a letter says why not, and no message is too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import cache
from itertools import combinations, count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    agent,
    budget,
    choice,
    compensate,
    constant,
    delay,
    each,
    field,
    go_on,
    parallel,
    wait_for,
    when,
)
from handoffs.contracts.errors import TooLarge
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import Permanent
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.step import Step
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import read_body
from handoffs.coordinator.runtime.service import Service
from tests.defaults import default_settings
from tests.examples import examples

LIMIT = 8_192
ROOM = LIMIT - 2_048
"""What a join may put together."""
UNSURE = 200
"""How many octets are around the texts of a join, at most."""

numbers = count(1)


class Weight(Contract, name="weighed.weight", version=1):
    id: str = Key()
    octets: int


class Weights(Contract, name="weighed.weights", version=1):
    id: str = Key()
    octets: list[int]
    items: list[Weight]


class Text(Contract, name="weighed.text", version=1):
    id: str = Key()
    text: str


class Branches(Contract, name="weighed.branches", version=1):
    a: Text
    b: Text
    c: Text


class Texts(Contract, name="weighed.texts", version=1):
    texts: list[Text]


class Sum(Contract, name="weighed.sum", version=1):
    octets: int


@cache
def branch(number: int) -> Agent:
    def run(weights: Weights) -> Text:
        return Text(id=weights.id, text="x" * weights.octets[number])

    return agent(f"weighed.branch{number}", retry=Retry(attempts=1))(run)


@agent("weighed.item", retry=Retry(attempts=1))
def item(weight: Weight) -> Text:
    return Text(id=weight.id, text="x" * weight.octets)


@agent("weighed.branches")
def branches_weigh(branches: Branches) -> Sum:
    return Sum(octets=sum(len(one.text) for one in (branches.a, branches.b, branches.c)))


@agent("weighed.texts")
def texts_weigh(texts: Texts) -> Sum:
    return Sum(octets=sum(len(one.text) for one in texts.texts))


BRANCHES = Flow("weighed.in-branches", parallel(a=branch(0), b=branch(1), c=branch(2)) >> branches_weigh)
ITEMS = Flow("weighed.in-items", each("items", item, into="texts") >> texts_weigh, input=Weights)


@pytest.fixture(scope="module")
def weighing() -> Iterator[Coordinator]:
    """A coordinator that looks at each message that it sends."""
    settings = default_settings(eager=True, max_message_bytes=LIMIT)
    with Coordinator(settings) as opened:
        publisher: Any = opened.engine.publisher
        publish = publisher.publish

        def weighed(messages: Iterable[Message], **options: Any) -> None:
            messages = list(messages)
            for message in messages:
                envelope = read_body(message.body, "application/json", settings.message_limits).envelope
                assert len(envelope.encode()) <= LIMIT
            publish(messages, **options)

        publisher.publish = weighed
        yield opened


def started(coordinator: Coordinator, flow: Flow, octets: list[int]) -> Run:
    name = f"w{next(numbers)}"
    items = [Weight(id=f"{name}.{number}", octets=one) for number, one in enumerate(octets)]
    return coordinator.start(flow, Weights(id=name, octets=octets, items=items))


def mended(coordinator: Coordinator, run: Run) -> bool:
    """Give every step that waits an empty outcome; whether that was possible."""
    for _ in range(20):
        letters = run.letters()
        if not letters:
            return True
        assert {letter.kind for letter in letters} == {"too-large"}
        try:
            for letter in letters:
                coordinator.skip(letter, Text(id="skipped", text=""), why="too large")
        except TooLarge:
            return False
    raise AssertionError("it does not end")


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.lists(st.integers(0, 9_000), min_size=3, max_size=3))
def test_branches(weighing: Coordinator, octets: list[int]) -> None:
    """A join of branches is put together where it has room; otherwise each part that has none is a letter, and with nothing in the
    place of those it goes on, unless the others fill it to the brim."""
    run = started(weighing, BRANCHES, octets)
    said, total = run.status(), sum(octets)
    if total <= ROOM - UNSURE:
        assert said == "completed"
    elif total > ROOM:
        assert said == "parked"
    assert said in {"completed", "parked"}
    if mended(weighing, run):
        assert run.status() == "completed"
        assert run.result(0).octets <= ROOM
    else:  # two fill it to the brim, so that not even an empty third has room
        assert any(ROOM - 2 * UNSURE < sum(two) <= ROOM for two in combinations(octets, 2))


@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.lists(st.integers(0, 2_500), min_size=1, max_size=8))
def test_items(weighing: Coordinator, octets: list[int]) -> None:
    """The same of the items of a list, of which one waits for all."""
    run = started(weighing, ITEMS, octets)
    said, total, around = run.status(), sum(octets), UNSURE + 100 * len(octets)
    if total <= ROOM - around:
        assert said == "completed"
    elif total > ROOM:
        assert (said, len(run.letters())) == ("parked", 1)
    assert said in {"completed", "parked"}
    if mended(weighing, run):
        assert run.status() == "completed"
    else:
        assert (run.status(), len(run.letters())) == ("parked", 1)


@agent("weighed.fails", retry=Retry(attempts=1))
def fails(text: Text) -> Text:
    raise Permanent("no")


@agent("weighed.text", retry=Retry(attempts=1))
def begins(weights: Weights) -> Text:
    return Text(id=weights.id, text="x" * weights.octets[1])


@agent("weighed.passes", retry=Retry(attempts=1))
def passes(text: Text) -> Text:
    return text


class Two(Contract, name="weighed.two", version=1):
    a: Text
    b: Text


@agent("weighed.two")
def two_weigh(two: Two) -> Sum:
    return Sum(octets=len(two.a.text) + len(two.b.text))


@agent("weighed.one-of-two")
def one_of_two(two: Two) -> Text:
    return two.b


_IDLE = choice(when(field("text") == "never", passes), otherwise=go_on)
_HOUR, _SOON = timedelta(hours=1), timedelta(milliseconds=1)
_WAYS: dict[str, Step] = {
    "idle": _IDLE,
    "later": delay(_SOON) >> _IDLE,
    "idle twice": _IDLE >> _IDLE,
    "in branches": parallel(a=_IDLE, b=_IDLE) >> one_of_two,
    "in a budget": budget(_IDLE, within=_HOUR, fallback=passes),
    "undone": compensate(passes, by=passes),
}


def _entrances(large: int) -> dict[str, Step]:
    """What settles something without an agent's message: a signal, a time that is over, a person."""
    instead = constant(Text(id="instead", text="x" * large))
    return {
        "signal": wait_for("said", Text),
        "kept": wait_for("said", Text, keep="a"),
        "time": wait_for("said", Text, timeout=_HOUR, otherwise=instead),
        "fallback": budget(fails, within=_SOON, fallback=instead),
        "another agent": budget(fails, within=_SOON, fallback=passes),
        "person": fails,
    }


@cache
def entered(entrance: str, way: str, large: int, *, first: bool) -> Flow:
    """A branch of a join that goes on by itself; ``first``: so the run begins."""
    enters = _entrances(large)[entrance]
    if entrance == "kept":
        enters = wait_for("said", Text, keep="a") >> _named
    branch_b = _WAYS[way] if first else begins >> enters >> _WAYS[way]
    name = f"weighed.entered{next(numbers)}"
    if first:
        enters = wait_for("said", Text)
        return Flow(name, parallel(a=branch(0), b=enters >> _WAYS[way]) >> two_weigh, input=Weights)
    return Flow(name, parallel(a=branch(0), b=branch_b) >> two_weigh, input=Weights)


class Said(Contract, name="weighed.said", version=1):
    a: Text
    said: Text


@agent("weighed.named")
def _named(said: Said) -> Text:
    return said.said


def _drain(coordinator: Coordinator) -> None:
    """Put the history into the journal, as no service does in eager mode: letters that nobody waits for are closed."""
    Service(coordinator.engine, coordinator.journal).drain_history()


def in_the_open(coordinator: Coordinator, run: Run) -> str:
    """How a run stands: it has ended, waits for a signal, or for a person who has a letter of it."""
    said, record = run.status(), coordinator.engine.runs.get(run.id)
    assert record is not None
    assert said == "completed" or record.waits or run.letters(), f"{said}, and nobody is waited for"
    assert said != "parked" or run.letters()
    return said


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(  # the time of a wait is over and has no room, and then its signal comes
    entrance="time", way="idle", beside=590, begun=0, large=5_500, signal=1, first=False, early=False
)
@given(
    entrance=st.sampled_from(sorted(_entrances(0))),
    way=st.sampled_from(sorted(_WAYS)),
    beside=st.integers(0, 7_000),
    begun=st.integers(0, 5_000),
    large=st.sampled_from([10, 3_000, 5_500]),
    signal=st.integers(0, 7_000),
    first=st.booleans(),
    early=st.booleans(),
)
def test_whatever_settles(
    weighing: Coordinator,
    entrance: str,
    way: str,
    beside: int,
    begun: int,
    large: int,
    signal: int,
    *,
    first: bool,
    early: bool,
) -> None:
    """Whatever settles something without an agent's message, a signal (also one that comes early), a time that is over or a person, is
    refused with nothing changed, or the run goes on, or a letter says what is too large: it never stands still with nothing to wait
    for, and comes to its end with something smaller."""
    flow = entered(entrance, way, large, first=first)
    name = f"w{next(numbers)}"
    run = weighing.start(flow, Weights(id=name, octets=[beside, begun], items=[]))
    in_the_open(weighing, run)
    for octets in (signal, 1) if not early else (signal, signal, 1):
        record = weighing.engine.runs.get(run.id)
        assert record is not None
        if record.waits:
            before = record.waits
            try:
                run.signal("said", Text(id=name, text="x" * octets))
            except TooLarge:
                refused = weighing.engine.runs.get(run.id)
                assert refused is not None
                assert refused.waits == before, "it was refused, and its wait is over"
            in_the_open(weighing, run)
    for _ in range(20):
        _drain(weighing)
        if not (letters := run.letters()):
            break
        for letter in letters[:1]:
            if letter.kind == "not-passed-on":  # it has its outcome, and waits for other limits
                return
            try:
                weighing.skip(letter, Text(id=name, text=""), why="too large")
            except TooLarge:  # those that have arrived fill it to the brim
                assert beside + max(begun, large, signal) > ROOM - 2 * UNSURE
                return
            in_the_open(weighing, run)
            _drain(weighing)
    record = weighing.engine.runs.get(run.id)
    if record is not None and record.waits:
        run.signal("said", Text(id=name, text=""))
    assert in_the_open(weighing, run) == "completed"
