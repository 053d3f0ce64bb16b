"""A run that begins in the middle of its flow."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    Key,
    Sensitive,
    agent,
    budget,
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
from handoffs.config.settings import load
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.step import Step


class Note(Contract, name="middle.note", version=1):
    order: str = Key()
    trail: list[str] = Field(default_factory=list)


class Both(Contract, name="middle.both", version=1):
    left: Note
    right: Note


class Item(Contract, name="middle.item", version=1):
    name: str


class Cart(Contract, name="middle.cart", version=1):
    order: str = Key()
    items: list[Item]
    pin: Sensitive


class Carts(Contract, name="middle.carts", version=1):
    found: list[Item]


class Yes(Contract, name="middle.yes", version=1):
    by: str


class Agreed(Contract, name="middle.agreed", version=1):
    note: Note
    answer: Yes


DONE: list[tuple[str, str]] = []
"""The agents that have worked, each with its idempotency key."""


def _agent(name: str) -> Any:
    @agent(f"middle.{name}")
    def work(note: Note, context: Context) -> Note:
        DONE.append((name, context.idempotency_key))
        return Note(order=note.order, trail=[*note.trail, name])

    return work


a, b, c, undo = map(_agent, ("a", "b", "c", "undo"))


@agent("middle.join")
def join(both: Both) -> Note:
    """One note of two."""
    return Note(order=both.left.order, trail=[*both.left.trail, *both.right.trail])


@agent("middle.agree")
def agree(agreed: Agreed) -> Note:
    """The note that was agreed to."""
    return Note(order=agreed.note.order, trail=[*agreed.note.trail, agreed.answer.by])


@agent("middle.pick")
def pick(item: Item) -> Item:
    """An item as it is."""
    return item


@agent("middle.collect")
def collect(carts: Carts) -> Note:
    """A note of what was found."""
    return Note(order="cart", trail=[item.name for item in carts.found])


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    """Everything at once, in this thread."""
    DONE.clear()
    with Coordinator(load(eager=True)) as found:
        yield found


def _kinds(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    """Steps of many kinds around others, each from a note to a note."""
    long = field("order") == "1"
    numbers = st.integers(0, 1_000_000)
    return st.one_of(
        st.builds(lambda one, two: one >> two, steps, steps),
        st.builds(lambda one, n: Flow(f"middle.inner{n}", one), steps, numbers),
        st.builds(lambda one, two: choice(when(long, one), otherwise=two), steps, steps),
        st.builds(lambda one: choice(when(long, one), otherwise=go_on), steps),
        st.builds(lambda one, two: parallel(left=one, right=two) >> join, steps, steps),
        st.builds(
            lambda one: budget(one, within=timedelta(minutes=1), fallback=constant(Note(order="0"))),
            steps.filter(lambda step: not isinstance(step, type(delay(timedelta(seconds=1))))),
        ),
        st.builds(lambda one: repeat(one, until=field("order") == "none", at_most=2), steps),
    )


AGENTS: st.SearchStrategy[Step] = st.sampled_from([
    a, b, c, retrying(a, Retry(attempts=2)), compensate(b, by=undo), a >> emit(), b >> delay(timedelta(seconds=5)) >> c,
])  # fmt: skip
STEPS = st.recursive(AGENTS, _kinds, max_leaves=6)


@settings(deadline=None, max_examples=60)
@given(step=STEPS, order=st.sampled_from(["1", "2"]))
def test_the_rest_is_that_of_the_whole(step: Step, order: str) -> None:
    """From each step at which it may begin, given what that step had in a whole run, a run does the steps that the whole one did from there,
    to the same result; and as the idempotency keys are the same, no agent works a second time."""
    flow = Flow("middle.drawn", step)
    with Coordinator(load(eager=True)) as coordinator:
        whole = coordinator.start(flow, Note(order=order))
        inputs = {entry["step"]: entry["input"] for entry in whole.history() if entry["kind"] == "settled"}
        DONE.clear()
        for path, value in inputs.items():
            if not re.fullmatch(r"[0-9]+(\.(c[0-9]+\.)?[0-9]+)*", path):
                with pytest.raises(InvalidData, match=r"is part of step|has no step"):
                    coordinator.start(flow, at_step=path, given=value)
                continue
            run = coordinator.start(flow, at_step=path, given=value, idempotency_key=f"at {path}")
            assert run.result() == whole.result()
            steps = [entry["step"] for entry in run.history() if entry["kind"] in {"settled", "deduplicated"}]
            assert steps[0] == path
            assert set(steps) <= inputs.keys()
    assert DONE == []


@pytest.mark.parametrize("at", ["3", "middle.agree", agree], ids=["its path", "its name", "the agent"])
def test_a_step_by_its_path_or_its_agent(coordinator: Coordinator, at: Any) -> None:
    """An agent after a wait is begun with what the wait would have put together; nothing before it runs."""
    flow = Flow("middle.agreeing", a >> wait_for("answer", Yes, keep="note") >> agree >> b)
    given_to_it = Agreed(note=Note(order="1"), answer=Yes(by="ann"))
    run = coordinator.start(flow, at_step=at, given=given_to_it)
    assert run.result() == Note(order="1", trail=["ann", "b"])
    assert [entry.get("step") for entry in run.history()] == [None, "3", "4"]
    assert run.history()[0]["begins"] == "3"


def test_a_step_that_is_no_agent(coordinator: Coordinator) -> None:
    """A run may begin with a wait, a list, a choice or a budget."""
    waits = Flow("middle.waits", a >> wait_for("answer", Yes, keep="note") >> agree)
    run = coordinator.start(waits, at_step="2", given=Note(order="1"))
    assert run.status() == "running"
    run.signal("answer", Yes(by="ann"))
    assert run.result() == Note(order="1", trail=["ann"])

    goes_through = Flow("middle.lists", _to_cart >> each("items", pick, into="found") >> collect)
    cart = {"order": "1", "items": [{"name": "pen"}, {"name": "ink"}], "pin": "1234"}
    run = coordinator.start(goes_through, at_step="2", given=cart)
    assert run.result() == Note(order="cart", trail=["pen", "ink"])
    assert "1234" not in str(run.history())


@agent("middle.to-cart")
def _to_cart(note: Note) -> Cart:
    return Cart(order=note.order, items=[], pin="0")  # type: ignore[arg-type]


def test_nothing_before_it_is_undone(coordinator: Coordinator) -> None:
    """A run that is cancelled with compensation undoes what it did itself."""
    flow = Flow(
        "middle.undone", compensate(a, by=undo) >> compensate(b, by=undo) >> wait_for("answer", Yes) >> _end
    )
    run = coordinator.start(flow, at_step="2", given=Note(order="1"))
    run.cancel(compensate=True)
    assert [name for name, _ in DONE] == ["b", "undo"]


@agent("middle.end")
def _end(yes: Yes) -> Yes:
    return yes


def test_the_run_has_its_own_payload(coordinator: Coordinator) -> None:
    """With a payload, that is what the run is known by: its key, and its input in the history; the step has what it is given."""
    flow = Flow("middle.own", a >> b)
    run = coordinator.start(flow, Note(order="7"), at_step=b, given=Note(order="8", trail=["x"]))
    assert run.result() == Note(order="8", trail=["x", "b"])
    assert run.history()[0]["input"]["order"] == "7"
    again = coordinator.start(flow, Note(order="7"), at_step=b, given=Note(order="8", trail=["x"]))
    assert (again.id, again.created) == (run.id, False)


@pytest.mark.parametrize(
    "other",
    [
        lambda start: start(Note(order="1")),
        lambda start: start(at_step=b, given=Note(order="1", trail=["other"])),
        lambda start: start(at_step="1", given=Note(order="1")),
    ],
    ids=["from the beginning", "another input", "another step"],
)
def test_another_beginning_is_a_conflict(coordinator: Coordinator, other: Callable[..., Any]) -> None:
    """A key stands for where a run begins as well: the same key elsewhere is refused."""
    flow = Flow("middle.conflict", a >> b)

    def start(*args: Any, **kwargs: Any) -> Any:
        return coordinator.start(flow, *args, **kwargs)

    start(at_step=b, given=Note(order="1"))
    with pytest.raises(Conflict):
        other(start)


def test_a_failed_step_is_replayed_from_there(coordinator: Coordinator) -> None:
    """What is parked in such a run goes on as in any other."""
    flow = Flow("middle.parks", a >> b >> c)
    with coordinator.fake(b, ValueError("no")):
        run = coordinator.start(flow, at_step=b, given=Note(order="1"))
        [letter] = run.letters()
    letter.replay()
    assert run.result() == Note(order="1", trail=["b", "c"])


def test_later_and_for_coroutines(coordinator: Coordinator) -> None:
    """It begins at its time where it is accepted for later, and `astart` takes the same."""
    flow = Flow("middle.later", a >> b)
    coordinator.hold_time()
    run = coordinator.start(flow, at_step=b, given=Note(order="1"), at=timedelta(hours=1))
    assert run.status() == "scheduled"
    coordinator.advance(hours=2)
    assert run.result() == Note(order="1", trail=["b"])

    async def start() -> Any:
        return await coordinator.astart(flow, at_step=b, given=Note(order="2"))

    assert asyncio.run(start()).result() == Note(order="2", trail=["b"])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such step": ({"at_step": "9", "given": Note(order="1")}, "has no step '9'"),
    "no such agent": ({"at_step": "middle.b2", "given": Note(order="1")}, "has no step 'middle.b2'"),
    "an agent of another flow": ({"at_step": agree, "given": Note(order="1")}, "has no step 'middle.agree'"),
    "one that stands twice": ({"at_step": a, "given": Note(order="1")}, "stands at steps 1, 3"),
    "within a budget": ({"at_step": c, "given": Note(order="1")}, "is part of step 4, and cannot begin without it"),
    "what undoes": ({"at_step": undo, "given": Note(order="1")}, "has no step 'middle.undo'"),
    "no step": ({"at_step": 3, "given": Note(order="1")}, "a run is to begin at 3, which is no step"),
    "a function": ({"at_step": test_later_and_for_coroutines, "given": Note(order="1")}, "which is no step"),
    "another contract": ({"at_step": "3", "given": Yes(by="ann")}, "is given middle.note/1, not middle.yes/1"),
    "no payload at all": ({"at_step": "3"}, "is given nothing"),
    "a text": ({"at_step": "3", "given": "1"}, "and is given a str"),
    "given without a step": ({"payload": Note(order="1"), "given": Note(order="1")}, "and no at_step"),
    "nothing": ({}, "is given nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_beginnings(coordinator: Coordinator, case: str) -> None:
    """What is no beginning is said in one line, with where a run could begin; nothing is started."""
    within = budget(c, within=timedelta(minutes=1), fallback=constant(Note(order="0")))
    flow = Flow("middle.wrong", a >> compensate(b, by=undo) >> a >> within)
    arguments, said = WRONG[case]
    with pytest.raises(InvalidData) as raised:
        coordinator.start(flow, **arguments)
    assert said in str(raised.value)
    assert "nothing was started" in str(raised.value)
    assert coordinator.runs() == []
