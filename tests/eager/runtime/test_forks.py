"""A process that is forked while it has a coordinator: the child has nothing of the parent's, and ends nothing of it."""

from __future__ import annotations

import signal
import threading
from itertools import count

from handoffs import Contract, Coordinator, Flow, Key, agent
from handoffs.config.settings import Settings
from handoffs.coordinator.errors import ServerError
from tests.forking import in_child
from tests.python import python

TIMEOUT = 20.0


class Job(Contract, name="forks.job", version=1):
    number: str = Key()


@agent("forks.work")
def work(job: Job) -> Job:
    return job


@agent("forks.work-async")
async def work_async(job: Job) -> Job:
    return job


flow = Flow("forks.flow", work >> work_async)


def _refused(coordinator: Coordinator) -> str:
    try:
        coordinator.start(flow, Job(number="child"))
    except ServerError as error:
        return str(error)
    finally:
        coordinator.close()
    return "accepted"


def test_embedded_servers_stay_with_the_parent(live_coordinator: Coordinator) -> None:
    """In the child of an embedded coordinator a call is refused at once, with what to do; to close it there ends nothing."""
    assert live_coordinator.start(flow, Job(number="before")).wait(TIMEOUT) == "completed"
    busy = threading.Thread(
        target=lambda: [live_coordinator.start(flow, Job(number=f"{n}")) for n in range(50)]
    )
    busy.start()
    for _ in range(5):  # at whatever moment
        assert "was forked: its servers and workers are in the process that made it" in in_child(
            lambda: _refused(live_coordinator)
        )
    busy.join()
    after = live_coordinator.start(flow, Job(number="after"))
    assert after.wait(TIMEOUT) == "completed"
    assert after.history()


def test_eager_works_in_both(coordinator: Coordinator) -> None:
    """In eager mode the child has a copy, and goes on with that; async agents run in both."""
    assert coordinator.start(flow, Job(number="before")).status() == "completed"
    assert in_child(lambda: coordinator.start(flow, Job(number="child")).status()) == "completed"
    assert coordinator.start(flow, Job(number="after")).status() == "completed"


def test_eager_forked_while_threads_are_busy(coordinator: Coordinator) -> None:
    """At whatever moment: nothing that a thread of the parent had in hand keeps the child from running its own flows to their ends, and
    what it has a copy of is whole."""
    assert coordinator.start(flow, Job(number="before")).status() == "completed"
    over = threading.Event()

    def work_on(name: str) -> None:
        for number in count():
            if over.is_set():
                return
            coordinator.start(flow, Job(number=f"{name}-{number}"))

    busy = [threading.Thread(target=work_on, args=(name,)) for name in "ab"]
    for thread in busy:
        thread.start()

    def child() -> str:
        signal.alarm(20)  # where it hangs it ends, and says nothing
        return coordinator.start(flow, Job(number="child")).status()

    try:
        said = [in_child(child) for _ in range(5)]
    finally:
        over.set()
        for thread in busy:
            thread.join()
    assert said == ["completed"] * 5


PROGRAM = """
import os, sys
from handoffs import Coordinator
from tests.eager.runtime.test_forks import Job, flow
coordinator = Coordinator()
folder = coordinator._folder.name
run = coordinator.start(flow, Job(number="1"))
if os.fork() == 0:
    sys.exit(0)  # Python's own end, with all that is registered for it
os.wait()
assert os.path.isdir(folder), "the child has deleted the parent's files"
assert run.wait(10) == "completed"
assert run.history()
assert coordinator.start(flow, Job(number="2")).wait(10) == "completed"
print("all is there")
"""


def test_a_child_that_exits_deletes_nothing() -> None:
    """A child that ends as Python programs do leaves the parent's files, workers and servers alone."""
    found = python("-c", PROGRAM)
    assert found.stdout == "all is there\n", found.stderr


def test_two_installations_in_one_process() -> None:
    """Two coordinators with other settings, eager and embedded, in one process: each runs its own, with its own settings."""
    seen: dict[str, int] = {}

    @agent("forks.tells")
    def tells(job: Job, context: object) -> Job:
        seen[job.number] = context.settings.crash_limit  # type: ignore[attr-defined]
        return job

    told = Flow("forks.told", tells)
    with (
        Coordinator(Settings(crash_limit=7)) as one,
        Coordinator(Settings(crash_limit=9)) as two,
        Coordinator(Settings(eager=True, crash_limit=11)) as three,
    ):
        runs = [(one, 7), (two, 9), (three, 11), (one, 7), (two, 9), (three, 11)]
        started = [
            (each.start(told, Job(number=str(n))), each, n, limit) for n, (each, limit) in enumerate(runs)
        ]
        for run, each, number, limit in started:
            assert run.wait(TIMEOUT) == "completed"
            assert seen[str(number)] == limit
            others = [other for other in (one, two, three) if other is not each]
            assert not any(other.engine.runs.get(run.id) for other in others)
        one.close()
        assert two.start(told, Job(number="later")).wait(TIMEOUT) == "completed"
