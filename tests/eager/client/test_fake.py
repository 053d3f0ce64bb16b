"""What stands in for an agent's function in a test: everything around it is real."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handoffs import Context, Contract, Coordinator, Flow, Key, Permanent, Retry, Transient, agent, on
from handoffs.contracts.errors import CoordinationError, InvalidData
from handoffs.coordinator.client.fake import Behaviour
from handoffs.coordinator.errors import LoadError, ServerError
from tests.defaults import default_settings

_TIMEOUT = 30.0  # seconds


class Bill(Contract, name="fake.bill", version=1):
    bill: str = Key()
    paid: bool = False


@agent("fake.pay", retry=Retry(attempts=3, backoff=timedelta(milliseconds=1)))
def pay(bill: Bill) -> Bill:
    return Bill(bill=bill.bill, paid=True)


@agent("fake.note")
async def note(bill: Bill) -> Bill:
    return bill


FLOW = Flow("fake.flow", pay >> note)


def _result(coordinator: Coordinator, name: str = "1") -> Bill:
    found: Bill = coordinator.start(FLOW, Bill(bill=name)).result(_TIMEOUT)
    return found


def _from_context(bill: Bill, context: Context) -> Bill:
    return Bill(bill=f"{bill.bill}.{context.attempt}")


async def _awaited(bill: Bill) -> Bill:
    return Bill(bill=f"{bill.bill}.awaited")


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (Bill(bill="other"), "other"),
        ({"bill": "data"}, "data"),
        (lambda bill: Bill(bill=f"{bill.bill}.made"), "1.made"),
        (_from_context, "1.1"),
        (_awaited, "1.awaited"),
    ],
)
def test_outcomes(anywhere: Coordinator, behaviour: Behaviour, expected: str) -> None:
    """An outcome, its data, or what a function makes of the input and the context, awaited or not, takes the place of the agent's."""
    with anywhere.fake(pay, behaviour) as fake:
        assert _result(anywhere).bill == expected
    assert fake.calls == [Bill(bill="1")]


def test_its_own_again(anywhere: Coordinator) -> None:
    """After the block the agent's own function is called."""
    with anywhere.fake(pay, Bill(bill="other")):
        assert not _result(anywhere, "1").paid
    assert _result(anywhere, "2").paid


def test_one_for_each_attempt(anywhere: Coordinator) -> None:
    """The first behaviour is for the first attempt, the last stays; errors are retried as the agent's policy says."""
    fake = anywhere.fake(pay, Transient("busy"), Transient, Bill(bill="third"))
    assert _result(anywhere).bill == "third"
    assert len(fake.calls) == 3


def test_an_error_parks(anywhere: Coordinator) -> None:
    """An error that is not retried parks the step, and its replay meets what stands in then."""
    anywhere.fake(note, Permanent("no"))
    run = anywhere.start(FLOW, Bill(bill="1"))
    assert run.wait(_TIMEOUT) == "parked"
    [letter] = run.letters()
    assert letter.text.startswith("no")
    anywhere.fake(note, lambda bill: bill)
    letter.replay()
    assert run.wait(_TIMEOUT) == "completed"


def test_a_wrong_outcome_is_found_out(anywhere: Coordinator) -> None:
    """What stands in is checked as the agent's own outcome is: another contract parks the step."""

    class Other(Contract, name="fake.other", version=1):
        other: str

    anywhere.fake(pay, Other(other="x"))
    run = anywhere.start(FLOW, Bill(bill="1"))
    assert run.wait(_TIMEOUT) == "parked"
    assert run.letters()[0].kind == "invalid-output"


def test_one_that_is_called_by_events(anywhere: Coordinator) -> None:
    """An agent that hears events has something stand in for it as well."""

    @on(Bill)
    @agent("fake.hears")
    def hears(bill: Bill) -> None:
        raise AssertionError("the real one is called")

    with anywhere.fake(hears, None) as fake:
        story = anywhere.emit(Bill(bill="told"))
        assert story.wait(_TIMEOUT) == "completed"
    assert fake.calls == [Bill(bill="told")]


@pytest.mark.parametrize(
    "odd", [(), (3,), ("text",), ({"bill": 3, "more": 1},), (Bill,), (UnicodeDecodeError,)]
)
def test_what_cannot_stand_in(coordinator: Coordinator, odd: tuple[Behaviour, ...]) -> None:
    """Nothing, a number, a text, data that is no outcome, a contract's class and an error that needs more than a text are refused at once, and the agent stays what it is."""
    with pytest.raises(InvalidData):
        coordinator.fake(pay, *odd)
    assert _result(coordinator).paid


def test_for_whom_it_cannot(coordinator: Coordinator) -> None:
    """A function that is no agent, and a name that nobody has, are refused in one line."""
    with pytest.raises(InvalidData, match="an agent is expected"):
        coordinator.fake(_from_context, Bill(bill="1"))  # type: ignore[arg-type]
    with pytest.raises(LoadError, match=r"fake\.nobody"):
        coordinator.fake("fake.nobody", Bill(bill="1"))


def test_agents_of_other_processes() -> None:
    """Where agents work elsewhere nothing can stand in for them, which is said before anything is asked of the servers."""
    settings = default_settings(broker_url="amqp://nowhere.invalid//", redis_url="redis://nowhere.invalid/0")
    with Coordinator(settings) as coordinator, pytest.raises(ServerError, match="works in other processes"):
        coordinator.fake(pay, Bill(bill="1"))


@pytest.mark.parametrize("inner_first", [True, False])
def test_one_within_another(anywhere: Coordinator, inner_first: bool) -> None:
    """The newest fake stands in; where one of them is taken back, the one of before does, in whichever order, and the agent's own at last."""
    outer = anywhere.fake(pay, Bill(bill="outer"))
    inner = anywhere.fake(pay, Bill(bill="inner"))
    assert _result(anywhere, "1").bill == "inner"
    first, second, left = (inner, outer, "outer") if inner_first else (outer, inner, "inner")
    first.restore()
    assert _result(anywhere, "2").bill == left
    first.restore()  # once more changes nothing
    assert _result(anywhere, "3").bill == left
    second.restore()
    assert _result(anywhere, "4").paid


@pytest.mark.parametrize(
    ("kind", "attempts"), [(Transient, 3), (Permanent, 1), (ValueError, 3), (CoordinationError, 3)]
)
def test_the_class_of_an_error(anywhere: Coordinator, kind: type[Exception], attempts: int) -> None:
    """An error's class stands for an error of it: it is retried, or not, as the real one would be."""
    with anywhere.fake(pay, kind) as fake:
        run = anywhere.start(FLOW, Bill(bill="class"))
        assert run.wait(_TIMEOUT) == "parked"
    assert len(fake.calls) == attempts
    assert run.letters()[0].error == kind.__name__


def test_who_is_given_the_context(coordinator: Coordinator) -> None:
    """A function gets the context where it asks for it: by a second parameter without a default, or one that is called so."""
    for function in (
        lambda bill, context: Bill(bill=str(context.attempt)),
        lambda bill, about: Bill(bill=str(about.attempt)),
        lambda bill, context=None: Bill(bill=str(context.attempt)),
        lambda bill, number=1: Bill(bill=str(number)),
        lambda *given: Bill(bill=str(given[1].attempt)),
    ):
        with coordinator.fake(pay, function):
            assert _result(coordinator, f"{id(function)}").bill == "1"


def test_another_agent_stands_in(anywhere: Coordinator) -> None:
    """An agent can stand in for another: its function does."""
    with anywhere.fake(note, pay):
        assert _result(anywhere).paid
