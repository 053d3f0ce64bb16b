"""Whatever a caller hands over, what cannot be taken is a typed error in one line, before anything is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import Field

from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Retry,
    agent,
    budget,
    cached,
    choice,
    constant,
    delay,
    each,
    emit,
    field,
    gather,
    go_on,
    on,
    parallel,
    repeat,
    schedule,
    wait_for,
    when,
)
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.errors import FlowError


class Thing(Contract, name="given.thing", version=1):
    text: str = ""
    items: list[Thing] = Field(default_factory=list)


@agent("given.work")
def work(thing: Thing) -> Thing:
    return thing


def plain(thing: Thing) -> Thing:
    return thing


FLOW = Flow("given.flow", work)
WAITING = Flow("given.waiting", wait_for("go", Thing) >> work, input=Thing)
_HOUR = timedelta(hours=1)
_ODD: list[Any] = [
    5,
    0.5,
    "1h",
    math.nan,
    timedelta(),
    -_HOUR,
    timedelta.max,
    timedelta.min,
    datetime.now(UTC),
    True,
]
_NO_THING: list[Any] = [{}, None, 5, "x", Thing, [Thing()], Contract()]
_NO_ZONE = datetime(2030, 1, 1)  # noqa: DTZ001


def _calls(name: str, call: Callable[[Any], object], values: list[Any]) -> list[Any]:
    return [pytest.param(call, value, id=f"{name} {number}") for number, value in enumerate(values)]


_TEXT = field("text") == "1"
BUILT = [
    *_calls("delay", delay, [*_ODD, None]),
    *_calls("budget", lambda odd: budget(work, within=odd, fallback=work), [*_ODD, None]),
    *_calls("budgeted", lambda odd: budget(odd, within=_HOUR, fallback=work), [plain, None, Thing()]),
    *_calls("fallback", lambda odd: budget(work, within=_HOUR, fallback=odd), [plain, None, Thing(), 5]),
    *_calls("max_age", lambda odd: cached("text", max_age=odd, otherwise=work), [*_ODD, None]),
    *_calls(
        "cached", lambda odd: cached(odd, max_age=_HOUR, otherwise=work), [5, None, "", "a b", ("text",)]
    ),
    *_calls("constant", constant, _NO_THING),
    *_calls("timeout", lambda odd: wait_for("go", Thing, timeout=odd, otherwise=constant(Thing())), _ODD),
    *_calls("otherwise", lambda odd: wait_for("go", Thing, timeout=_HOUR, otherwise=odd), [Thing(), work, 5]),
    *_calls("wait_for", lambda odd: wait_for(odd, Thing), [5, None, "", "a b"]),
    *_calls("awaited", lambda odd: wait_for("go", odd), [5, None, "Thing", Thing(), Contract]),
    *_calls("keep", lambda odd: wait_for("go", Thing, keep=odd), [5, "", "go"]),
    *_calls("each", lambda odd: each(odd, work, into="x"), [5, None, "a b"]),
    *_calls("into", lambda odd: each("items", work, into=odd), [5, None, "a b"]),
    *_calls(
        "limit",
        lambda odd: each("items", work, into="x", limit=odd),
        ["3", 2.5, True, 0, -1, 10**9, math.nan],
    ),
    *_calls(
        "at_most", lambda odd: repeat(work, until=_TEXT, at_most=odd), ["3", 2.5, True, 0, -1, 10**9, None]
    ),
    *_calls("until", lambda odd: repeat(work, until=odd, at_most=2), [True, None, plain]),
    *_calls("field", field, [5, None, "", "a b"]),
    *_calls("when", lambda odd: when(_TEXT, odd), [plain, None]),
    *_calls("choice", lambda odd: choice(odd, otherwise=go_on), [5, None, (1, 2)]),
    *_calls("parallel", lambda odd: parallel(one=odd), [plain, None]),
    *_calls("before", lambda odd: odd >> work, [plain, 5, None]),
    *_calls("after", lambda odd: work >> odd, [plain, 5, None]),
    *_calls("name", lambda odd: Flow(odd, work), [5, None, "", "A B"]),
    *_calls("step", lambda odd: Flow("given.odd", odd), [plain, 5, None]),
    *_calls("input", lambda odd: Flow("given.odd", work, input=odd), [5, "Thing", Thing()]),
    *_calls("on", lambda odd: Flow("given.odd", work, on=odd), [5, "Thing", Thing()]),
    *_calls("attempts", lambda odd: Retry(attempts=odd), ["3", 0, -1, 2.5, True, None, math.nan]),
    *_calls("backoff", lambda odd: Retry(backoff=odd), [*_ODD, None]),
    *_calls("longest", lambda odd: Retry(longest=odd), [*_ODD, None]),
    *_calls("factor", lambda odd: Retry(factor=odd), ["2", None, math.nan, math.inf, 0, True]),
    *_calls("jitter", lambda odd: Retry(jitter=odd), ["2", None, math.nan, -0.1, True]),
    *_calls("never", lambda odd: Retry(never=odd), [OSError, [OSError], (5,)]),
    *_calls("within", lambda odd: gather("items", by="text", until="text", within=odd), [*_ODD, None]),
    *_calls(
        "by", lambda odd: gather("items", by=odd, until="text", within=_HOUR), [5, None, (5,), (), "a b"]
    ),
    *_calls("gather", lambda odd: on(Thing, gather=odd), [5, "items"]),
    *_calls("where", lambda odd: on(Thing, where=odd)(work), [True, plain]),
    *_calls("every", lambda odd: schedule("given.s", FLOW, every=odd, payload=lambda due: Thing()), _ODD),
    *_calls(
        "zone",
        lambda odd: schedule("given.s", FLOW, every="0 3 * * *", payload=lambda due: Thing(), timezone=odd),
        [5, None, "Nowhere"],
    ),
    *_calls(
        "scheduled",
        lambda odd: schedule("given.s", odd, every=_HOUR, payload=lambda due: Thing()),
        [work, plain, None],
    ),
]


def _refused(call: Callable[[], object]) -> None:
    with pytest.raises(CoordinationError) as caught:
        call()
    assert caught.value.cause
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("call", "odd"), BUILT)
def test_what_is_built(call: Callable[[Any], object], odd: Any) -> None:
    """Steps, flows, policies, subscriptions and schedules refuse what they cannot be made of where they are made."""
    _refused(lambda: call(odd))


def test_what_is_asked(coordinator: Coordinator) -> None:
    """A coordinator and its runs refuse what they are not to be given; nothing is started, sent or changed by it."""
    waiting = coordinator.start(WAITING, Thing(text="w"))
    asked: list[tuple[Callable[[Any], object], list[Any]]] = [
        (
            lambda odd: coordinator.start(odd, Thing()),
            [work, plain, work >> work, None, 5, "nowhere", "\x00"],
        ),
        (
            lambda odd: coordinator.start(FLOW, odd),
            [None, 5, [], "x", Thing, {"text": {1}}, {"text": math.nan}, Contract()],
        ),
        (lambda odd: coordinator.start(FLOW, Thing(), deadline=odd), _ODD),
        (
            lambda odd: coordinator.start(FLOW, Thing(), at=odd),
            [5, "1h", timedelta.max, _NO_ZONE],
        ),
        (lambda odd: coordinator.start(FLOW, Thing(), idempotency_key=odd), [5, "", "x" * 201, "\x00"]),
        (coordinator.emit, _NO_THING),
        (lambda odd: coordinator.emit(Thing(), deadline=odd), _ODD),
        (coordinator.run, [None, 5, "nowhere"]),
        (coordinator.history, [None, 5]),
        (coordinator.trace, [None, 5, "nowhere"]),
        (coordinator.statuses, [[5], 5, ["x"]]),
        (
            lambda odd: coordinator.dead_letters(**odd),
            [{"nope": 1}, {"run": 5}, {"run": waiting}, {"flow": FLOW}],
        ),
        (lambda odd: coordinator.dead_letters(limit=odd), [-1, "x", 2.5, True]),
        (lambda odd: coordinator.skip(odd, Thing()), [None, 5, waiting]),
        (lambda odd: coordinator.edit(odd, Thing()), [None, 5, waiting]),
        (coordinator.work, [None, work, [plain], [FLOW], "work"]),
        (Coordinator, ["x", 5, {"eager": True}]),
        (waiting.wait, ["x", _HOUR, math.nan, True]),
        (waiting.result, ["x", _HOUR, math.nan]),
        (lambda odd: waiting.signal(odd, Thing()), [5, None, "other"]),
        (lambda odd: waiting.signal("go", odd), _NO_THING),
        (lambda odd: waiting.edit(odd, Thing()), [5, None, "9"]),
    ]
    for call, values in asked:
        for odd in values:
            _refused(lambda: call(odd))  # noqa: B023 - at once
    assert waiting.status() == "running"
    assert len(coordinator.engine.outstanding.counts()) == 0
    waiting.signal("go", Thing())
    assert waiting.result(5) == Thing()


def test_what_is_past_or_for_ever(coordinator: Coordinator) -> None:
    """A time that is long past means at once; to wait for ever, or not at all, may be asked for."""
    run = coordinator.start(FLOW, Thing(), at=timedelta.min)
    assert (run.wait(math.inf), run.wait(0), run.wait(-1)) == ("completed",) * 3


@pytest.mark.parametrize(
    "step",
    [
        delay(_HOUR) >> wait_for("go", Thing),
        delay(_HOUR) >> wait_for("go", Thing, timeout=_HOUR, otherwise=constant(Thing())),
        delay(_HOUR) >> delay(_HOUR) >> emit() >> wait_for("go", Thing),
        delay(_HOUR) >> Flow("given.inner", wait_for("go", Thing) >> work, input=Thing),
        delay(_HOUR) >> parallel(one=work, other=wait_for("go", Thing)),
        delay(_HOUR) >> choice(when(_TEXT, wait_for("go", Thing)), otherwise=go_on),
        delay(_HOUR) >> budget(wait_for("go", Thing), within=_HOUR, fallback=constant(Thing())),
        delay(_HOUR) >> repeat(wait_for("go", Thing), until=_TEXT, at_most=2),
    ],
    ids=range(8),
)
def test_a_delay_before_a_wait(step: Any) -> None:
    """A signal would be taken at once, so a delay before it is refused, wherever the wait is; between them an agent will do."""
    with pytest.raises(FlowError, match="waits for a signal after a delay"):
        Flow("given.delayed", work >> step)
    Flow("given.delayed", delay(_HOUR) >> work >> wait_for("go", Thing) >> delay(_HOUR) >> work, input=Thing)
