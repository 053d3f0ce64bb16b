"""Steps: what is refused where they are written, and what each kind says of itself."""

from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Retry
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.budget import budget, cached, constant
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import (
    Sequence,
    Step,
    choice,
    compensate,
    delay,
    each,
    emit,
    go_on,
    parallel,
    repeat,
    retrying,
    when,
)
from tests.unit.flow.neighbours import A, step

ONE, TWO, THREE = (step(A, A, f"test.{name}") for name in ("one", "two", "three"))
SECOND = timedelta(seconds=1)


def test_sequences_are_flat() -> None:
    """However it is bracketed, a sequence is one sequence."""
    one, two, three = step(A, A), step(A, A), step(A, A)
    for written in ((one >> two) >> three, one >> (two >> three)):
        assert isinstance(written, Sequence)
        assert written.steps == (one, two, three)


@pytest.mark.parametrize("value", [None, "step", lambda order: order, 3])
def test_no_step(value: Any) -> None:
    """What is no step is refused wherever it stands, and the error says what a step is."""
    one = step(A, A)
    for build in (lambda: Flow("f", value), lambda: one >> value, lambda: parallel(a=value)):
        with pytest.raises(FlowError, match="is no step of a flow; a step is an @agent"):
            build()


@pytest.mark.parametrize("given", [[ONE, TWO], (ONE, TWO), {"a": ONE}])
def test_a_list_of_steps_is_told_by_its_kind(given: Any) -> None:
    """And how to write it instead; nothing of what is in it is shown. All kinds of steps are named."""
    with pytest.raises(
        FlowError, match=rf"^a {type(given).__name__} is no step of a flow; .*write first >> second"
    ) as refused:
        Flow("f", given)
    assert len(str(refused.value)) < 330
    for kind in (
        "wait_for",
        "budget",
        "compensate",
        "retrying",
        "parallel",
        "choice",
        "each",
        "repeat",
        "delay",
        "emit",
    ):
        assert kind in str(refused.value)


def test_a_wait_is_called_as_it_is_written() -> None:
    """In an error of a flow it is ``wait_for``."""
    with pytest.raises(FlowError, match=r"is wait_for\(\), and"):
        Flow("f", parallel(one=ONE, two=TWO) >> wait_for("go", A, keep="kept") >> THREE)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a.b", "a-b", "x" * 65])
def test_malformed_branch(name: str) -> None:
    """A branch is named like a variable: it is a field of what joins it, and part of the path."""
    with pytest.raises(FlowError, match="a branch is called"):
        parallel(**{name: step(A, A)})


@pytest.mark.parametrize("other", ["b", "f"])
def test_branches_like_the_parts_of_a_budget(other: str) -> None:
    """Branches that a run could not tell from a budget and what comes out of it are refused together, and may be there apart."""
    with pytest.raises(FlowError, match="'one' beside"):
        parallel(one=step(A, A), **{other: step(A, A)})
    for apart in ({"one": step(A, A), "two": step(A, A)}, {other: step(A, A)}):
        assert [name for name, _ in parallel(**apart).branches] == list(apart)


def test_no_branch() -> None:
    """There is at least one branch."""
    with pytest.raises(FlowError, match="no branch"):
        parallel()


@pytest.mark.parametrize(
    ("whole", "inner"),
    [
        (ONE, []),
        (ONE >> TWO, []),
        (delay(SECOND), []),
        (emit(), []),
        (wait_for("word", A), []),
        (retrying(ONE, Retry()), []),
        (compensate(ONE, by=TWO), []),
        (parallel(left=ONE, right=TWO), [("left", ONE), ("right", TWO)]),
        (choice(when(field("text") == "a", ONE), otherwise=go_on), [("c1", ONE)]),
        (
            choice(when(field("text") == "a", ONE), when(field("text") == "b", TWO), otherwise=THREE),
            [("c1", ONE), ("c2", TWO), ("c0", THREE)],
        ),
        (each("items", ONE, into="made"), [("i*", ONE)]),
        (repeat(ONE, until=field("text") == "a", at_most=2), [("r*", ONE)]),
        (budget(ONE, within=SECOND, fallback=constant(A())), [("b", ONE)]),
        (budget(ONE, within=SECOND, fallback=TWO), [("b", ONE), ("f", TWO)]),
        (
            budget(ONE, within=SECOND, fallback=cached("text", max_age=SECOND, otherwise=TWO)),
            [("b", ONE), ("f", TWO)],
        ),
        (Flow("test.inner", ONE), [("", ONE)]),
    ],
)
def test_each_kind_says_what_is_inside_it(whole: Step, inner: list[tuple[str, Step]]) -> None:
    """The steps inside it come in order, with their ways; an agent, and what is written around it, has none."""
    assert list(whole.inner()) == inner


_INNER = Flow("test.inner", TWO)
_DELAY, _EACH = delay(SECOND), each("items", ONE, into="made")


@pytest.mark.parametrize(
    ("whole", "head", "takes"),
    [
        (ONE >> TWO, ONE, A),
        (compensate(retrying(ONE, Retry()), by=TWO), ONE, A),
        (parallel(left=ONE, right=TWO), ONE, A),
        (choice(when(field("text") == "a", TWO), otherwise=ONE), TWO, A),
        (repeat(ONE >> TWO, until=field("text") == "a", at_most=2), ONE, A),
        (budget(parallel(a=TWO), within=SECOND, fallback=ONE), TWO, A),
        (_INNER >> ONE, _INNER, A),
        (_DELAY >> ONE, _DELAY, None),
        (parallel(left=_EACH), _EACH, None),
    ],
)
def test_what_a_step_begins_with(whole: Step, head: Step, takes: type[Contract] | None) -> None:
    """What arrives comes first to one step, however deep it is; that says what it accepts, or leaves it to what arrives."""
    assert whole.head() is head
    assert whole.head().takes() is takes
