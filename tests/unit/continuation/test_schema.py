"""The schema of what travels: all that flows compose is of it, and nothing else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import (
    Contract,
    Flow,
    Key,
    Retry,
    agent,
    budget,
    cached,
    choice,
    compensate,
    constant,
    delay,
    each,
    emit,
    field,
    go_on,
    parallel,
    repeat,
    retrying,
    wait_for,
    when,
)
from handoffs.config.delays import LONGEST_WAIT
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.continuation import advance, schema
from handoffs.coordinator.continuation.canvas import composed
from handoffs.coordinator.continuation.moves import Await, Cursor, Go, Value
from handoffs.coordinator.continuation.signature import JOIN, UNDO, Sig, signature
from tests.examples import examples
from tests.unit.continuation.plans import Plan, Run, flow_of, plans


class Line(Contract, name="schema.line", version=1):
    id: str = Key()
    zone: str = ""
    amount: int = 0


class Lines(Contract, name="schema.lines", version=1):
    id: str = Key()
    lines: list[Line]


class Priced(Contract, name="schema.priced", version=1):
    lines: list[Line]


class Both(Contract, name="schema.both", version=1):
    left: Line
    right: Line


class Kept(Contract, name="schema.kept", version=1):
    line: Line
    approval: Line


@agent("schema.one")
def one(line: Line) -> Line:
    return line


@agent("schema.undone")
def undone(line: Line) -> Line:
    return line


@agent("schema.opened")
def opened(line: Line) -> Lines:
    return Lines(id=line.id, lines=[line])


@agent("schema.closed")
def closed(lines: Priced) -> Line:
    return lines.lines[0]


@agent("schema.merged")
def merged(both: Both) -> Line:
    return both.left


@agent("schema.approved")
def approved(kept: Kept) -> Line:
    return kept.line


SOON = timedelta(seconds=1)
LINE = Line(id="1")
FLOW = Flow(
    "schema.everything",
    retrying(one, Retry(attempts=2, never=("Sorry",)))
    >> compensate(one, by=undone)
    >> choice(when((field("amount") > 5) & ~field("zone").is_in("a", "b"), one), otherwise=go_on)
    >> opened
    >> each("lines", one >> emit() >> one, into="lines", limit=2)
    >> closed
    >> repeat(one, until=field("amount") == 3, at_most=3)
    >> budget(one, within=SOON, fallback=cached("zone", max_age=SOON, otherwise=undone, shared=True))
    >> budget(one, within=SOON, fallback=constant(LINE))
    >> wait_for("approval", Line, keep="line", timeout=SOON, otherwise=constant(LINE))
    >> approved
    >> parallel(left=one >> one, right=delay(LONGEST_WAIT) >> one)
    >> merged,
)  # fmt: skip
ARGUMENTS = {"flow": "schema.everything", "step": "1", "accepts": "urn:contract:schema.line:1"}
VALUE = Value("urn:contract:schema.line:1", {"id": "1", "zone": "a", "amount": 1})
MANY = Value(
    "urn:contract:schema.lines:1", {"id": "1", "lines": [{"id": str(number)} for number in range(5)]}
)

Message = tuple[dict[str, Any], dict[str, Any]]


def messages_of(sent: Go) -> Message:
    send = sent.send
    rest = {"callbacks": None, "errbacks": None, "chain": send.chain or None, "chord": send.chord}
    made: Message = json.loads(json.dumps([send.signature["kwargs"], rest]))
    return made


def everything() -> list[Message]:
    """What the flow sends from each of its steps on: of every kind of step, control, join and timer."""
    chain = list(reversed(composed(FLOW)["kwargs"]["tasks"]))
    found = []
    for left in range(len(chain), 0, -1):
        for value in (VALUE, MANY):
            if (value is MANY) == (chain[left - 1]["task"] == "coordinator.each"):
                moves = advance.after(Cursor("1", chain[:left], None), value)
                found += [messages_of(move) for move in moves if isinstance(move, Go)]
                found += [
                    (ARGUMENTS, {"chain": None, "chord": json.loads(json.dumps(move.chord))})
                    for move in moves
                    if isinstance(move, Await)
                ]
    return found


EVERYTHING = everything()


def is_read(kwargs: Any, continuation: Any) -> bool:
    try:
        schema.check(kwargs, continuation)
    except InvalidData:
        return False
    return True


def test_whatever_a_flow_sends_is_read() -> None:
    """Each message that a flow of all kinds of steps sends is of the schema: its steps, its timers and its joins."""
    assert len(EVERYTHING) > 15
    assert any("fallback" in kwargs for kwargs, _ in EVERYTHING)
    for kwargs, continuation in EVERYTHING:
        schema.check(kwargs, continuation)


@examples(100)
@given(plan=plans)
def test_whatever_plan_is_read(plan: Plan) -> None:
    """So is each message of a run of any other flow, to the last."""
    run = Run(flow_of(plan))
    while run.waiting:
        schema.check(*messages_of(Go(run.waiting[0], VALUE)))
        run.deliver(0, again=False)


@pytest.mark.parametrize(
    "more",
    [
        {"event": "schema.line", "step": "schema.one@0123456789abcdef", "flow": "on:schema.line"},
        {"event": "schema.line", "step": "3!", "gathered": "timeout"},
        {"step": "schema.one@+0123456789abcdef", "event": "schema.line", "gathered": "complete",
         "set": f"schema.one/{'a' * 40}"},
        {"step": "schema.one@0123456789abcdef!12", "event": "schema.line"},
        {"step": "!0", "event": "schema.line"},
        {"step": "4.i7.größe.1.undo", "turn": "undo@schema.one/ab/3",
         "undoes": {"agent": "schema.one", "key": "a" * 40, "fence": 3}},
        {"edit": {"number": 1, "supersedes": ["a" * 64]}, "turn": "2@4.i*"},
    ],
)  # fmt: skip
def test_what_else_is_sent_is_read(more: dict[str, Any]) -> None:
    """Events, sets of events, what is undone and what a person has edited are of the schema as well."""
    schema.check({**ARGUMENTS, **more}, {})


def undoing(left: Any) -> dict[str, Any]:
    return {"chain": [signature(UNDO, {"step": "undo", "flow": "schema.everything", "left": left})]}


OLDER = {
    "undo that carries all": undoing(
        [{"step": "1", "agent": "schema.undone", "accepts": "urn:contract:schema.line:1",
          "schema": "urn:contract:schema.line:1", "data": {"id": "1"}, "retry": Retry().to_json()}]
    ),
    "undo by a number": undoing(3),
    "no callbacks": {"chain": [], "chord": None},
    "a budget that does not say who makes what it keeps": {
        "chord": signature(JOIN, {"join": "3", "one": True, "keep": "a" * 64, "keep_ms": 1}, chain=[], chord=None)
    },
    "a cached fallback that does not say what it is of": {
        "chain": [
            signature("coordinator.budget", {
                "step": "2", "flow": "schema.everything", "site": "2", "ms": 5,
                "body": signature("schema.one", {**ARGUMENTS, "step": "2.b.1"}),
                "fallback": {"by": ["zone"], "max_age_ms": 1,
                             "otherwise": {"constant": {"id": "1"}, "schema": "urn:contract:schema.line:1"}},
            })
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("form", OLDER)
def test_what_older_releases_wrote_is_read(form: str) -> None:
    """A message that was on its way when its installation was upgraded is read."""
    schema.check(ARGUMENTS, OLDER[form])


# Whatever is not of it is refused

_FREE = frozenset({"constant", "data", "value", "in", "retry"})
"""The members in which there is data, and numbers that a retry policy checks itself."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place of what is to be checked, with what is there."""
    yield path, value
    if path and path[-1] in _FREE:
        return
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def changed(message: Message, path: tuple[Any, ...], value: Any) -> list[Any]:
    made: list[Any] = copy.deepcopy(list(message))
    inner: Any = made
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return made


