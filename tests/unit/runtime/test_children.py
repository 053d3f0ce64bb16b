"""What the children of an agent get of its worker."""

import pytest

from tests.python import python

_FORKED = """
import os, signal
from handoffs.coordinator.runtime.children import Children

heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append("heard"))  # as Celery's handler: it takes note, and goes on
{early}
children = Children()
{late}
child = os.fork()
if child == 0:
    os._exit(7)
_, status = os.waitpid(child, 0)
os.kill(os.getpid(), signal.SIGTERM)
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
print(os.waitstatus_to_exitcode(status), heard, sorted(blocked))
"""
_ENDED = "os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))"


@pytest.mark.parametrize("early", [True, False], ids=["as soon as it is", "when it begins"])
def test_a_child_that_is_told_to_end_ends(*, early: bool) -> None:
    """A child that is told to end ends, however early that is, as those of ``multiprocessing.Pool`` are that had nothing to do: it does
    not take the worker's handler for its own. The worker itself hears its signals as before."""
    program = _FORKED.format(early=_ENDED if early else "", late="" if early else _ENDED)
    done = python("-c", program)
    assert (done.stdout.strip(), done.stderr) == ("-15 ['heard'] []", "")


def test_who_is_gone_does_nothing_at_forks() -> None:
    """Nothing is changed at forks for a worker that is gone."""
    program = _FORKED.format(early="", late="del children; " + _ENDED)
    assert python("-c", program).stdout.strip() == "7 ['heard'] []"
