"""Control: what people do to a run that was accepted: cancel it, hold it, let it go on, send it a signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.searchable import marks
from handoffs.contracts.text import printable, quoted
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Value
from handoffs.coordinator.continuation.path import SIGNAL, budgets_around, is_set, is_story
from handoffs.coordinator.dispatch.outgoing import Batches
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.errors import SealBroken, ServerError, SignalRefused, UnknownRun
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.places import waits
from handoffs.coordinator.flow.usage import Spending, Usage
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.compensation import Compensation
from handoffs.coordinator.runs.spans import trace_of_run
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.run_state import RunState


@dataclass(frozen=True, slots=True)
class _Signal:
    """A signal on its way to a run."""

    run_id: str
    flow: str
    name: str
    payload: Contract
    by: str
    why: str

    def entry(self, kind: EntryKind, *, step: str, error: str = "") -> Entry:
        """What the history says of it."""
        shown = self.payload.redacted()
        return Entry(
            kind,
            self.run_id,
            self.flow,
            now(),
            step=step,
            wrote=str(self.payload.ref()),
            input=shown,
            marks=marks((type(self.payload), shown)) if kind is EntryKind.SIGNALLED else None,
            by=self.by,
            why=self.why,
            error=error,
        )


class Controls:
    """Controls runs by their ids. Safe for threads.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails. ``again`` is called when a run
    that was held goes on or has ended: in eager mode no message comes back from it by itself.
    """

    def __init__(self, services: Services, journal: Journal, again: Callable[[], object]) -> None:
        self._services = services
        self._journal = journal
        self._again = again

    def cancel(self, run_id: str, by: str = "", *, compensate: bool = False, why: str = "") -> None:
        """Cancel a run, and with ``compensate`` undo what its steps did. A run that has ended stays as it is."""
        self._end(EntryKind.CANCELLED, run_id, by, why, compensate=compensate)

    def give_up(self, run_id: str, by: str = "", why: str = "") -> None:
        """Abandon a run: cancel it, and undo what its steps did. A run that has ended stays as it is."""
        self._end(EntryKind.GIVEN_UP, run_id, by, why, compensate=True)

    def pause(self, run_id: str, by: str = "", why: str = "") -> None:
        """Hold a run: nothing further begins. A run that has ended stays as it is."""
        entry = Entry(EntryKind.PAUSED, run_id, self._flow(run_id), now(), by=by, why=why)
        self._services.runs.pause(run_id, entry.fields())

    def resume(self, run_id: str, by: str = "", why: str = "") -> None:
        """Let a run that is held go on."""
        entry = Entry(EntryKind.RESUMED, run_id, self._flow(run_id), now(), by=by, why=why)
        self._services.runs.pause(run_id, entry.fields(), resume=True)
        self._again()

    def allow(self, run_id: str, spending: Spending, by: str = "", why: str = "") -> None:
        """Say what a run may use up from now on. Raises :class:`~handoffs.coordinator.errors.UnknownRun` where Redis does not know it."""
        flow = self._flow(run_id)
        if not flow:
            raise UnknownRun(
                f"Redis does not know run {run_id}", "nothing was allowed", "look at its history"
            )
        store, limits = self._services.store, spending.amounts()
        store.limit_usage(run_id, limits)
        said = {name: text for name, text in Usage.of(limits).to_json().items() if name in limits}
        entry = Entry(EntryKind.ALLOWED, run_id, flow, now(), by=by, why=why, output=said)
        store.note(run_id, entry.fields())

    def signal(
        self,
        run_id: str,
        name: str,
        payload: Contract,
        *,
        by: str = "",
        why: str = "",
        flow: Flow | None = None,
    ) -> None:
        """Send a run the signal ``name``. Sending the same again changes nothing. ``by`` and ``why`` are kept with it.

        ``flow`` is the one of the run, None where that is not known here. Raises
        :class:`~handoffs.coordinator.errors.SignalRefused`, and records it, where the flow waits for no such signal or for
        another contract, another payload came before, or no step waits for it any more; :class:`~handoffs.contracts.errors.TooLarge`, and takes nothing, where no
        message has room for it; :class:`~handoffs.coordinator.errors.UnknownRun` where the run has ended.
        """
        services = self._services
        run = services.runs.get(run_id)
        sent = _Signal(run_id, run.flow if run else "", name, payload, by, why)
        places: list[tuple[str, ...]] = []
        if flow is not None:
            self._check(sent, flow.signals)
            places = [(path, *budgets_around(path)) for path, name_of in waits(flow.step) if name_of == name]
        data = self._with_room(sent, run.awaited if run else {})
        record = Record(payload.ref().uri, strictjson.dumps(data))
        self._look_ahead(sent, run.awaited if run else {}, data)
        verdict, follows = services.runs.signal(
            run_id, name, record, sent.entry(EntryKind.SIGNALLED, step=name).fields(), places
        )
        if verdict == "conflict":
            raise self._refused(sent, f"another {name!r} came before")
        if verdict == "over":
            raise self._refused(
                sent, f"no step waits for {name!r} any more: another came, or its time was over"
            )
        if verdict not in {"accepted", "again"}:
            raise self._not_running(run_id, name, awaited=bool(places))
        if follows:
            place = StepRef(run_id, sent.flow, follows["path"])
            try:
                self._send(run, run_id, services.router.signalled(place, follows, record))
            except InvalidInput as error:  # somebody else has arrived there in between, perhaps
                if verdict == "accepted":
                    services.store.take_back(place, name, record)
                self._note_refusal(sent, error.cause)
                raise
            services.runs.let_wait_go(run_id, place.step)

    def _not_running(self, run_id: str, name: str, *, awaited: bool) -> UnknownRun:
        """The error of a signal to a run that takes none: it has ended, or Redis does not know it."""
        record = self._services.runs.state(run_id)
        status = record.status if record else self._journal.runs.states([run_id]).get(run_id, "")
        cause = f"run {run_id} is {status}" if status else f"Redis does not know run {run_id}"
        over = (
            ", and its wait for it is over: another came, or its time ran out" if awaited and status else ""
        )
        return UnknownRun(
            cause,
            f"the signal {quoted(name, 80)} was not taken{over}",
            f"see what it did (coordinator runs show {run_id}); what is to be done now needs a new run",
        )

    def _with_room(self, sent: _Signal, awaited: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The data of a signal. Raises :class:`TooLarge` where no message has room for it, or none with what the step that waits
        for it keeps; ``awaited`` is what its run waits for."""
        room = self._services.room
        data = room.check_payload(sent.payload, f"the signal {sent.name!r}")
        for path, follows in awaited.items():
            if follows["signal"] == sent.name:
                value = Value(sent.payload.ref().uri, data, item=True)
                with_kept = advance.standing_in(follows["chord"], value)
                room.check_joined(
                    with_kept.data,
                    with_kept.parts,
                    follows["chord"],
                    f"the signal {sent.name!r} with what step {path} keeps",
                )
        return data

    def _look_ahead(self, sent: _Signal, awaited: Mapping[str, dict[str, Any]], data: dict[str, Any]) -> None:
        """Raise, before anything is taken, where the run could not go on with it."""
        value = Value(sent.payload.ref().uri, data, item=True)
        for path, follows in awaited.items():
            if follows["signal"] != sent.name:
                continue
            place = StepRef(sent.run_id, sent.flow, path)
            try:
                moves = advance.stood_in(path, SIGNAL, follows["chord"], value)
                self._services.perform(self._services.router.foreseen(place, moves))
            except InvalidInput as error:
                self._note_refusal(sent, error.cause)
                raise

    def _end(self, kind: EntryKind, run_id: str, by: str, why: str, *, compensate: bool) -> None:
        services, flow = self._services, self._flow(run_id)
        entry = Entry(kind, run_id, flow, now(), by=by, why=why)
        if compensate:
            status = Compensation(services).cancel(run_id, flow, entry)
        else:
            status, _ = services.runs.cancel(run_id, entry.fields())
        if status in {"cancelled", "compensating"}:
            try:
                self._hand_on(run_id)
                self._journal.letters.cancel_run(run_id)
            except ServerError as error:
                raise ServerError(
                    error.cause,
                    f"run {run_id} is {status}; its dead letters still seem to wait",
                    "cancel it again when the journal answers: that closes them",
                ) from error
        self._again()

    def _hand_on(self, run_id: str) -> None:
        """Send the sets of events once more for which letters of the run stand: they are of other stories too, and go on there."""
        for one in self._journal.letters.waiting([run_id]):
            if not (is_set(one.step) and is_story(one.flow)):
                continue
            with suppress(SealBroken):
                row = self._journal.letters.get(one.id)
                if row is not None and "body" in row.message:
                    message = Message.restored(row.message).replayed(row.replays + 1)
                    self._services.publisher.publish([message])

    def _flow(self, run_id: str) -> str:
        record = self._services.runs.state(run_id)
        return record.flow if record else ""

    def _send(self, run: RunState | None, run_id: str, batches: Batches) -> None:
        try:
            sending = Sending(run_id, trace=trace_of_run(run))
            self._services.perform(send(batches, sending, declare=True))
        except ServerError as error:
            raise ServerError(
                error.cause,
                f"run {run_id} has taken what was asked, and the broker does not have what follows from it",
                "ask for the same again: it counts once, and what follows is sent",
            ) from error

    def _check(self, sent: _Signal, awaited: Mapping[str, type[Contract]]) -> None:
        """Raise where the flow waits for no such signal."""
        if sent.name not in awaited:
            raise self._refused(sent, f"flow {sent.flow} waits for no signal {quoted(sent.name, 80)}")
        wanted = awaited[sent.name].ref()
        if wanted.name != sent.payload.ref().name:
            raise self._refused(sent, f"{sent.name!r} is {wanted}, and this is {sent.payload.ref()}")

    def _note_refusal(self, sent: _Signal, why: str) -> None:
        entry = sent.entry(EntryKind.REFUSED, step=printable(sent.name, 80), error=why)
        if sent.flow:
            self._services.store.note(sent.run_id, entry.fields())

    def _refused(self, sent: _Signal, why: str) -> SignalRefused:
        self._note_refusal(sent, why)
        return SignalRefused(
            why, f"run {sent.run_id} goes on waiting", "send the signal that the flow declares"
        )
