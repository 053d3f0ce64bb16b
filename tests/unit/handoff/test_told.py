"""What an attempt is told."""

import os
from datetime import timedelta

from handoffs.coordinator.handoff.lease import Kept
from handoffs.coordinator.handoff.told import Stopping, Told
from handoffs.coordinator.store.claim import Held
from handoffs.coordinator.store.record import StepRef
from tests.forking import forked


def _kept() -> Kept:
    return Kept(Held("a", "k", 1, StepRef("r", "f", "1")))


def test_nothing() -> None:
    """As long as its run and its worker go on, it is told nothing."""
    told = Told(_kept(), Stopping(timedelta(hours=1)))
    assert (told.why(), told.due(), told.heard, told.puts_back) == ("", "", "", False)


def test_its_worker_ends() -> None:
    """That its worker is to end is known at once to who asks, and cancels after the grace; who has not heard it is not put
    back."""
    stopping = Stopping(timedelta(hours=1))
    told = Told(_kept(), stopping)
    stopping.begin()
    assert (told.due(), told.heard, told.puts_back) == ("", "", False)
    assert (told.why(), told.heard, told.puts_back) == ("stopping", "stopping", True)
    stopping = Stopping(timedelta())
    stopping.begin()
    stopping.begin()
    assert Told(_kept(), stopping).due() == "stopping"


def test_the_end_of_its_run_counts_more() -> None:
    """Where its run has ended as well, the step is left to nobody."""
    stopping, kept = Stopping(timedelta()), _kept()
    told = Told(kept, stopping)
    stopping.begin()
    told.why()
    kept.ended = "cancelled"
    assert (told.why(), told.due(), told.puts_back) == ("cancelled", "cancelled", False)


def test_children_know() -> None:
    """Processes that were forked before know it as well: those of a pool get no signal when their worker is to end."""
    stopping = Stopping(timedelta())
    stopping.share()
    begun, begin = os.pipe()

    def told() -> str:
        os.read(begun, 1)
        return "yes" if stopping.begun and stopping.due else "no"

    child = forked(told)
    stopping.begin()
    os.write(begin, b"!")
    assert child() == "yes"
