"""The desk: what cannot go on is kept here, looked at, and sent on its way again."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Unpack

from handoffs.config.user import current_user
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError, InvalidInput
from handoffs.contracts.text import is_plain, printable
from handoffs.coordinator.continuation.arrival import budgets_as_read
from handoffs.coordinator.continuation.path import budgets_around, follows_event, is_set, is_undo
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.errors import RunCancelled, ServerError, UnknownLetter
from handoffs.coordinator.handoff.edit import Edit, number_of, shown_as
from handoffs.coordinator.handoff.failure import REMEDIES, Failure, Kind, parked_entry
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterFilter, LetterRow
from handoffs.coordinator.messaging.message import Message, addressed, rewritten
from handoffs.coordinator.messaging.wire import Body, read_body, read_message
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef

_OUTCOME = frozenset({"settled", "deduplicated", "skipped", "fallback"})
"""The kinds of entries that say that a step has its outcome."""

_SET = re.compile(r"[a-z0-9.-]+/[0-9a-f]{40}\Z")

_PASSED_ON = "handoff_passed_on"
"""The header of a message that was sent once more because its step was settled: that is done once."""


@dataclass(frozen=True, slots=True)
class RawLetter:
    """A message as the dead-letter queue gives it. Anybody may have sent it: no header is trusted to be there or sane."""

    headers: dict[str, Any]
    body: bytes
    content_type: str
    content_encoding: str = "utf-8"

    @property
    def id(self) -> str:
        """The message id, empty where it has none that can be one."""
        return _name(self.headers.get("id"), 200)

    @property
    def digest(self) -> str:
        """Names a message that has no id of its own."""
        return "sha256:" + hashlib.sha256(self.body).hexdigest()

    @property
    def place(self) -> StepRef:
        run, flow, step = (self.headers.get(f"handoff_{name}") for name in ("run", "flow", "step"))
        return StepRef(_name(run, 200), _name(flow, 120), _name(step, 1000))

    @property
    def event(self) -> str:
        """The id of the event that an agent was to hear; empty where it is a step of a flow."""
        return _name(self.headers.get("parent_id"), 200) if self.headers.get("handoff_event") else ""

    @property
    def attempt(self) -> int:
        """Which attempt it was, from 1; 0 where it does not say."""
        retries = self.headers.get("retries")
        return retries + 1 if isinstance(retries, int) and 0 <= retries < 1_000_000 else 0

    @property
    def death(self) -> dict[str, Any]:
        """The newest entry of the broker's ``x-death``."""
        deaths = self.headers.get("x-death")
        newest = deaths[0] if isinstance(deaths, list) and deaths else {}
        return newest if isinstance(newest, dict) else {}


class Letter:
    """A dead letter: why a step waits, and the message with which it goes on."""

    def __init__(self, row: LetterRow, desk: Desk) -> None:
        self._desk = desk
        self.row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)

    def __repr__(self) -> str:
        row = self.row
        return (
            f"<Letter {row.id} {row.state}: {row.flow} step {row.step} ({row.agent}): {row.kind}: {row.text}>"
        )

    @property
    def remedy(self) -> str:
        """What to do about a letter of this kind."""
        return REMEDIES.get(self.row.kind, "")

    @property
    def edits(self) -> list[EditRow]:
        """The edits of its input, oldest first, each with the message that was there before."""
        return self._desk.edits(self.row.id)

    def replay(self, by: str = "") -> None:
        """Send the step on its way again, from where the run stands. Doing it twice has one effect.

        Raises :class:`~handoffs.coordinator.errors.RunCancelled` where the run was cancelled,
        :class:`~handoffs.contracts.errors.CoordinationError` where the message is none of ours.
        """
        self._desk.replay(self.row.id, by=by)


