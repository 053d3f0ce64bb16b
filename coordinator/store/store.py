"""Store: what a handoff needs of Redis. Every key has a time to live.

What is needed is asked as a value by one of three objects, ``handoffs``, ``steps`` and ``controls`` (``asking.py``), and performed
by a driver. The methods of the store itself are those of the three, performed at once: for clients, timers and tests.

The other modules of this folder are for what is no handoff: runs, outstanding steps, schedules, announcements.
"""

from __future__ import annotations

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.coordinator.store.controls import Controls
from handoffs.coordinator.store.handoffs import Handoffs
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.performing import Performed
from handoffs.coordinator.store.progress import ProgressOfRuns
from handoffs.coordinator.store.steps import Steps
from handoffs.coordinator.store.subresults import Subresults, Work
from handoffs.coordinator.store.usage import UsageOfRuns


class Store:
    """The store of one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` from every method that performs
    when Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.redis = redis
        self.keys = Keys(settings.prefix, settings.shards)
        self.handoffs = Handoffs(self.keys, settings)
        self.steps = Steps(self.keys, settings)
        self.controls = Controls(self.keys, settings)
        self.subresults = Subresults(self.keys, settings)
        self.progress = ProgressOfRuns(self.keys, settings)
        self.usage = UsageOfRuns(self.keys, settings)
        self.let_go = self.handoffs.let_go  # asks nothing yet
        self.lapse = self.handoffs.lapse  # nor does this
        self._settings = settings

    claim = Performed(Handoffs.claim, "handoffs")
    renew = Performed(Handoffs.renew, "handoffs")
    release = Performed(Handoffs.release, "handoffs")
    settle = Performed(Handoffs.settle, "handoffs")
    withdraw = Performed(Handoffs.withdraw, "handoffs")
    settle_known = Performed(Handoffs.settle_known, "handoffs")
    follow = Performed(Handoffs.follow, "handoffs")
    emits_once = Performed(Handoffs.emits_once, "handoffs")

    lease_of = Performed(Steps.lease_of, "steps")
    settled = Performed(Steps.settled, "steps")
    park = Performed(Steps.park, "steps")
    edit_of = Performed(Steps.edit_of, "steps")
    pass_over = Performed(Steps.pass_over, "steps")
    stopped = Performed(Steps.stopped, "steps")
    delayed = Performed(Steps.delayed, "steps")
    note = Performed(Steps.note, "steps")

    closed = Performed(Controls.closed, "controls")
    stood_in = Performed(Controls.stood_in, "controls")
    hold = Performed(Controls.hold, "controls")
    held = Performed(Controls.held, "controls")
    wait = Performed(Controls.wait, "controls")
    take_back = Performed(Controls.take_back, "controls")
    keep = Performed(Controls.keep, "controls")
    kept = Performed(Controls.kept, "controls")

    subresult = Performed(Subresults.find, "subresults")
    record_subresult = Performed(Subresults.record, "subresults")

    tell_progress = Performed(ProgressOfRuns.tell, "progress")
    progress_of = Performed(ProgressOfRuns.of, "progress")

    use = Performed(UsageOfRuns.use, "usage")
    usage_of = Performed(UsageOfRuns.of, "usage")
    usage_of_flow = Performed(UsageOfRuns.of_flow, "usage")
    limit_usage = Performed(UsageOfRuns.limit, "usage")

    def let_subresults_go(self, work: Work) -> None:
        """The work has its outcome: what its calls have given is forgotten with the next claim."""
        self.handoffs.gone.append(self.subresults.forgetting(work))
