"""Nothing wrong passes in silence: each public callable, given what people give by mistake, raises an error of ours that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import handoffs
from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Hygiene,
    Key,
    Retry,
    Spending,
    Transient,
    agent,
    budget,
    cached,
    choice,
    compensate,
    constant,
    delay,
    downcast,
    each,
    field,
    gather,
    go_on,
    lifespan,
    on,
    parallel,
    render_for_prompt,
    repeat,
    retrying,
    schedule,
    upcast,
    wait_for,
    when,
)
from handoffs.contracts.errors import CoordinationError

SECOND = timedelta(seconds=1)


class Asked(Contract, name="kinds.asked", version=1):
    number: str = Key()


class Told(Contract, name="kinds.told", version=1):
    number: str = Key()


class Bare(Contract, name="kinds.bare", version=1):
    number: int


@agent("kinds.tell")
def tell(asked: Asked) -> Told:
    return Told(number=asked.number)


@agent("kinds.ask")
def ask(told: Told) -> Asked:
    return Asked(number=told.number)


def plain(asked: Asked) -> Told:
    return Told(number=asked.number)


TOLD = Told(number="1")
ASKED = Asked(number="1")
FLOW = Flow("kinds.flow", tell)
IS_ONE = field("number") == "1"

DECLARED: dict[str, Callable[[], Any]] = {
    # durations as numbers
    "budget(within=5)": lambda: budget(tell, within=any_or(5), fallback=constant(TOLD)),
    "delay(3)": lambda: delay(any_or(3)),
    "Retry(backoff=2)": lambda: Retry(backoff=any_or(2)),
    "Retry(longest=60)": lambda: Retry(longest=any_or(60)),
    "agent(time_limit=5)": lambda: agent("kinds.x", time_limit=any_or(5)),
    "cached(max_age=5)": lambda: cached("number", max_age=any_or(5), otherwise=tell),
    "wait_for(timeout=5)": lambda: wait_for("ok", Told, timeout=any_or(5), otherwise=constant(TOLD)),
    "gather(within=5)": lambda: gather("all", by="number", until="number", within=any_or(5)),
    'Transient(retry_after="5")': lambda: Transient("busy", retry_after=any_or("5")),
    "Retry(allowance=5)": lambda: Retry(allowance=any_or(5)),
    "agent(idle=5)": lambda: agent("kinds.x", idle=any_or(5)),
    "Spending(tokens=0)": lambda: Spending(tokens=0),
    'Spending(cost="much")': lambda: Spending(cost=any_or("much")),
    "Flow(spending=5)": lambda: Flow("kinds.f", tell, spending=any_or(5)),
    "schedule(every=5)": lambda: schedule("kinds.s", FLOW, every=any_or(5), payload=lambda due: ASKED),
    # a function that is no agent
    "budget(function)": lambda: budget(any_or(plain), within=SECOND, fallback=constant(TOLD)),
    "budget(fallback=function)": lambda: budget(tell, within=SECOND, fallback=any_or(plain)),
    "when(condition, function)": lambda: when(IS_ONE, any_or(plain)),
    "choice(otherwise=function)": lambda: choice(when(IS_ONE, tell), otherwise=any_or(plain)),
    "each(function)": lambda: each("all", any_or(plain), into="done"),
    "repeat(function)": lambda: repeat(any_or(plain), until=IS_ONE, at_most=2),
    "compensate(by=function)": lambda: compensate(tell, by=any_or(plain)),
    "retrying(function)": lambda: retrying(any_or(plain), Retry()),
    "parallel(function)": lambda: parallel(one=any_or(plain)),
    "agent >> function": lambda: tell >> any_or(plain),
    "function >> agent": lambda: any_or(plain) >> tell,
    "Flow(function)": lambda: Flow("kinds.f", any_or(plain)),
    "on() above a function": lambda: on(Asked)(any_or(plain)),
    "on() above a flow": lambda: on(Asked)(any_or(FLOW)),
    # a contract's class and an instance of it, in place of one another
    "constant(class)": lambda: constant(any_or(Told)),
    "budget(fallback=class)": lambda: budget(tell, within=SECOND, fallback=any_or(Told)),
    "budget(fallback=instance)": lambda: budget(tell, within=SECOND, fallback=any_or(TOLD)),
    "cached(otherwise=instance)": lambda: cached("number", max_age=SECOND, otherwise=any_or(TOLD)),
    "wait_for(instance)": lambda: wait_for("ok", any_or(TOLD)),
    "wait_for(otherwise=instance)": lambda: wait_for("ok", Told, timeout=SECOND, otherwise=any_or(TOLD)),
    "schedule(payload=class)": lambda: schedule("kinds.s", FLOW, every=SECOND, payload=any_or(Asked)),
    "Flow(class)": lambda: Flow("kinds.f", any_or(Asked)),
    "Flow(input=instance)": lambda: Flow("kinds.f", tell, input=any_or(ASKED)),
    "agent >> class": lambda: tell >> any_or(Told),
    "on(instance)": lambda: on(any_or(ASKED))(tell),
    "upcast(instance)": lambda: upcast(any_or(ASKED), 1, 2)(lambda data: data),
    "render_for_prompt(class)": lambda: render_for_prompt("ask", any_or(Asked)),
    # one thing in place of another
    "schedule(agent)": lambda: schedule("kinds.s", any_or(tell), every=SECOND, payload=lambda due: ASKED),
    "schedule('a flow')": lambda: schedule("kinds.s", any_or("kinds.flow"), every=SECOND, payload=lambda due: ASKED),
    "schedule(payload without a key)": lambda: schedule("kinds.s", FLOW, every=SECOND, payload=Bare(number=1)),
    "retrying(3)": lambda: retrying(tell, any_or(3)),
    "agent(retry=3)": lambda: agent("kinds.x", retry=any_or(3)),
    "@agent without a name": lambda: agent(any_or(plain)),
    "agent(class)": lambda: agent("kinds.x")(Asked),
    "agent(events=contract)": lambda: agent("kinds.x", events=any_or(Asked)),
    "Retry(only='OSError')": lambda: Retry(only=any_or("OSError")),
    "Retry(a duration)": lambda: Retry(any_or(SECOND)),
    "when(function)": lambda: when(any_or(lambda asked: True), tell),
    "choice(steps)": lambda: choice(any_or(tell), otherwise=ask),
    "repeat(until=function)": lambda: repeat(tell, until=any_or(lambda told: True), at_most=2),
    "each(limit='3')": lambda: each("all", tell, into="done", limit=any_or("3")),
    "gather(until=3)": lambda: gather("all", by="number", until=any_or(3), within=SECOND),
    "on(agent)": lambda: on(any_or(tell)),
    "on(where=function)": lambda: on(Asked, where=any_or(lambda asked: True))(tell),
    "on(ordered='no')": lambda: on(Asked, ordered=any_or("no"))(tell),
    "Flow(step, name)": lambda: Flow(any_or(tell), any_or("kinds.f")),
    "Flow([steps])": lambda: Flow("kinds.f", any_or([tell, ask])),
    "Flow(on='an event')": lambda: Flow("kinds.f", tell, on=any_or("kinds.asked")),
    "agent > agent": lambda: any_or(tell) > ask,
    "agent | agent": lambda: any_or(tell) | ask,
    "agent >> go_on": lambda: tell >> any_or(go_on),
    "agent >> emit without ()": lambda: tell >> any_or(handoffs.emit),
    "field(class)": lambda: field(any_or(Asked)),
    "field('x') > {}": lambda: field("number") > any_or({}),
    "condition and condition": lambda: IS_ONE and IS_ONE,
    "downcast upwards": lambda: downcast(Asked, 1, 2)(lambda data: data),
    "upcast('1', '2')": lambda: upcast(Asked, any_or("1"), any_or("2"))(lambda data: data),
    "= Key without parentheses": lambda: type("Bare", (Contract,), {"__module__": __name__, "__annotations__": {"number": str}, "number": Key}, name="kinds.bare", version=1),
    "lifespan(function with parameters)": lambda: lifespan(any_or(plain)),
    "render_for_prompt(text alone)": lambda: render_for_prompt("ask"),
    "Hygiene(max_length='5')": lambda: Hygiene(max_length=any_or("5")),
    "Hygiene('sanitise')": lambda: Hygiene(any_or("sanitise")),
    "Hygiene(suspected='blank')": lambda: Hygiene(suspected=any_or("blank")),
    "Coordinator('amqp://...')": lambda: Coordinator(any_or("amqp://rabbit")),
}  # fmt: skip
"""What is declared wrongly, by how it is written."""

ASKED_FOR: dict[str, Callable[[Coordinator, handoffs.Run], Any]] = {
    "start(agent)": lambda c, run: c.start(any_or(tell), ASKED),
    "start(steps)": lambda c, run: c.start(any_or(tell >> ask), ASKED),
    "start(function)": lambda c, run: c.start(any_or(plain), ASKED),
    "start(the class Flow)": lambda c, run: c.start(any_or(Flow), ASKED),
    "start('a flow that is not loaded')": lambda c, run: c.start("kinds.flow", ASKED),
    "start(payload=class)": lambda c, run: c.start(FLOW, any_or(Asked)),
    "start(payload=None)": lambda c, run: c.start(FLOW, any_or(None)),
    "start(payload='text')": lambda c, run: c.start(FLOW, any_or("1")),
    "start(another contract)": lambda c, run: c.start(FLOW, TOLD),
    "start(at_step=5)": lambda c, run: c.start(FLOW, at_step=any_or(5), given=ASKED),
    "start(at_step='no step')": lambda c, run: c.start(FLOW, at_step="9", given=ASKED),
    "start(at_step=a flow)": lambda c, run: c.start(FLOW, at_step=any_or(FLOW), given=ASKED),
    "start(at_step without given)": lambda c, run: c.start(FLOW, at_step="1"),
    "start(given=5)": lambda c, run: c.start(FLOW, at_step="1", given=any_or(5)),
    "start(given without at_step)": lambda c, run: c.start(FLOW, ASKED, given=ASKED),
    "start()": lambda c, run: c.start(FLOW),
    "start(at=5)": lambda c, run: c.start(FLOW, ASKED, at=any_or(5)),
    "start(deadline=5)": lambda c, run: c.start(FLOW, ASKED, deadline=any_or(5)),
    "start(idempotency_key=5)": lambda c, run: c.start(FLOW, ASKED, idempotency_key=any_or(5)),
    "start_many(agent)": lambda c, run: c.start_many(any_or(tell), [ASKED]),
    "start_many(one payload)": lambda c, run: c.start_many(FLOW, any_or(ASKED)),
    "start_many([class])": lambda c, run: [one.get() for one in c.start_many(FLOW, [any_or(Asked)])],
    "start_many(idempotency_key='text')": lambda c, run: c.start_many(
        FLOW, [ASKED], idempotency_key=any_or("k")
    ),
    "emit(class)": lambda c, run: c.emit(any_or(Asked)),
    "emit(agent)": lambda c, run: c.emit(any_or(tell)),
    "work(agent)": lambda c, run: c.work(any_or(tell)),
    "work([function])": lambda c, run: c.work([any_or(plain)]),
    "work([flow])": lambda c, run: c.work([any_or(FLOW)]),
    "run(run)": lambda c, run: c.run(any_or(run)),
    "statuses(['id'])": lambda c, run: c.statuses([any_or(run.id)]),
    "history(run)": lambda c, run: c.history(any_or(run)),
    "trace(None)": lambda c, run: c.trace(any_or(None)),
    "skip('letter')": lambda c, run: c.skip(any_or("letter"), TOLD),
    "edit('letter')": lambda c, run: c.edit(any_or("letter"), ASKED),
    "dead_letters(flow=flow)": lambda c, run: c.dead_letters(flow=any_or(FLOW)),
    "letter_groups(limit='5')": lambda c, run: c.letter_groups(limit=any_or("5")),
    "letter_group(5)": lambda c, run: c.letter_group(any_or(5)),
    "note_group(note=5)": lambda c, run: c.note_group("1abc", any_or(5)),
    "replay_letters(5)": lambda c, run: c.replay_letters(any_or(5)),
    "replay_letters([run])": lambda c, run: c.replay_letters(any_or([run])),
    "replay_letters({'colour': 'red'})": lambda c, run: c.replay_letters(any_or({"colour": "red"})),
    "replay_letters(canary='5')": lambda c, run: c.replay_letters({}, canary=any_or("5")),
    "replay_letters(canary=-1)": lambda c, run: c.replay_letters({}, canary=-1),
    "replay_letters(rate=0)": lambda c, run: c.replay_letters({}, rate=0),
    "replay_letters(rate='fast')": lambda c, run: c.replay_letters({}, rate=any_or("fast")),
    "replay_letters(canary_wait=a duration)": lambda c, run: c.replay_letters({}, canary_wait=any_or(SECOND)),
    "replay_letters(stop_on_recurrence='no')": lambda c, run: c.replay_letters(
        {}, stop_on_recurrence=any_or("no")
    ),
    "replay_letters(why=5)": lambda c, run: c.replay_letters({}, why=any_or(5)),
    "archive_letters(run)": lambda c, run: c.archive_letters(any_or(run)),
    "foresee_letters(5)": lambda c, run: c.foresee_letters(any_or(5)),
    "operations(limit='5')": lambda c, run: c.operations(limit=any_or("5")),
    "operation(5)": lambda c, run: c.operation(any_or(5)),
    "operation_letters(5)": lambda c, run: list(c.operation_letters(any_or(5))),
    "cancel_operation(5)": lambda c, run: c.cancel_operation(any_or(5)),
    "resume_operation(5)": lambda c, run: c.resume_operation(any_or(5)),
    "signal(class)": lambda c, run: run.signal("ok", any_or(Told)),
    "signal(payload, name)": lambda c, run: run.signal(any_or(TOLD), any_or("ok")),
    "wait(a duration)": lambda c, run: run.wait(any_or(SECOND)),
    "result('5')": lambda c, run: run.result(any_or("5")),
    "edit(1)": lambda c, run: run.edit(any_or(1), ASKED),
    "history().of(5)": lambda c, run: run.history().of(any_or(5)),
    "history().of(function)": lambda c, run: run.history().of(any_or(plain)),
    "history().of('')": lambda c, run: run.history().of(""),
    "history().attempts(None)": lambda c, run: run.history().attempts(any_or(None)),
    "history().kind('settld')": lambda c, run: run.history().kind("settld"),
    "history().only(5)": lambda c, run: run.history().only(any_or(5)),
    "history().only()": lambda c, run: run.history().only(),
    "letters().of(run)": lambda c, run: run.letters().of(any_or(run)),
    "letters().kind('parked')": lambda c, run: run.letters().kind("parked"),
    "letters().only()": lambda c, run: run.letters().only(),
}
"""What a coordinator, or a run that has completed, is asked for wrongly."""

NOT_CALLED = {
    "Agent": "@agent makes it",
    "Context": "agents are given it",
    "ContractRef": "a pair of name and version, which contracts give",
    "CoordinationError": "the base of errors: it takes any text",
    "Envelope": "read from messages; pydantic says what does not fit",
    "Event": "agents are given it",
    "ExactDecimal": "a type; pydantic says what does not fit",
    "Contract": "pydantic says what does not fit",
    "Key": "pydantic's Field, whose arguments are pydantic's",
    "Permanent": "an error: it takes any text",
    "EntryKind": "an enumeration",
    "ExportedCase": "runs and letters give it",
    "FailureKind": "an enumeration",
    "History": "runs give it; what it is asked for is in the table",
    "HistoryEntry": "histories give it",
    "Letter": "runs and coordinators give it",
    "Letters": "runs and coordinators give it; what it is asked for is in the table",
    "NotOne": "an error: it takes any text",
    "Run": "coordinators give it; what it is asked for is in the table",
    "Schedule": "schedule() makes it",
    "Searchable": "a mark beside a type; a contract says where it may not stand",
    "Sensitive": "a type; pydantic says what does not fit",
    "Usage": "runs give it",
    "UntrustedText": "a text, and as strict as one: a TypeError for anything else, as its docstring says",
    "emit": "it takes nothing",
    "go_on": "no callable",
}
"""Public names that are not in the tables, each with its reason."""


def any_or(value: Any) -> Any:
    """The value, of which a type checker knows nothing: what is tried here it would refuse."""
    return value


def check(error: CoordinationError) -> None:
    assert error.cause
    assert error.remedy, f"says nothing of what to do: {error}"
    assert "\n" not in str(error)
    assert "object at 0x" not in str(error)


@pytest.mark.parametrize("written", DECLARED)
def test_a_declaration_that_is_wrong(written: str) -> None:
    """It is refused where it is declared, in one line that says what is wrong and what to write instead."""
    with pytest.raises(CoordinationError) as refused:
        DECLARED[written]()
    check(refused.value)


@pytest.mark.parametrize("written", ASKED_FOR)
def test_a_call_that_is_wrong(coordinator: Coordinator, written: str) -> None:
    """It is refused in one line that says what is wrong, what follows, and what to do; and nothing is started by it."""
    run = coordinator.start(FLOW, Asked(number="before"))
    before = coordinator.history(run.id)
    with pytest.raises(CoordinationError) as refused:
        ASKED_FOR[written](coordinator, run)
    check(refused.value)
    assert refused.value.consequence
    assert coordinator.history(run.id) == before


def test_every_public_callable_is_in_a_table() -> None:
    """A name that becomes public is tried here, or says why not."""
    tried = {
        name for name in handoffs.__all__ for written in DECLARED
        if name in written.replace("(", " ").replace("@", " ").replace(")", " ").split()
    }  # fmt: skip
    tried |= {"Coordinator"}
    assert tried | NOT_CALLED.keys() >= set(handoffs.__all__)
    assert NOT_CALLED.keys() <= set(handoffs.__all__)