messages = st.sampled_from(EVERYTHING)
OURS = frozenset(
    [
        "flow",
        "step",
        "accepts",
        "retry",
        "undo",
        "turn",
        "undoes",
        "edit",
        "event",
        "gathered",
        "set",
        "fallback",
        "chain",
        "chord",
    ]
)
OVERRIDES = ["retries", "id", "hostname", "get", "update", "errbacks", "callbacks", "envelope", "self", "args",
             "kwargs", "headers", "link", "link_error", "immutable", "group", "stamps", "__class__", "__type__", "is_eager",
             "delivery_info", "task", "countdown", "eta", "queue", "routing_key", "x", ""]  # fmt: skip


@examples(300)
@given(message=messages, data=st.data(), name=st.sampled_from(OVERRIDES) | st.text(max_size=8))
def test_a_member_that_is_none_of_ours_is_refused(message: Message, data: st.DataObject, name: str) -> None:
    """Whatever it is called and wherever it stands: no member gets past that was not checked."""
    objects = [
        path
        for path, value in places(list(message))
        if isinstance(value, dict) and path and path[-1] not in _FREE and name not in value
    ]
    path = data.draw(st.sampled_from(objects), label="where")
    value = data.draw(st.sampled_from([1, "x", [], {}, [{}], True]), label="what")
    assert name in OURS or not is_read(*changed(message, (*path, name), value))


