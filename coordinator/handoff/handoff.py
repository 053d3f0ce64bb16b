"""The handoff: open, claim, run, close, settle, pass on. Read :meth:`Handoff.__call__` from top to bottom.

It decides, and asks for what it needs of Redis, of the broker and of its agent; a driver performs that (dispatch/requests.py):
two round trips to Redis (claim, settle) and one confirmed publish (pass on). A crash anywhere before the acknowledgement
redelivers the message; the claim, and message ids that are derived, make that harmless.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import NoReturn

from handoffs.config.at_work import at
from handoffs.config.settings import Settings
from handoffs.contracts.contract import Contract
from handoffs.contracts.dataref import Fetch
from handoffs.coordinator.continuation.moves import Go
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.requests import Asking, Invoke
from handoffs.coordinator.dispatch.route import too_large_for_join
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.errors import OverBudget, passes
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.retry import Verdict
from handoffs.coordinator.handoff.attempt import attempt, begin
from handoffs.coordinator.handoff.claiming import Claimer, still_wanted
from handoffs.coordinator.handoff.close import Closed, Closer, Returned
from handoffs.coordinator.handoff.context import Voices, context_of
from handoffs.coordinator.handoff.entries import HandoffEntries, summary
from handoffs.coordinator.handoff.events import Events
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.handoff.lease import Kept, LeaseKeeper
from handoffs.coordinator.handoff.metering import StepMeter
from handoffs.coordinator.handoff.open import Opened, Opener, again
from handoffs.coordinator.handoff.outcome import (
    Done,
    Leave,
    Outcome,
    Park,
    Postpone,
    Reason,
    Refusal,
    TryAgain,
    refuse,
)
from handoffs.coordinator.handoff.parking import Parking
from handoffs.coordinator.handoff.signs import AtWork, StepSigns, ended_by
from handoffs.coordinator.handoff.subresults import StepSubresults
from handoffs.coordinator.handoff.told import Stopping, Told
from handoffs.coordinator.handoff.undo import outcome_ref, with_undo
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.messaging.trace_context import traced
from handoffs.coordinator.store.claim import Claim, ClaimVerdict
from handoffs.coordinator.store.event_sets import AskEventSets
from handoffs.coordinator.store.settlement import Advance, Settled, SettleVerdict
from handoffs.coordinator.store.store import Store
from handoffs.coordinator.store.subresults import Work

_SOON = timedelta(milliseconds=50)


class Handoff:
    """The handoffs of one agent in one process. Safe for threads.

    :class:`~handoffs.coordinator.errors.ServerError` leaves it where Redis or the broker fails on the way: the message is then
    neither acknowledged nor parked, and comes again.
    """

    def __init__(
        self,
        agent: Agent,
        settings: Settings,
        store: Store,
        leases: LeaseKeeper,
        negotiator: Negotiator,
        stopping: Stopping | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        """``stopping`` is whether this process is to end; without it, it is not. ``fetch`` brings data that is kept elsewhere.
        Many parameters because each is what there is one of in a process, and they are put together in one place."""
        self.agent = agent
        self._settings = settings
        self._store = store
        self._leases = leases
        self.stopping = stopping or Stopping(settings.stop_grace)
        self._router = Router(store, negotiator, Room.of(settings))
        limits = settings.envelope_limits
        events = Events(agent, store, negotiator.versions, AskEventSets(settings))
        self._opener = Opener(agent, store, events, negotiator, limits, fetch)
        self._claimer = Claimer(agent, store, settings.crash_limit)
        self._closer = Closer(agent, store, self._router, negotiator)
        self._entries = HandoffEntries(agent)
        self.parking = Parking(agent, store, self._opener)

    def __call__(self, delivery: Delivery) -> Asking[Outcome]:
        """Handle one delivery."""
        opened = None
        try:
            # 1. open
            opened = yield from self._opener.open(delivery)
            opened = yield from self._opener.hear(opened)
            # 2. claim
            claim = yield from self._claimer.claim(opened)
            while claim.verdict is ClaimVerdict.EDITED:  # a person gave the step another input
                opened = self._opener.edited(delivery, claim.edit)
                claim = yield from self._claimer.claim(opened)
            opened = still_wanted(opened, claim)
            if claim.verdict is ClaimVerdict.GRANTED:
                with self._leased(opened, claim) as kept:
                    returned = yield from self._run(opened, claim, kept)  # 3. run
                    closed = yield from self._closer.close(opened, claim, returned)  # 4. close
                    settled = yield from self._settle(opened, claim, closed, returned)  # 5. settle
            else:
                closed = yield from self._closer.known(opened, claim)
                settled = yield from self._settle_known(opened, claim, closed)
            # 6. pass on
            yield from self._pass_on(opened, closed, settled)
            yield from self._opener.finish(opened)
            self._let_go(opened, claim, closed, settled)
            return Done(summary(opened, claim, closed, settled))
        except Leave as leave:
            return (yield from self._ended(delivery, opened, leave.ending))

    # 3. Run

    def _leased(self, opened: Opened, claim: Claim) -> AbstractContextManager[Kept]:
        return self._leases.keep(self.agent.name, opened.key, claim.fence, opened.place, opened.budgets)

    def _run(self, opened: Opened, claim: Claim, kept: Kept) -> Asking[Returned]:
        """Call the agent's function. What it raises is retried or parked by the step's policy."""
        emitted: list[Contract] = []
        signs = kept.signs = StepSigns(AtWork(opened.place, self.agent.name, self.agent.idle))
        told = Told(kept, self.stopping)
        opened = replace(opened, generation=claim.generation)
        work = Work(self.agent.name, opened.key, opened.content, opened.generation)
        subresults = StepSubresults(self._store, work, self._settings.envelope_limits, told)
        meter = StepMeter(self._store, opened, signs, subresults.patiently)
        voices = Voices(subresults, signs, meter)
        context = context_of(self.agent, opened, self._settings, self._store, emitted, told, voices)
        began = time.perf_counter()
        work_at = at(opened.where(self.agent.name), lambda: self.agent.run(opened.payload, context))
        call = traced(opened.envelope, work_at)
        waits = partial(begin, call, told) if self.agent.is_async else None
        attempted = yield Invoke(partial(attempt, call, told), waits, work=True)
        if uncounted := meter.uncounted:
            yield from self._store.usage.use(opened.place.run, opened.place.flow, uncounted)
        if attempted.error is not None or told.puts_back:
            yield from self._store.handoffs.release(self.agent.name, opened.key, fence=claim.fence)
            yield from self._told(opened, told)
        if attempted.error is not None:  # whatever an agent raises is its failure, not ours
            self._failed(opened, ended_by(attempted.error, signs))
        took_ms = (time.perf_counter() - began) * 1000
        return Returned(attempted.value, tuple(emitted), subresults, took_ms)

    def _told(self, opened: Opened, told: Told) -> Asking[None]:
        """An agent that was told to end, and did, has not failed. Raises :class:`Leave` with what becomes of its step: nothing,
        where its run has ended, as for every message of it; or another worker's turn."""
        if told.ended:
            claim = yield from self._claimer.claim(opened)
            if claim.verdict is ClaimVerdict.GRANTED:  # it is wanted after all
                yield from self._store.handoffs.release(self.agent.name, opened.key, fence=claim.fence)
        if told.ended or told.puts_back:
            raise Leave(again(opened.came, _SOON, Reason.STOPPING, attempt=opened.delivery.attempt))

    def _failed(self, opened: Opened, error: BaseException) -> NoReturn:
        waited = timedelta(milliseconds=opened.delivery.waited)
        verdict = opened.retry.verdict(opened.delivery.attempt, error, waited)
        if verdict.wait is None:
            raise refuse(_kind_of(error, verdict), error)
        raise Leave(TryAgain(verdict.wait, error, verdict.counts, verdict.waited))

    # 5. Settle

    def _settle(self, opened: Opened, claim: Claim, closed: Closed, returned: Returned) -> Asking[Settled]:
        """Record the outcome, the history and the run's advance, if the lease still holds: one round trip."""
        entry = self._entries.settled(EntryKind.SETTLED, opened, closed)
        quiet = (
            {name: value for name, value in entry.items() if name != "emitted"}
            if "emitted" in entry
            else None
        )
        settled = yield from self._store.handoffs.settle(
            opened.place,
            agent=self.agent.name,
            key=opened.key,
            content=opened.content,
            fence=claim.fence,
            record=closed.record,
            entry=entry,
            onward=self._onward(opened, claim, closed),
            edit=opened.edit,
            quiet=quiet,
            emits=bool(opened.event and closed.record.events),
        )
        if (
            settled.verdict is SettleVerdict.TOO_LARGE
        ):  # the run has recorded nothing, and the key is not to know of it either
            yield from self._store.handoffs.withdraw(self.agent.name, opened.key, claim.fence)
        elif settled.kept:
            returned.subresults.let_go()
        return self._stands(opened, closed, settled)

    def _settle_known(self, opened: Opened, claim: Claim, closed: Closed) -> Asking[Settled]:
        """The same with an outcome that was there: of this step, or of its key. Of a run that has ended since, only the events
        of a step are left, for which the broker may have had no room."""
        onward = self._onward(opened, claim, closed)
        if claim.verdict is ClaimVerdict.COMPLETED:
            moves = tuple(
                move for move in closed.route.moves if isinstance(move, Go) and move.send.agent == EVENT
            )
            if moves:
                events = replace(closed, route=replace(closed.route, moves=moves))
                yield from self._pass_on(opened, events, Settled(SettleVerdict.AGAIN))
            raise Leave(Done(f"completed run={opened.place.run} step={opened.place.step}"))
        if claim.verdict is ClaimVerdict.SETTLED:
            settled = yield from self._store.handoffs.follow(
                opened.place, record=closed.record, onward=onward
            )
        else:
            settled = yield from self._store.handoffs.settle_known(
                opened.place,
                fence=claim.fence,
                record=closed.record,
                entry=self._entries.settled(EntryKind.DEDUPLICATED, opened, closed),
                onward=onward,
                edit=opened.edit,
                by_key=True,
            )
        return self._stands(opened, closed, settled)

    def _onward(self, opened: Opened, claim: Claim, closed: Closed) -> Advance:
        outcome = outcome_ref(self.agent.name, opened.key, claim.fence)
        return with_undo(closed.route.advance(), opened.place.step, opened.delivery.kwargs, outcome)

    def _stands(self, opened: Opened, closed: Closed, settled: Settled) -> Settled:
        """Where another run took the key over, its outcome will be this step's as well, once it stands. What makes its join too
        large for a message is parked."""
        if settled.verdict is SettleVerdict.TOO_LARGE:
            raise refuse(FailureKind.TOO_LARGE, too_large_for_join(settled, closed.route.most))
        if settled.fenced:
            raise Leave(again(opened.came, _SOON, Reason.LATE, attempt=opened.delivery.attempt))
        return settled

    # 6. Pass on

    def _pass_on(self, opened: Opened, closed: Closed, settled: Settled) -> Asking[None]:
        """Publish what comes next, confirmed. Doing it again gives the same messages, and they count once."""
        cause = opened.envelope
        if settled.verdict is SettleVerdict.UNDO and settled.undo:
            batches = self._router.undone(opened.place, settled.undo)
            cause = cause.model_copy(update={"expiry_time": None})  # what was done is undone whenever that is
        else:
            batches = self._router.outgoing(opened.place, closed.route, settled)
        try:
            yield from send(batches, replace(closed.sending, cause=cause))
        except Leave:
            raise
        except Exception as error:  # what a join has put together, above all, leads to what cannot be sent
            if passes(error):
                raise
            raise refuse(FailureKind.NOT_PASSED_ON, error) from error

    def _let_go(self, opened: Opened, claim: Claim, closed: Closed, settled: Settled) -> None:
        """An outcome that its key has, and that nothing undoes, needs no copy in the run any more."""
        kept = settled.kept or claim.verdict is ClaimVerdict.DONE
        stands = settled.verdict in {SettleVerdict.SETTLED, SettleVerdict.AGAIN}
        if stands and kept and not opened.delivery.kwargs.get("undo"):
            self._store.let_go(opened.place, claim.fence, closed.record)

    # What leaves the straight path

    def _ended(
        self, delivery: Delivery, opened: Opened | None, ending: Done | Postpone | Park | Refusal | TryAgain
    ) -> Asking[Outcome]:
        match ending:
            case Done() | Postpone() | Park():
                return ending
            case Refusal():
                return (yield from self.parking.refuse(delivery, opened, ending))
            case TryAgain():
                return (yield from self._again(delivery, opened, ending))

    def _again(self, delivery: Delivery, opened: Opened | None, ending: TryAgain) -> Asking[Outcome]:
        """Another attempt after a wait; one that asked for it itself has not counted."""
        told = self.parking.told(ending.error, opened)
        if opened is not None:
            entry = self._entries.again(opened, told, ending)
            yield from self._store.steps.note(opened.place.run, entry)
        next_one = again(
            delivery,
            ending.wait,
            Reason.FAILED,
            attempt=delivery.attempt + ending.counts,
            waited=math.ceil(ending.waited / timedelta(milliseconds=1)),
        )
        what = "failed" if ending.counts else f"waits {ending.wait.total_seconds():g} s, as it asked"
        line = f"attempt {delivery.attempt} {what}: {told.name}: {told.text}"
        return replace(next_one, summary=line, error=ending.error, trace=told.trace)


def _kind_of(error: BaseException, verdict: Verdict) -> FailureKind:
    """Why a step is parked whose attempt has failed for good."""
    if isinstance(error, OverBudget):
        return FailureKind.OVER_BUDGET
    return FailureKind.ALLOWANCE if verdict.spent else FailureKind.ERROR
