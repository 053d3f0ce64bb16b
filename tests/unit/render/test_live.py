"""Live pictures: in a terminal one that changes, elsewhere one after the other."""

from __future__ import annotations

import itertools

import pytest

from handoffs.tasks.live import shown
from tests.waiting import wait_until


def test_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A log gets a picture now and then, and the last one when it is over."""
    numbers = itertools.count()
    drawn: list[str] = []

    def draw() -> str:
        drawn.append(f"picture {next(numbers)}")
        return drawn[-1]

    with shown(draw, elsewhere=0.01):
        wait_until(lambda: len(drawn) >= 3, description="some pictures are drawn")
    told = capsys.readouterr().err.split("\n")
    assert told[: len(drawn)] == drawn


def test_what_is_drawn_last_is_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The last picture is drawn after the work, also when that fails."""
    state = ["at work"]

    def work() -> None:
        with shown(lambda: state[-1]):
            state.append("done")
            raise ValueError("over")

    with pytest.raises(ValueError, match="over"):
        work()
    assert capsys.readouterr().err.split() == ["done"]
