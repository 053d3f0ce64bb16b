"""The handoff: open, claim, run, close, settle, pass on. Read :meth:`Handoff.__call__` from top to bottom.

Two round trips to Redis (claim, settle) and one confirmed publish (pass on). A crash anywhere before the
acknowledgement redelivers the message; the claim, and message ids that are derived, make that harmless.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NoReturn

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import CoordinationError, InvalidData, InvalidInput
from handoffs.contracts.event import Nothing
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.arrival import budgets_as_read, budgets_of
from handoffs.coordinator.continuation.moves import Go, Value
from handoffs.coordinator.continuation.path import event_of
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.routing import Route, Router
from handoffs.coordinator.dispatch.sender import Sender
from handoffs.coordinator.errors import AgentError, ServerError
from handoffs.coordinator.flow.agent import Agent, Context
from handoffs.coordinator.handoff.events import Hearing
from handoffs.coordinator.handoff.failure import Failure, Kind, parked_entry, said
from handoffs.coordinator.handoff.lease import LeaseKeeper
from handoffs.coordinator.handoff.open import Opened, Opener, Parking
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.store.claim import Claim
from handoffs.coordinator.store.event_sets import EventSets
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Settled, SettleVerdict
from handoffs.coordinator.store.store import Store

_log = logging.getLogger("coordinator.agents")
_BUSY = timedelta(milliseconds=50)
_LONGEST_LOOK = timedelta(seconds=5)
_MOST_EVENTS = 10_000

OTHERS = "left to another build of the agent"
"""The summary of an event that a worker cannot do anything with, and others can."""


@dataclass(frozen=True, slots=True)
class Done:
    """The message is dealt with: acknowledge it. ``summary`` says how, in a line without payload."""

    summary: str


@dataclass(frozen=True, slots=True)
class Later:
    """Publish ``message`` again after ``wait``, then acknowledge. ``error`` is what the attempt failed with, if it did."""

    wait: timedelta
    message: Message
    summary: str
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """Reject the message to the dead-letter queue."""

    failure: Failure


Outcome = Done | Later | Park


class _Over(Exception):
    """Leaves the handoff: there is nothing to do, or not now."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class _TryLater(Exception):
    """Leaves the handoff: the attempt failed, the policy wants another."""

    def __init__(self, wait: timedelta, error: BaseException) -> None:
        super().__init__(wait, error)
        self.wait = wait
        self.error = error


@dataclass(frozen=True, slots=True)
class _Closed:
    """An outcome that is known to be good: as it is recorded, where it goes and how it is written there, as people may see
    it, and how long it took."""

    record: Record
    onward: Route
    key: str | None
    shown: Any
    took_ms: float | None
    keys: Mapping[str, str | None] = field(default_factory=dict)
    """The idempotency keys of the events, by the step that they are sent as."""


