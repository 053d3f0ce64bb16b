"""What the payments demo shows while it runs."""

from __future__ import annotations

import re
from io import StringIO
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from handoffs.coordinator.client.batch import Batch
from handoffs.tasks.payments.demo import _Scene
from tests.examples import examples


class _Run:
    def __init__(self, number: int) -> None:
        self.id = f"run-{number}"


class _Coordinator:
    """Runs that are as a test says, one after the other; while it is asked, more lines are read."""

    def __init__(self, statuses: list[str], batch: Batch, numbers: Any) -> None:
        self._statuses = statuses
        self._batch = batch
        self._numbers = numbers

    def statuses(self, runs: list[_Run]) -> list[str]:
        _start(self._batch, 3, self._numbers)
        self._batch.refused.append("too late")  # type: ignore[arg-type]
        return [self._statuses[int(run.id.removeprefix("run-")) % len(self._statuses)] for run in runs]


def _start(batch: Batch, runs: int, numbers: Any) -> None:
    for _ in range(runs):
        run: Any = _Run(next(numbers))
        batch.runs[run.id] = run


@examples(30)
@given(
    statuses=st.lists(st.sampled_from(["running", "completed", "parked"]), min_size=1, max_size=9),
    started=st.integers(0, 40),
    repeated=st.integers(0, 5),
)
def test_what_is_shown_adds_up(statuses: list[str], started: int, repeated: int) -> None:
    """Whatever happens while it is looked: what was read was accepted, repeated or refused, and what was accepted runs, is completed or
    is parked."""
    numbers, batch = count(), Batch(repeated=repeated)
    _start(batch, started, numbers)
    coordinator: Any = _Coordinator(statuses, batch, numbers)
    scene = _Scene(coordinator, 100, batch)
    for _ in range(2):
        scene.look()
        shown = _shown(scene)
        assert (
            shown["lines read"]
            == shown["payments accepted"] + shown["repeated lines"] + shown["refused lines"]
        )
        assert shown["payments accepted"] == shown["running"] + shown["completed"] + shown["parked"]


def _shown(scene: _Scene) -> dict[str, int]:
    text = StringIO()
    Console(file=text, width=120).print(scene.draw())
    found = re.findall(r"^([a-z ]+?) +(\d+) ", text.getvalue(), re.MULTILINE)
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize("name", ["lines read", "payments accepted", "running", "completed", "parked"])
def test_each_is_shown(name: str) -> None:
    """From the first moment on."""
    coordinator: Any = None
    assert _shown(_Scene(coordinator, 10))[name] == 0