@examples(300)
@given(message=messages, data=st.data())
def test_a_number_that_is_none_is_refused(message: Message, data: st.DataObject) -> None:
    """A count, a delay or a limit that is a bool, a text, a fraction, negative or beyond what may be declared is refused."""
    numbers = [path for path, value in places(list(message)) if type(value) is int and path[-1] not in _FREE]
    if not numbers:
        return
    path = data.draw(st.sampled_from(numbers), label="where")
    value = data.draw(
        st.sampled_from([True, False, -1, 10**13, 2**63, 10**400, 1.5, 1.0, float("inf"), "1", [], {}]),
        label="what",
    )
    assert not is_read(*changed(message, path, value))


@examples(300)
@given(
    message=messages,
    data=st.data(),
    text=st.sampled_from(
        ["", " ", "a b", "\0", "\n", "x" * 3_000, "..", "3.", "\u202e", "celery.map", "coordinator.timer"]
    ),
)
def test_a_name_that_is_none_is_refused(message: Message, data: st.DataObject, text: str) -> None:
    """A path, the name of an agent or the URI of a contract that could not be ours is refused."""
    named = [
        path
        for path, value in places(list(message))
        if isinstance(value, str) and path[-1] in {"step", "join", "task", "schema", "flow", "site", "signal"}
    ]
    path = data.draw(st.sampled_from(named), label="where")
    if text == "" and path[-1] == "schema":  # what a join has put together has none
        return
    if text == "coordinator.timer" and path[-1] in {"step", "join", "flow", "site"}:
        text = "\x7f"
    if text == "celery.map" and path[-1] != "task":
        text = "\x7f"
    assert not is_read(*changed(message, path, text))


@examples(300)
@given(
    message=messages, data=st.data(), value=st.sampled_from([None, 0, True, "x", [], [[]], {}, [{}], [None]])
)
def test_what_is_of_another_kind_is_refused(message: Message, data: st.DataObject, value: Any) -> None:
    """In the place of a signature, of its options, of its arguments or of a list of them, nothing else is read."""
    parts = [
        path
        for path, found in places(list(message))
        if (isinstance(found, dict) and "task" in found)
        or (path and path[-1] in {"tasks", "header", "kwargs"})
    ]
    if not parts:
        return
    path = data.draw(st.sampled_from(parts), label="where")
    is_optional = path[-1] in {"chord", "body", "otherwise"} and value is None
    is_empty = path[-1] == "kwargs" and value == {} and path[-3:-1] != ("kwargs",)
    if is_optional or (is_empty and "kwargs" in path[:-1]):
        return
    assert not is_read(*changed(message, path, value))