class Handoff:
    """The handoffs of one agent in one process. Safe for threads.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the broker fails on the way: the message is then
    neither acknowledged nor parked, and comes again.
    """

    def __init__(
        self,
        agent: Agent,
        settings: Settings,
        store: Store,
        publisher: Publisher,
        leases: LeaseKeeper,
        negotiator: Negotiator,
    ) -> None:
        self.agent = agent
        self._settings = settings
        self._store = store
        self._publisher = publisher
        self._leases = leases
        self._router = Router(store, negotiator)
        self._sender = Sender(publisher)
        self._negotiator = negotiator
        self._versions = negotiator.versions
        self._limits = Limits(octets=settings.max_message_bytes)
        hearing = Hearing(agent, store, publisher, negotiator.versions, EventSets(store.redis, settings))
        self._opener = Opener(agent, store, hearing, negotiator.versions, self._limits)

    def __call__(self, delivery: Delivery) -> Outcome:
        """Handle one delivery."""
        opened = None
        try:
            self._heed(delivery)
            opened = self._opener.open(delivery)
            self._hear(opened)
            claim = self._claim(opened)
            while claim.verdict == "edited":  # a person has given the step another input since it was sent
                opened = self._opener.edited(delivery, claim.edit)
                claim = self._claim(opened)
            self._catch_up(opened, claim)
            if claim.verdict == "granted":
                with self._leases.keep(self.agent.name, opened.key, claim.fence):
                    output, took_ms = self._run(opened, claim)
                    closed = self._close(opened, claim, output, took_ms)
                    settled = self._settle(opened, claim, closed)
            else:
                closed = self._known(opened, claim)
                settled = self._settle_known(opened, claim, closed)
            self._pass_on(opened, closed, settled)
            self._opener.finish(opened)
            self._let_go(opened, claim, closed, settled)
            return Done(self._summary(settled, claim, opened, closed))
        except _Over as over:
            return over.outcome
        except _TryLater as later:
            return self._retry(delivery, opened, later)
        except Parking as parking:
            return self._park(delivery, opened, parking.kind, parking.error)

    # 1. Open: coordinator/opener.py

    def _heed(self, delivery: Delivery) -> None:
        """An event to which this build does not subscribe is left to one that does, as long as there is one."""
        if not self._opener.deaf(delivery):
            return
        if not self._negotiator.subscribes(self.agent.name, str(delivery.kwargs["event"])):
            raise _Over(Done(self._opener.forgone(delivery)))
        raise _Over(_look_again(delivery, delivery, _LONGEST_LOOK, OTHERS))

    def _hear(self, opened: Opened) -> None:
        """An event that the agent does not want, or that waits for others, is dealt with here."""
        heard = self._opener.hear(opened)
        if heard:
            raise _Over(Done(heard))

    # 2. Claim

    def _claim(self, opened: Opened) -> Claim:
        """Ask what is known of the step and of the key, and take the lease if it is free: one round trip."""
        claim = self._store.claim(
            opened.place,
            agent=self.agent.name,
            key=opened.key,
            content=opened.content,
            owner=opened.delivery.owner,
            replays=opened.delivery.replays,
            budgets=budgets_of(opened.cursor),
            edit=opened.edit,
            supersedes=opened.supersedes,
        )
        if claim.verdict == "conflict":
            raise Parking(
                "conflict",
                CoordinationError(
                    f"the idempotency key {opened.key!r} of {self.agent.name} was used with another content",
                    "the agent did not run",
                    "use another key for other work",
                ),
            )
        if claim.verdict == "poison":
            limit = self._settings.crash_limit
            raise Parking(
                "poison", CoordinationError(f"the step lost its worker {limit} times", "it was not run again")
            )
        if claim.verdict == "granted" and opened.envelope.expired():  # an outcome is passed on
            self._store.release(self.agent.name, opened.key, fence=claim.fence)
            deadline = opened.envelope.expiry_time
            raise Parking("expired", InvalidInput(f"the deadline {deadline} has passed"))
        if claim.verdict in {"busy", "paused"}:
            raise _Over(self._wait_for(opened, claim))
        if claim.verdict not in {"granted", "edited"} and claim.record is None:
            raise _Over(Done(f"{claim.verdict} run={opened.place.run} step={opened.place.step}"))
        return claim

    def _catch_up(self, opened: Opened, claim: Claim) -> None:
        """Of a step that is settled, of a run that has ended since: its events, which the broker may not have had room for."""
        if claim.verdict != "completed":
            return
        closed = self._known(opened, claim)
        events = tuple(
            move for move in closed.onward.moves if isinstance(move, Go) and move.send.agent == EVENT
        )
        if events:
            emitting = replace(closed, onward=replace(closed.onward, moves=events))
            self._pass_on(opened, emitting, Settled(SettleVerdict.AGAIN))
        raise _Over(Done(f"completed run={opened.place.run} step={opened.place.step}"))

    def _wait_for(self, opened: Opened, claim: Claim) -> Later:
        """Somebody else runs this, or the run is held: look again soon, then ever later, at the latest when the lease would
        have ended."""
        delivery = opened.delivery
        if claim.verdict == "paused":
            self._store.stopped(opened.place, self._known_of(opened))
        return _look_again(delivery, opened.came, max(claim.wait, _BUSY), claim.verdict)

    def _known_of(self, opened: Opened) -> dict[str, Any]:
        """What there is to say of a message that is held: what an edit of its input has to know, and what people see."""
        return {
            "agent": self.agent.name,
            "key": opened.key,
            "given": opened.envelope.idempotency_key,
            "turn": str(opened.delivery.kwargs.get("turn") or ""),
            "content": opened.content,
            "contract": str(opened.envelope.contract),
            "event": opened.event,
            "payload": opened.payload.redacted(),
            "budgets": list(budgets_of(opened.cursor)),
            "attempt": opened.delivery.attempt,
            "at": now(),
        }

    # 3. Run

    def _run(self, opened: Opened, claim: Claim) -> tuple[Any, float]:
        """Call the agent's function. What it raises is retried or parked by the step's policy."""
        context = self._context(opened)
        began = time.perf_counter()
        try:
            output = self.agent.run(opened.payload, context)
        except (Exception, SystemExit) as error:  # whatever an agent raises is its failure, not ours
            if isinstance(error, SystemExit) and _ended_by_signal(error):
                raise  # the pool ends this process: its parent says what becomes of the step
            self._failed(opened, claim, error)
        return output, (time.perf_counter() - began) * 1000

    def _failed(self, opened: Opened, claim: Claim, error: BaseException) -> NoReturn:
        self._store.release(self.agent.name, opened.key, fence=claim.fence)
        wait = opened.retry.wait(opened.delivery.attempt, error) if isinstance(error, Exception) else None
        if wait is None:
            raise Parking("error", error)
        raise _TryLater(wait, error)

    # 4. Close

    def _close(self, opened: Opened, claim: Claim, output: Any, took_ms: float) -> _Closed:
        """Validate the output: exactly the contract that the agent declares, checked once more as it will be read."""
        try:
            output, events = self._returned(opened, output)
            data = output.to_data()
            self.agent.emits.from_data(data)
            said = strictjson.dumps([_event(one) for one in events]) if events else ""
            record = Record(self.agent.emits.ref().uri, strictjson.dumps(data), said)
            strictjson.loads(record.data, self._limits)
            onward = self._course(opened, record, output, events)
        except ServerError:
            raise
        except Exception as error:
            self._store.release(self.agent.name, opened.key, fence=claim.fence)
            raise Parking("invalid-output", error) from error
        keys = _keys(opened.place, events)
        return _Closed(record, onward, output.key(), output.redacted(), round(took_ms, 3), keys)

    def _returned(self, opened: Opened, returned: Any) -> tuple[Any, list[Any]]:
        """The output, and the events that are emitted with it: those that it declares."""
        output, found = self.agent.outcome(returned)
        if type(output) is not self.agent.emits:
            raise InvalidData(
                f"it returned {type(output).__name__}, and declares {self.agent.emits.__name__}"
            )
        if opened.event and self.agent.emits is not Nothing:
            found = (output,)
        events = [*found, *opened.emitted]
        for event in events:
            if type(event) not in (self.agent.emits, *self.agent.events):
                raise InvalidData(f"it emitted {type(event).__name__}, which it does not declare")
        if len(events) > _MOST_EVENTS:
            raise InvalidData(f"it emitted {len(events)} events, and {_MOST_EVENTS} are the most")
        return output, events

    def _known(self, opened: Opened, claim: Claim) -> _Closed:
        """An outcome that was recorded before: by this step, or by another under the same key."""
        record = claim.record
        assert record is not None
        if opened.event and record.events and claim.verdict == "done":
            store, name = self._store, self.agent.name
            if not store.emits_once(
                opened.place, name, opened.key
            ):  # or events in a circle would go on for ever
                record = replace(record, events="")
        output: Contract | None
        try:
            ref = ContractRef.from_uri(record.schema)
            output = self._versions.read(self.agent.emits, ref, json.loads(record.data))
            known = self._emitted(record)
            onward = self._course(opened, record, output, known)
        except InvalidInput:  # written by a newer build: pass it on as it is, its reader validates it
            unread = [None for _ in json.loads(record.events or "[]")]
            return _Closed(record, self._course(opened, record, None, unread), None, None, None)
        keys = _keys(opened.place, known)
        return _Closed(record, onward, output.key(), output.redacted(), None, keys)

    def _emitted(self, record: Record) -> list[Contract | None]:
        """The events of an outcome that was recorded before; None for one that this build does not emit."""
        known = {one.ref().name: one for one in (self.agent.emits, *self.agent.events)}
        events: list[Contract | None] = []
        for uri, data in json.loads(record.events or "[]"):
            ref = ContractRef.from_uri(uri)
            contract = known.get(ref.name)
            events.append(self._versions.read(contract, ref, data) if contract else None)
        return events

    def _course(
        self, opened: Opened, record: Record, output: Contract | None, events: Sequence[Contract | None] = ()
    ) -> Route:
        """Where the output and the events go, each written in the newest version that every live consumer of it accepts."""
        place = opened.place
        emitted = advance.emitted(place.step, place.flow, json.loads(record.events or "[]"))
        typed = {go.send.step: event for go, event in zip(emitted, events, strict=True)}
        if opened.event:
            return self._router.route(emitted, record, output, typed)
        try:
            moves = advance.after(opened.cursor, Value(record.schema, json.loads(record.data)))
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise InvalidData("the continuation of the message is malformed") from error
        return self._router.route([*moves, *emitted], record, output, typed)

    # 5. Settle

    def _settle(self, opened: Opened, claim: Claim, closed: _Closed) -> Settled:
        """Record the outcome, the history and the run's advance, if the lease still holds: one round trip."""
        entry = self._entry(EntryKind.SETTLED, opened, closed)
        quiet = {name: value for name, value in entry.items() if name != "emitted"}
        settled = self._store.settle(
            opened.place,
            agent=self.agent.name,
            key=opened.key,
            content=opened.content,
            fence=claim.fence,
            record=closed.record,
            entry=entry,
            late={**quiet, "kind": "late"},
            onward=replace(closed.onward.advance(), undo=self._undo(opened)),
            edit=opened.edit,
            quiet=quiet if "emitted" in entry else None,
            emits=bool(opened.event and closed.record.events),
        )
        return self._stands(opened, settled)

    def _settle_known(self, opened: Opened, claim: Claim, closed: _Closed) -> Settled:
        onward = closed.onward.advance()
        if claim.verdict == "settled":
            onward = replace(onward, undo=self._undo(opened))
            settled = self._store.follow(opened.place, record=closed.record, onward=onward)
        else:
            settled = self._store.settle_known(
                opened.place,
                fence=claim.fence,
                record=closed.record,
                entry=self._entry(EntryKind.DEDUPLICATED, opened, closed),
                onward=onward,
                edit=opened.edit,
            )
        return self._stands(opened, settled)

    def _stands(self, opened: Opened, settled: Settled) -> Settled:
        """Where another run took the key over, its outcome will be this step's as well, once it stands."""
        if settled.fenced:
            raise _Over(Later(_BUSY, opened.came.again(attempt=opened.delivery.attempt), "late"))
        return settled

    def _undo(self, opened: Opened) -> str:
        """What undoes this step, if anything does."""
        undo = opened.delivery.kwargs.get("undo")
        return json.dumps({"step": opened.place.step, **undo}) if isinstance(undo, dict) else ""

    # 6. Pass on

    def _pass_on(self, opened: Opened, closed: _Closed, settled: Settled) -> None:
        """Publish what comes next, confirmed. Doing it again gives the same messages, and they count once."""
        if settled.verdict == "undo":
            record = closed.record
            one = {**json.loads(self._undo(opened)), "schema": record.schema, "data": json.loads(record.data)}
            batches = self._router.undone(opened.place, [one])
        else:
            batches = self._router.outgoing(opened.place, closed.onward, settled)
        self._sender.send(
            batches,
            Sending(
                opened.place.run,
                f"/agents/{self.agent.name}",
                opened.envelope,
                key=closed.key,
                keys=closed.keys,
            ),
        )

    def _let_go(self, opened: Opened, claim: Claim, closed: _Closed, settled: Settled) -> None:
        """An outcome that its key has, and that nothing undoes, needs no copy in the run any more."""
        kept = settled.kept or claim.verdict == "done"
        if settled.verdict in {"settled", "again"} and kept and not self._undo(opened):
            self._store.let_go(opened.place, claim.fence, closed.record)

    # What leaves the straight path

    def _retry(self, delivery: Delivery, opened: Opened | None, later: _TryLater) -> Later:
        error, text = said(later.error)
        if opened is not None:
            entry = self._entry(EntryKind.RETRIED, opened, None, error=f"{error}: {text}", wait=later.wait)
            self._store.note(opened.place.run, entry)
        again = delivery.again(attempt=delivery.attempt + 1)
        return Later(later.wait, again, f"attempt {delivery.attempt} failed: {error}: {text}", later.error)

    def _park(self, delivery: Delivery, opened: Opened | None, kind: Kind, error: BaseException) -> Outcome:
        shown = opened.payload.redacted() if opened else None
        contract = str(opened.envelope.contract) if opened else ""
        return self.park(delivery, kind, *said(error), payload=shown, contract=contract)

    def park(
        self,
        delivery: Delivery,
        kind: Kind,
        error: str,
        text: str,
        *,
        payload: Any = None,
        contract: str = "",
    ) -> Outcome:
        """Record that the step is parked. Where it is settled or the run has ended by now, there is nothing to park."""
        failure = Failure(
            kind=kind,
            error=error,
            text=text,
            message=delivery.id,
            agent=self.agent.name,
            attempt=delivery.attempt,
            at=now(),
            contract=contract,
            worker=delivery.worker,
            payload=payload,
            budgets=" ".join(budgets_as_read(delivery.step, delivery.chain, delivery.chord)),
        )
        run = delivery.run
        if run and delivery.step:
            place = StepRef(run, delivery.flow, delivery.step)
            event = str(delivery.headers.get("parent_id") or "") if "event" in delivery.kwargs else ""
            status = self._store.park(place, failure.fields(), parked_entry(place, failure, event))
            if status != "parked":
                return Done(f"{status} run={run} step={delivery.step}")
        return Park(failure)

    def release_for(self, delivery: Delivery) -> None:
        """Give back the lease that a child process held when it died."""
        try:
            opened = self._opener.open(delivery)
            text = self._store.edit_of(opened.place)
            opened = self._opener.edited(delivery, text) if text else opened
        except Parking:  # it got no further than this, so it held none
            return
        self._store.release(self.agent.name, opened.key, owner=delivery.owner)

    # Helpers

    def _context(self, opened: Opened) -> Context:
        place = opened.place
        story = {"run": place.run, "step": place.step, "agent": self.agent.name}
        budgets = budgets_of(opened.cursor)
        return Context(
            run_id=place.run,
            flow=place.flow,
            step=place.step,
            agent=self.agent.name,
            idempotency_key=opened.key,
            attempt=opened.delivery.attempt,
            deadline=opened.envelope.expiry_time,
            settings=self._settings,
            logger=_StoryLogger(_log, story),
            fallback=opened.envelope.fallback or "",
            given_up=lambda: any(self._store.closed(place, path) for path in budgets),
            event=opened.envelope.id if opened.event else "",
            emit=lambda event: self._emit(opened, event),
        )

    def _emit(self, opened: Opened, event: Contract) -> None:
        if type(event) not in self.agent.events:
            raise AgentError(
                f"{self.agent.name} emits {type(event).__name__}, which it does not declare",
                "it was not sent",
                f"declare it: @agent({self.agent.name!r}, events=({type(event).__name__},))",
            )
        opened.emitted.append(event)

    def _entry(
        self,
        kind: EntryKind,
        opened: Opened,
        closed: _Closed | None,
        error: str = "",
        wait: timedelta = timedelta(),
    ) -> dict[str, Any]:
        wrote = ContractRef.from_uri(closed.record.schema) if closed else ""
        original = opened.envelope.original_schema
        return Entry(
            kind,
            opened.place.run,
            opened.place.flow,
            now(),
            step=opened.place.step,
            agent=self.agent.name,
            attempt=opened.delivery.attempt,
            message=opened.delivery.id,
            read=str(opened.envelope.contract),
            wrote=str(wrote),
            sent=closed.onward.sent_otherwise() if closed else None,
            event=opened.envelope.id if opened.event else "",
            emitted=closed.onward.emissions(opened.place.run) if closed else None,
            original=str(ContractRef.from_uri(original)) if original else "",
            migrated=opened.migrated,
            fallback=opened.envelope.fallback or "",
            input=opened.payload.redacted(),
            output=closed.shown if closed else None,
            took_ms=closed.took_ms if closed else None,
            worker=opened.delivery.worker,
            error=error,
            wait_ms=round(wait.total_seconds() * 1000),
        ).fields()

    def _summary(self, settled: Settled, claim: Claim, opened: Opened, closed: _Closed) -> str:
        word = "deduplicated" if settled.verdict == "settled" and claim.verdict == "done" else settled.verdict
        return f"{word} {ContractRef.from_uri(closed.record.schema)} run={opened.place.run} step={opened.place.step}"


def _ended_by_signal(error: SystemExit) -> bool:
    """Whether the prefork pool's signal handler raised it, and not the agent: its code is ``-(256 - signal)``."""
    return isinstance(error.code, int) and -256 < error.code < 0


def _keys(place: StepRef, events: Sequence[Contract | None]) -> dict[str, str | None]:
    return {
        event_of(place.step, number): event.key() if event else None for number, event in enumerate(events)
    }


def _look_again(delivery: Delivery, came: Delivery, longest: timedelta, why: str) -> Later:
    """The message as it ``came``, soon once more, and ever later, but never later than ``longest``."""
    wait = min(_BUSY * 2 ** min(delivery.looks, 10), longest)
    return Later(wait, came.again(attempt=delivery.attempt, looks=delivery.looks + 1), why)


def _event(event: Contract) -> tuple[str, Any]:
    return event.ref().uri, event.to_data()


class _StoryLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts run, step and agent before every line, and into the record for structured handlers."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        story = dict(self.extra or {})
        kwargs["extra"] = {**story, **kwargs.get("extra", {})}
        return f"run={story['run']} step={story['step']} agent={story['agent']} {msg}", kwargs
