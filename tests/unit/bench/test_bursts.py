"""Many runs at once, and one after the other, on a side that is none."""

from __future__ import annotations

import pytest

from bench.measures.bursts import burst, one_by_one
from bench.peers.side import NotDone
from bench.work import Job, WrongResult
from tests.unit.bench.sides import Instant


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 130])
def test_handles_come_in_the_order_of_their_jobs(count: int) -> None:
    """However eight threads share them out."""
    jobs = [Job() for _ in range(count)]
    assert Instant().start_all(jobs) == jobs


@pytest.mark.parametrize("slow", [0, 1, 3])
def test_all_are_waited_for(slow: int) -> None:
    """Each is looked at until it has ended, and none after that."""
    side, jobs = Instant(slow=slow), [Job() for _ in range(120)]
    side.wait_all(jobs)
    assert side.looked == {job.document["id"]: slow + 1 for job in jobs}


def test_what_does_not_end() -> None:
    """It is said how many have not."""
    with pytest.raises(NotDone, match="3 of 3"):
        Instant(slow=1_000_000).wait_all([Job() for _ in range(3)], timeout=0.05)


def test_a_burst() -> None:
    """It has a rate, and no run ends before it is started."""
    values = burst(Instant(), [Job() for _ in range(20)])
    assert 0 < values["per_second"] <= values["started_per_second"]


@pytest.mark.parametrize("play", [burst, one_by_one])
def test_wrong_results_have_no_figures(play: object) -> None:
    """A side that loses a step is not measured."""
    with pytest.raises(WrongResult):
        (burst if play is burst else one_by_one)(Instant(wrong=True), [Job()])
