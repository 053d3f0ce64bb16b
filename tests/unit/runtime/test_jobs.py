"""The jobs of a process: whatever one raises, it is tried again, and the others go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.runtime.jobs import Job, Jobs
from tests.waiting import wait_until


class Own(BaseException):
    """An exception that is no ``Exception``."""


@pytest.mark.parametrize(
    "error",
    [ServerError("gone"), ValueError("no"), SystemExit(1), GeneratorExit(), KeyboardInterrupt(), Own()],
    ids=repr,
)
def test_a_job_that_fails_is_tried_again(error: BaseException) -> None:
    """What code of a user raises in a job ends no thread of the process; while it fails that is told, and no more once it works."""
    done: Counter[str] = Counter()
    failing = [True]

    def work(name: str) -> Callable[[], None]:
        def once() -> None:
            done[name] += 1
            if name == "fails" and failing:
                raise error

        return once

    jobs = Jobs("test")
    jobs.start([Job("fails", work("fails"), 0.001), Job("works", work("works"), 0.001)])
    try:
        wait_until(lambda: done["fails"] > 3 and done["works"] > 3, description="both were done again")
        wait_until(jobs.fault, description="it is told")
        failing.clear()
        wait_until(lambda: not jobs.fault(), description="it is not told any more")
    finally:
        jobs.stop(5)


def test_the_same_fault_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A server that stays away is in the log once for each job, and again where something else is wrong, or where it was back."""
    jobs = Jobs("test")
    for text in ("gone", "gone", "full", "gone"):
        jobs.fails("reads", ServerError(text))
    jobs.works("reads")
    jobs.fails("reads", ServerError("gone"))
    assert [record.getMessage() for record in caplog.records] == [
        f"{text}; trying again" for text in ("gone", "full", "gone", "gone")
    ]
