"""The handoff: open, claim, run, close, settle, pass on. Read :meth:`Handoff.__call__` from top to bottom.

It decides, and asks for what it needs of Redis, of the broker and of its agent; a driver performs that (dispatch/requests.py):
two round trips to Redis (claim, settle) and one confirmed publish (pass on). A crash anywhere before the acknowledgement
redelivers the message; the claim, and message ids that are derived, make that harmless.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from handoffs.config.settings import Settings
from handoffs.contracts.contract import Contract
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation.moves import Go
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.requests import Asking, Invoke
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.claiming import Claimer
from handoffs.coordinator.handoff.close import Closed, Closer, Returned
from handoffs.coordinator.handoff.context import context_of
from handoffs.coordinator.handoff.entries import HandoffEntries, summary, undo_of
from handoffs.coordinator.handoff.events import Events
from handoffs.coordinator.handoff.failure import FailureKind, describe
from handoffs.coordinator.handoff.lease import LeaseKeeper
from handoffs.coordinator.handoff.open import Opened, Opener, again
from handoffs.coordinator.handoff.outcome import (
    Done,
    Leave,
    Outcome,
    Postpone,
    Reason,
    Refusal,
    TryAgain,
    refuse,
)
from handoffs.coordinator.handoff.parking import Parking
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.store.claim import Claim, ClaimVerdict
from handoffs.coordinator.store.event_sets import AskEventSets
from handoffs.coordinator.store.settlement import Settled, SettleVerdict
from handoffs.coordinator.store.store import Store

_SOON = timedelta(milliseconds=50)


class Handoff:
    """The handoffs of one agent in one process. Safe for threads.

    :class:`~handoffs.coordinator.errors.ServerError` leaves it where Redis or the broker fails on the way: the message is then
    neither acknowledged nor parked, and comes again.
    """

    def __init__(
        self, agent: Agent, settings: Settings, store: Store, leases: LeaseKeeper, negotiator: Negotiator
    ) -> None:
        self.agent = agent
        self._settings = settings
        self._store = store
        self._leases = leases
        self._router = Router(store, negotiator)
        limits = Limits(octets=settings.max_message_bytes)
        events = Events(agent, store, negotiator.versions, AskEventSets(settings))
        self._opener = Opener(agent, store, events, negotiator, limits)
        self._claimer = Claimer(agent, store, settings.crash_limit)
        self._closer = Closer(agent, store, self._router, negotiator, limits)
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
            if claim.verdict is ClaimVerdict.GRANTED:
                with self._leased(opened, claim):
                    returned = yield from self._run(opened, claim)  # 3. run
                    closed = yield from self._closer.close(opened, claim, returned)  # 4. close
                    settled = yield from self._settle(opened, claim, closed)  # 5. settle
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

    def _leased(self, opened: Opened, claim: Claim) -> AbstractContextManager[None]:
        return self._leases.keep(self.agent.name, opened.key, claim.fence)

    def _run(self, opened: Opened, claim: Claim) -> Asking[Returned]:
        """Call the agent's function. What it raises is retried or parked by the step's policy."""
        emitted: list[Contract] = []
        context = context_of(self.agent, opened, self._settings, self._store, emitted)
        began = time.perf_counter()
        try:
            value = yield Invoke(lambda: self.agent.run(opened.payload, context))
        except (Exception, SystemExit) as error:  # whatever an agent raises is its failure, not ours
            if isinstance(error, SystemExit) and _ended_by_signal(error):
                raise  # the pool ends this process: its parent says what becomes of the step
            yield from self._store.handoffs.release(self.agent.name, opened.key, fence=claim.fence)
            self._failed(opened, error)
        return Returned(value, tuple(emitted), (time.perf_counter() - began) * 1000)

    def _failed(self, opened: Opened, error: BaseException) -> NoReturn:
        wait = opened.retry.wait(opened.delivery.attempt, error) if isinstance(error, Exception) else None
        raise refuse(FailureKind.ERROR, error) if wait is None else Leave(TryAgain(wait, error))

    # 5. Settle

    def _settle(self, opened: Opened, claim: Claim, closed: Closed) -> Asking[Settled]:
        """Record the outcome, the history and the run's advance, if the lease still holds: one round trip."""
        entry = self._entries.settled(EntryKind.SETTLED, opened, closed)
        quiet = {name: value for name, value in entry.items() if name != "emitted"}
        settled = yield from self._store.handoffs.settle(
            opened.place,
            agent=self.agent.name,
            key=opened.key,
            content=opened.content,
            fence=claim.fence,
            record=closed.record,
            entry=entry,
            late={**quiet, "kind": EntryKind.LATE},
            onward=replace(closed.route.advance(), undo=undo_of(opened)),
            edit=opened.edit,
            quiet=quiet if "emitted" in entry else None,
            emits=bool(opened.event and closed.record.events),
        )
        return self._stands(opened, settled)

    def _settle_known(self, opened: Opened, claim: Claim, closed: Closed) -> Asking[Settled]:
        """The same with an outcome that was there: of this step, or of its key. Of a run that has ended since, only the events
        of a step are left, for which the broker may have had no room."""
        advance = closed.route.advance()
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
                opened.place, record=closed.record, onward=replace(advance, undo=undo_of(opened))
            )
        else:
            settled = yield from self._store.handoffs.settle_known(
                opened.place,
                fence=claim.fence,
                record=closed.record,
                entry=self._entries.settled(EntryKind.DEDUPLICATED, opened, closed),
                onward=advance,
                edit=opened.edit,
            )
        return self._stands(opened, settled)

    def _stands(self, opened: Opened, settled: Settled) -> Settled:
        """Where another run took the key over, its outcome will be this step's as well, once it stands."""
        if settled.fenced:
            raise Leave(again(opened.came, _SOON, Reason.LATE, attempt=opened.delivery.attempt))
        return settled

    # 6. Pass on

    def _pass_on(self, opened: Opened, closed: Closed, settled: Settled) -> Asking[None]:
        """Publish what comes next, confirmed. Doing it again gives the same messages, and they count once."""
        if settled.verdict is SettleVerdict.UNDO:
            batches = self._router.undo_at_once(opened.place, undo_of(opened), closed.record)
        else:
            batches = self._router.outgoing(opened.place, closed.route, settled)
        source = f"/agents/{self.agent.name}"
        yield from send(
            batches,
            Sending(opened.place.run, source, opened.envelope, key=closed.key, keys=closed.keys),
        )

    def _let_go(self, opened: Opened, claim: Claim, closed: Closed, settled: Settled) -> None:
        """An outcome that its key has, and that nothing undoes, needs no copy in the run any more."""
        kept = settled.kept or claim.verdict is ClaimVerdict.DONE
        if settled.verdict in {SettleVerdict.SETTLED, SettleVerdict.AGAIN} and kept and not undo_of(opened):
            self._store.let_go(opened.place, claim.fence, closed.record)

    # What leaves the straight path

    def _ended(
        self, delivery: Delivery, opened: Opened | None, ending: Done | Postpone | Refusal | TryAgain
    ) -> Asking[Outcome]:
        match ending:
            case Done() | Postpone():
                return ending
            case Refusal():
                return (yield from self.parking.refuse(delivery, opened, ending))
            case TryAgain(wait, error):
                name, text = describe(error)
                if opened is not None:
                    entry = self._entries.retried(opened, f"{name}: {text}", wait)
                    yield from self._store.steps.note(opened.place.run, entry)
                next_one = again(delivery, wait, Reason.FAILED, attempt=delivery.attempt + 1)
                line = f"attempt {delivery.attempt} failed: {name}: {text}"
                return replace(next_one, summary=line, error=error)


def _ended_by_signal(error: SystemExit) -> bool:
    """Whether the prefork pool's signal handler raised it, and not the agent: its code is ``-(256 - signal)``."""
    return isinstance(error.code, int) and -256 < error.code < 0
