"""What the benchmarks leave out of the product, to say what it costs: it is really gone, and without it the work is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.peers.without import LEFT_OUT
from tests.python import python

_PROGRAM = """
import json, sys
from bench.peers import ours_work
from bench.peers.without import leave_out
from bench.work import Job
from handoffs.coordinator import Coordinator
from handoffs.coordinator.handoff.lease import LeaseKeeper
from handoffs.coordinator.messaging.confirms import Confirms

kept, posted = LeaseKeeper.keep, Confirms.post
leave_out(sys.argv[1])
with Coordinator() as coordinator:
    job = Job()
    run = coordinator.start(ours_work.flow_of(job), ours_work.Document(**job.document))
    job.check(run.result(30).model_dump())
    told = [entry["kind"] for entry in run.history()]
    outcomes = len(list(coordinator.engine.store.redis.scan_iter("*outcome:*")))
try:
    ours_work.Document.from_data({"id": 1})
    validates = False
except Exception:
    validates = True
there = {
    "history": "settled" in told,
    "dedupe": outcomes > 0,
    "leases": LeaseKeeper.keep is kept,
    "validation": validates,
    "confirms": Confirms.post is posted,
}
print(json.dumps(there))
"""


def there(without: str) -> dict[str, Any]:
    """A run in a process that leaves these out; which of the guarantees are there."""
    done = python("-W", "ignore", "-c", _PROGRAM, without)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("without", ["", *LEFT_OUT, ",".join(LEFT_OUT)])
def test_left_out(without: str) -> None:
    """A worker that leaves something out gives the right result; what it leaves out is gone, and the rest is there. Who takes no lease
    renews none."""
    gone = set(filter(None, without.split(",")))
    gone |= {"leases"} if "dedupe" in gone else set()
    assert there(without) == {name: name not in gone for name in LEFT_OUT}


def test_no_guarantee() -> None:
    """What is none cannot be left out."""
    done = python("-c", _PROGRAM, "sleep")
    assert done.returncode != 0
    assert "KeyError" in done.stderr
