"""Control: what people do to a run that was accepted: cancel it, hold it, let it go on, send it a signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.text import printable
from handoffs.coordinator.dispatch.outgoing import Batches
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.errors import SignalRefused, UnknownRun
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import Record, StepRef


@dataclass(frozen=True, slots=True)
class _Signal:
    """A signal on its way to a run."""

    run_id: str
    flow: str
    name: str
    payload: Contract
    by: str

    def entry(self, kind: EntryKind, *, step: str, error: str = "") -> Entry:
        """What the history says of it."""
        return Entry(
            kind,
            self.run_id,
            self.flow,
            now(),
            step=step,
            wrote=str(self.payload.ref()),
            input=self.payload.redacted(),
            by=self.by,
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

    def cancel(self, run_id: str, by: str = "", *, compensate: bool = False) -> None:
        """Cancel a run, and with ``compensate`` undo what its steps did. A run that has ended stays as it is."""
        self._end(EntryKind.CANCELLED, run_id, by, compensate)

    def give_up(self, run_id: str, by: str = "") -> None:
        """Abandon a run: cancel it, and undo what its steps did. A run that has ended stays as it is."""
        self._end(EntryKind.GIVEN_UP, run_id, by, compensate=True)

    def pause(self, run_id: str, by: str = "") -> None:
        """Hold a run: nothing further begins. A run that has ended stays as it is."""
        entry = Entry(EntryKind.PAUSED, run_id, self._flow(run_id), now(), by=by)
        self._services.runs.pause(run_id, entry.fields())

    def resume(self, run_id: str, by: str = "") -> None:
        """Let a run that is held go on."""
        entry = Entry(EntryKind.RESUMED, run_id, self._flow(run_id), now(), by=by)
        self._services.runs.pause(run_id, entry.fields(), resume=True)
        self._again()

    def signal(
        self,
        run_id: str,
        name: str,
        payload: Contract,
        *,
        by: str = "",
        awaited: Mapping[str, type[Contract]] | None = None,
    ) -> None:
        """Send a run the signal ``name``. Sending the same again changes nothing.

        ``awaited`` are the signals that its flow waits for, None where the flow is not known here. Raises
        :class:`~handoffs.coordinator.errors.SignalRefused`, and records it, where the flow waits for no such signal or for
        another contract, or another payload came before; :class:`~handoffs.coordinator.errors.UnknownRun` where the run has
        ended.
        """
        services = self._services
        sent = _Signal(run_id, self._flow(run_id), name, payload, by)
        if awaited is not None:
            self._check(sent, awaited)
        record = Record(payload.ref().uri, strictjson.dumps(payload.to_data()))
        verdict, follows = services.runs.signal(
            run_id, name, record, sent.entry(EntryKind.SIGNALLED, step=name).fields()
        )
        if verdict == "conflict":
            raise self._refused(sent, f"another {name!r} came before")
        if verdict not in {"accepted", "again"}:
            raise UnknownRun(f"run {run_id} is not running", f"the signal {name!r} was not taken")
        if follows:
            place = StepRef(run_id, sent.flow, follows["path"])
            self._send(run_id, services.router.signalled(place, follows, record))

    def _end(self, kind: EntryKind, run_id: str, by: str, compensate: bool) -> None:
        services, flow = self._services, self._flow(run_id)
        entry = Entry(kind, run_id, flow, now(), by=by)
        status, undo = services.runs.cancel(run_id, entry.fields(), compensate=compensate)
        if status in {"cancelled", "compensating"}:
            self._journal.letters.cancel_run(run_id)
        if undo:
            self._send(run_id, services.router.undone(StepRef(run_id, flow, ""), undo))
        self._again()

    def _flow(self, run_id: str) -> str:
        record = self._services.runs.state(run_id)
        return record.flow if record else ""

    def _send(self, run_id: str, batches: Batches) -> None:
        self._services.perform(send(batches, Sending(run_id), declare=True))

    def _check(self, sent: _Signal, awaited: Mapping[str, type[Contract]]) -> None:
        """Raise where the flow waits for no such signal."""
        if sent.name not in awaited:
            raise self._refused(sent, f"flow {sent.flow} waits for no signal {printable(sent.name, 80)!r}")
        wanted = awaited[sent.name].ref()
        if wanted.name != sent.payload.ref().name:
            raise self._refused(sent, f"{sent.name!r} is {wanted}, and this is {sent.payload.ref()}")

    def _refused(self, sent: _Signal, why: str) -> SignalRefused:
        entry = sent.entry(EntryKind.REFUSED, step=printable(sent.name, 80), error=why)
        if sent.flow:
            self._services.store.note(sent.run_id, entry.fields())
        return SignalRefused(
            why, f"run {sent.run_id} goes on waiting", "send the signal that the flow declares"
        )