@pytest.mark.parametrize("what", [None, 1, "x", [], [[]], True])
def test_what_is_no_object_is_refused(what: Any) -> None:
    """Arguments and a continuation are objects."""
    assert not is_read(what, {})
    assert not is_read(ARGUMENTS, what)


def chained(sig: Sig) -> dict[str, Any]:
    return {"chain": [sig]}


STEP = signature("schema.one", {**ARGUMENTS, "step": "2"})


@pytest.mark.parametrize(
    "continuation",
    [
        chained({**STEP, "task": "celery.map"}),
        chained({**STEP, "task": "celery.chord", "subtask_type": "chain"}),
        chained({**STEP, "task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": [STEP]}}),
        chained(signature(JOIN, {"join": "2", "branches": ["a"]})),
        chained(signature("coordinator.timer", {**ARGUMENTS, "fallback": {"body": STEP}})),
        chained(signature("coordinator.event", {**ARGUMENTS, "event": "schema.line"})),
        {"chord": STEP},
        {"chord": signature(JOIN, {"join": "2", "branches": ["a", "a"]})},
        {"chord": signature(JOIN, {"join": "2", "branches": []})},
        {"chord": signature(JOIN, {"join": "2", "one": 1})},
        {"chord": signature(JOIN, {"join": "2", "one": True, "branches": ["a"]})},
        {"chord": {**signature("celery.chain", {"tasks": [STEP]}), "subtask_type": "chain"}},
        {"callbacks": [STEP]},
        {"errbacks": [STEP]},
    ],
)
def test_what_no_flow_composes_is_refused(continuation: dict[str, Any]) -> None:
    """Celery's own tasks, pseudo tasks out of place, callbacks: nothing is read that only looks like a continuation."""
    assert not is_read(ARGUMENTS, continuation)


def test_a_delay_as_long_as_any_is_read() -> None:
    """A hundred years is what a flow may wait, to the millisecond; a millisecond more is none of ours."""
    years = LONGEST_WAIT // timedelta(milliseconds=1)
    for ms, read in ((0, True), (10**12, True), (years, True), (years + 1, False)):
        assert is_read(ARGUMENTS, chained(signature("coordinator.delay", {"step": "2", "ms": ms}))) is read


def test_a_fault_is_told_without_what_is_there() -> None:
    """The error says where it is, and nothing of what stands there."""
    with pytest.raises(
        InvalidData, match=r"continuation\.chain\.0\.kwargs\.ms is no number from 0 to"
    ) as error:
        schema.check(ARGUMENTS, chained(signature("coordinator.delay", {"step": "2", "ms": "secret"})))
    assert "secret" not in str(error.value)


@examples(100)
@given(message=messages, data=st.data(), deep=st.integers(0, 3))
def test_no_data_is_made_into_something_else(message: Message, data: st.DataObject, deep: int) -> None:
    """Where there may be any data, there is none that Kombu's decoder would make into dates, bytes or numbers."""
    found = [
        path
        for path, value in places(list(message))
        if path and path[-1] in _FREE and isinstance(value, dict)
    ]
    if not found:
        return
    path = data.draw(st.sampled_from(found), label="where")
    value: Any = {"__type__": "bytes", "__value__": "x"}
    for _ in range(deep):
        value = [{"more": value}]
    assert not is_read(*changed(message, (*path, "more"), value))


def test_depth_has_no_end() -> None:
    """What is nested deeper than Python follows is refused as well, and raises nothing else."""
    deep: Sig = STEP
    for _ in range(5_000):
        deep = {**STEP, "options": {"chain": [deep]}}
    assert not is_read(ARGUMENTS, chained(deep))
