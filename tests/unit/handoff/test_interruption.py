"""What a signal raises, told apart from what the code of users raises."""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

import pytest

from handoffs.coordinator.handoff.attempt import attempt
from handoffs.coordinator.handoff.interruption import Escaped, UsersCode, interruption_of, signals_told_apart


class Own(BaseException):
    """An exception that is no ``Exception``."""


def _ends(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)  # as the prefork pool's does
    sys.exit(-241)


@pytest.fixture
def ended_by_signal() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR2, _ends)
    yield
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(0), SystemExit(-15), GeneratorExit(), StopIteration(1), asyncio.CancelledError(), Own()],
    ids=repr,
)  # fmt: skip
def test_what_an_agent_raises_is_a_value(error: BaseException) -> None:
    """Whatever a function raises by itself is what came of the attempt."""

    def fails() -> None:
        raise error

    with signals_told_apart():
        assert attempt(fails).error is error
        with pytest.raises(Escaped if not isinstance(error, Exception) else type(error)), UsersCode():
            fails()


def _press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def _press_and_clean_up() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        raise OSError("the connection is closed")


def _press_and_hide() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ValueError("no") from None


@pytest.mark.parametrize("press", [_press_ctrl_c, _press_and_clean_up, _press_and_hide])
def test_ctrl_c_is_not_the_agents(press: Callable[[], None]) -> None:
    """Ctrl-C leaves the attempt, whatever the agent makes of it on its way out; then it does what it did before."""
    with signals_told_apart(), pytest.raises(KeyboardInterrupt):
        attempt(press)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("ended_by_signal")
def test_a_handler_that_exits_is_not_the_agents() -> None:
    """What the handler of a signal raises leaves the attempt, also where it has taken itself out by then."""
    with signals_told_apart(), pytest.raises(SystemExit) as caught:
        attempt(lambda: signal.raise_signal(signal.SIGUSR2))
    assert caught.value.code == -241


def test_a_thread_gets_no_signals() -> None:
    """In a thread nothing is a signal's doing: handlers run in the main thread."""
    found: list[BaseException | None] = []

    def work() -> None:
        with signals_told_apart():
            found.append(attempt(lambda: (_ for _ in ()).throw(KeyboardInterrupt())).error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert isinstance(found[0], KeyboardInterrupt)


def test_within_one_another() -> None:
    """Blocks within one another, as of a flow that an agent starts in eager mode, put everything back once, at the end."""
    with signals_told_apart():
        within = signal.getsignal(signal.SIGINT)
        with signals_told_apart():
            assert interruption_of(KeyboardInterrupt()) is None
        assert signal.getsignal(signal.SIGINT) is within
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_an_interrupt_is_one() -> None:
    """Where nothing was told apart, a ``KeyboardInterrupt`` in the main thread is taken for the person's."""
    assert interruption_of(KeyboardInterrupt()) is not None
    assert interruption_of(SystemExit(1)) is None


def test_causes_in_a_circle() -> None:
    """Exceptions that lead to one another in a circle are looked through once."""
    one, two = ValueError(), ValueError()
    one.__context__, two.__context__ = two, one
    assert interruption_of(one) is None