class Desk:
    """Receives dead letters, keeps them in the journal, and replays them."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    def receive(self, raw: RawLetter) -> LetterRow:
        """Keep a letter, and mark its run as parked. Returns when it is committed; receiving it again changes nothing."""
        raw = self._addressed(raw)
        recorded = self._recorded(raw)
        failure = recorded or self._diagnosed(raw)
        row = self._edited(self._row(raw, failure))
        self._journal.letters.add(row)  # first: whatever settles its step from now on finds it
        if row.run and row.step:
            place = StepRef(row.run, row.flow, row.step)
            entry = parked_entry(place, failure, raw.event)
            status = self._services.store.park(place, failure.fields(), entry, marked=recorded is not None)
            if status == "settled":
                self._pass_on(row)
            if status not in {"parked", "gone"}:
                row = replace(
                    row, state="cancelled" if status in {"cancelled", "compensating"} else "settled"
                )
                self._journal.letters.mark(row.id, row.state)
        return row

    def close(self, entries: Iterable[dict[str, Any]]) -> None:
        """Letters that wait for an outcome which their step has by now, as these entries of the history tell, wait no more:
        an old copy of its message may have been parked after the step was sent on its way again."""
        had = [entry for entry in entries if entry.get("step") and entry.get("kind") in _OUTCOME]
        steps = {(entry.get("run", ""), entry["step"]) for entry in had}
        if not steps:
            return
        for row in self._journal.letters.waiting({run for run, _ in steps}):
            if (row.run, row.step) in steps or self._stood_in(row, steps):
                self._journal.letters.mark(row.id, "settled")

    def _stood_in(self, row: LetterRow, steps: set[tuple[str, str]]) -> bool:
        """Whether something else has come out of a budget in which a letter's step is: a fallback, or what it was to stand in
        for. One of the steps that have an outcome by now tells when to look."""
        if is_undo(row.step) or follows_event(row.step):  # goes on by itself
            return False
        for budget in budgets_around(row.step):
            told = any(run == row.run and f"{step}.".startswith(f"{budget}.") for run, step in steps)
            if told and self._services.runs.taken(row.run, budget):
                return True
        return False

    def _pass_on(self, row: LetterRow) -> None:
        """Its step is settled, but perhaps nobody lived to publish what follows: send it once more, to find that out."""
        if "body" in row.message and not row.message["headers"].get(_PASSED_ON):
            again = Message.restored(row.message).replayed(row.replays)
            self._services.publisher.publish([replace(again, headers={**again.headers, _PASSED_ON: 1})])

    def edits(self, number: str) -> list[EditRow]:
        """The edits of a letter, oldest first."""
        return self._journal.edits.of(number)

    def read(self, row: LetterRow) -> tuple[Envelope, dict[str, Any], dict[str, Any]]:
        """The envelope, the arguments and the continuation of a letter's message. Raises :class:`InvalidInput` where it has
        none of them."""
        if "body" not in row.message:
            raise InvalidInput(f"dead letter {row.id} is no message of this system")
        text, kwargs, continuation = read_body(
            row.message["body"], "application/json", self._services.settings.message_limits
        )
        return Envelope.decode(text, self._services.settings.message_limits), kwargs, continuation

    def sets(self, rows: Iterable[LetterRow]) -> Iterator[str]:
        """The names of the sets for which letters stand: what is replayed are the events that Redis has."""
        for row in rows:
            if is_set(row.step) and "body" in row.message:
                with contextlib.suppress(InvalidInput):
                    _, kwargs, _ = self.read(row)
                    if _SET.match(str(kwargs.get("set", ""))):
                        yield kwargs["set"]

    def _edited(self, row: LetterRow) -> LetterRow:
        """The letter with the input that a person gave to its step, if the run has one that is newer than the message's."""
        try:
            edit = Edit.parse(self._services.store.edit_of(StepRef(row.run, row.flow, row.step)))
            if edit is None:
                return row
            envelope, kwargs, continuation = self.read(row)
            if number_of(kwargs) >= edit.number:
                return row
            envelope, kwargs = edit.applied(envelope, kwargs)
        except InvalidInput:
            return row  # whoever replays it learns why
        message = rewritten(Message.restored(row.message), envelope.encode(), kwargs, continuation)
        stored = replace(message, headers=shown_as(message.headers, envelope)).stored()
        before = EditRow(row.id, edit.number, edit.at, edit.by, edit.why, row.message)
        self._journal.edits.keep(before, stored)
        return replace(row, message=stored)

    def unheard(self, *raws: RawLetter) -> list[LetterRow]:
        """Keep events that nobody subscribes to, all of them or none. Their stories go on without them. Returns when they are
        committed; keeping them again changes nothing, unless they were replayed meanwhile."""
        rows = [self._unheard(raw) for raw in raws]
        known = self._journal.letters.messages(row.id for row in rows)
        self._journal.letters.add_all(
            [row for row in rows if row.id not in known or _replays(row.message) > _replays(known[row.id])]
        )
        return rows

    def _unheard(self, raw: RawLetter) -> LetterRow:
        failure = self._diagnosed(raw)
        if failure.kind != "undecodable":
            text = f"nobody subscribes to {printable(raw.headers.get('handoff_event'), 120)}"
            failure = replace(failure, kind="unheard", error="Unheard", text=text, agent="")
        row = self._row(raw, failure)
        return replace(row, state="unheard") if failure.kind == "unheard" else row

    def _addressed(self, raw: RawLetter) -> RawLetter:
        """An event that an agent's queue has given up, as the message of that agent."""
        queue = raw.death.get("queue")
        if raw.headers.get("task") != EVENT or not isinstance(queue, str):
            return raw
        try:
            agent = self._services.topology.agent_of(queue)
            headers, body = addressed(raw.headers, raw.body, agent)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return raw
        return replace(raw, headers=headers, body=body.encode("utf-8", "surrogatepass"))

    def letters(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> list[Letter]:
        """The letters that wait (``state=None``: all), filtered by ``flow``, ``run``, ``agent``, ``kind`` or ``contract``, the
        oldest first: all of them, or the first ``limit``."""
        return [Letter(row, self) for row in self._journal.letters.find(limit=limit, **chosen)]

    def waiting(self, runs: Iterable[str]) -> list[Letter]:
        """The letters of these runs that wait, the oldest first."""
        return [Letter(row, self) for row in self._journal.letters.waiting(runs)]

    def letter(self, number: str) -> Letter:
        """The letter of that id. Raises :class:`UnknownLetter`."""
        row = self._journal.letters.get(number) if is_plain(number) else None
        if row is None:
            raise UnknownLetter(
                f"there is no dead letter {printable(number, 80)!r}",
                remedy="list them: coordinator dead-letters list",
            )
        return Letter(row, self)

    def replay(self, number: str, *, by: str = "") -> None:
        """See :meth:`Letter.replay`."""
        row = self._edited(self.letter(number).row)
        if "body" not in row.message:
            raise CoordinationError(
                f"dead letter {row.id} cannot be replayed: {row.text}",
                "it stays where it is",
                REMEDIES[row.kind],
            )
        who = by or current_user()
        place = StepRef(row.run, row.flow, row.step)
        entry = Entry(
            EntryKind.REPLAYED,
            row.run,
            row.flow,
            now(),
            step=row.step,
            agent=row.agent,
            message=row.id,
            by=who,
        )
        status = self._services.runs.unpark(place, entry.fields())
        if status == "cancelled" or (status == "compensating" and not is_undo(row.step)):
            self._journal.letters.cancel_run(row.run)
            raise RunCancelled(
                f"run {row.run} was cancelled", "its dead letters are not replayed", "start a new run"
            )
        message = Message.restored(row.message).replayed(self._journal.letters.count_replay(row.id))
        try:
            self._services.publisher.declare(
                [] if follows_event(row.step) or message.event else [message.agent], again=True
            )
            self._services.publisher.publish([message])
        except ServerError:
            self._services.store.park(place, _failure(row).fields(), None)  # it waits as before
            raise
        self._journal.letters.mark_replayed(row)
        self._journal.actions.record("replay", who=who, run=row.run, letter=row.id)

    def _recorded(self, raw: RawLetter) -> Failure | None:
        """The reason that the worker left in the run's record before it rejected the message."""
        place = raw.place
        if not place.run or not place.step:
            return None
        reason = self._services.runs.parked(place)
        return Failure(**reason) if reason and reason.get("message") in (raw.id, raw.digest) else None

    def _diagnosed(self, raw: RawLetter) -> Failure:
        """The reason as far as the message itself tells: the broker dead-lettered it, or a worker could not read it."""
        kind, error, text = self._cause(raw)
        return Failure(
            kind=kind,
            error=error,
            text=text,
            message=raw.digest if kind == "undecodable" else raw.id,
            agent=printable(raw.headers.get("task") or raw.death.get("queue") or "", 200),
            attempt=raw.attempt,
            at=now(),
            contract=self._contract(raw),
            budgets="" if kind == "undecodable" else self._budgets(raw),
        )

    def _cause(self, raw: RawLetter) -> tuple[Kind, str, str]:
        try:
            self._read(raw)
        except InvalidInput as error:
            return "undecodable", type(error).__name__, printable(error)
        agent = printable(raw.headers["task"], 120)
        match raw.death.get("reason"):
            case "delivery_limit":
                return (
                    "delivery-limit",
                    "DeliveryLimit",
                    "the broker delivered it too often: its workers died",
                )
            case "rejected":
                text = f"the worker that got it has no agent called {agent!r}, or could not write down why it failed"
                return "unknown-agent", "UnknownAgent", text
            case _:
                return "unroutable", "Unroutable", f"there was no queue for the agent {agent!r}"

    def _contract(self, raw: RawLetter) -> str:
        try:
            return str(Envelope.decode(self._read(raw).envelope).contract)
        except InvalidInput:
            return ""

    def _budgets(self, raw: RawLetter) -> str:
        """The budgets that the step is in: where one was spent meanwhile, something has taken the step's place."""
        _, kwargs, continuation = read_body(
            raw.body, raw.content_type, self._services.settings.message_limits
        )
        step, chain = str(kwargs.get("step", "")), continuation.get("chain") or []
        return " ".join(budgets_as_read(step, chain, continuation.get("chord")))

    def _row(self, raw: RawLetter, failure: Failure) -> LetterRow:
        place = raw.place
        return LetterRow(
            id=failure.message,
            state="waiting",
            run=place.run,
            flow=place.flow,
            step=place.step,
            agent=failure.agent,
            kind=failure.kind,
            error=failure.error,
            text=failure.text,
            contract=failure.contract,
            attempt=failure.attempt,
            worker=failure.worker,
            payload=failure.payload,
            first_failed_at=failure.at,
            last_failed_at=failure.at,
            times=1,
            replays=0,
            message=self._message(raw, failure),
        )

    def _message(self, raw: RawLetter, failure: Failure) -> dict[str, Any]:
        headers = {name: value for name, value in raw.headers.items() if not name.startswith("x-")}
        if failure.kind == "undecodable":
            return {"headers": _plain(headers), "body_base64": base64.b64encode(raw.body).decode()}
        return Message(raw.id, str(raw.headers["task"]), _plain(headers), raw.body.decode()).stored()

    def _read(self, raw: RawLetter) -> Body:
        """Its body, taken apart. Raises :class:`InvalidInput` where no worker could read the message."""
        return read_message(
            raw.headers,
            raw.body,
            raw.content_type,
            raw.content_encoding,
            self._services.settings.message_limits,
        )


def _name(value: object, longest: int) -> str:
    """``value`` where it can name something of ours, otherwise nothing."""
    return value if isinstance(value, str) and len(value) <= longest and is_plain(value) else ""


def _replays(message: dict[str, Any]) -> int:
    """How often a message had been replayed when it was sent."""
    replays = message["headers"].get("handoff_replays")
    return replays if type(replays) is int else 0


def _plain(value: Any) -> Any:
    """The same as JSON values: what a broker adds (times, bytes) becomes text."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (int, float)) else printable(value)


def _failure(row: LetterRow) -> Failure:
    """Why a letter waits, as it was marked at its run."""
    kind: Any = row.kind
    return Failure(
        kind=kind,
        error=row.error,
        text=row.text,
        message=row.id,
        agent=row.agent,
        attempt=row.attempt,
        at=row.last_failed_at,
        contract=row.contract,
        worker=row.worker,
        payload=row.payload,
    )
