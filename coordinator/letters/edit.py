"""Editing: a step that is parked, or held with its run, gets another input from a person. Decision 15 says why that is sound."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import DataMissing, InvalidData, InvalidInput
from handoffs.contracts.searchable import marks
from handoffs.contracts.text import MASK, printable, quoted
from handoffs.coordinator.continuation.arrival import budgets_as_read
from handoffs.coordinator.continuation.path import follows_event
from handoffs.coordinator.errors import Conflict, EditRefused
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.edit import Edit, number_of, superseded
from handoffs.coordinator.handoff.open import turned
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.ended import ended_as
from handoffs.coordinator.letters.replay import read_letter, revived
from handoffs.coordinator.messaging.message import Message, rewritten
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.run_state import RunRecord

_REASONS = {
    "settled": "it has its outcome",
    "closed": "its budget is spent, and something has taken its place",
    "running": "it runs now, or is about to be tried again",
    "gone": "it is neither parked nor held: it is on its way, or was never sent",
    "changed": "somebody else has edited it in between",
}
_LONGEST = 500
_NOTHING = "nothing was edited"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A step that waits for its edit: the newest edit that it has, its input as people may see it and the contract of that, where
    it waits, the budgets that it is in, and its letter, where it has one."""

    place: StepRef
    current: Edit | None
    shown: Any
    contract: str
    where: Literal["parked", "held"]
    budgets: tuple[str, ...]
    letter: str


class Editing:
    """Gives steps of runs another input, for one person and one reason."""

    def __init__(self, services: Services, journal: Journal, desk: Desk, *, by: str, why: str) -> None:
        self._services = services
        self._journal = journal
        self._desk = desk
        self._by = printable(by, 200)
        self._why = printable(why, _LONGEST)

    def parked(self, row: LetterRow, agent: Agent, given: Contract | Mapping[str, Any]) -> None:
        """Let the step of a dead letter run with ``given``: recorded at its run, and then replayed. Sensitive values that are
        left masked stay as they are.

        Raises :class:`InvalidData` where it is not what the agent accepts;
        :class:`~handoffs.contracts.errors.TooLarge` where no message has room for it; :class:`EditRefused` where the letter cannot be read, or its step does not wait any more;
        :class:`Conflict` where its idempotency key stands for something else; what
        :meth:`~handoffs.coordinator.letters.desk.Letter.replay` raises.
        """
        try:
            row = revived(row, self._services.settings.message_limits)
            envelope, kwargs, continuation, there = self._read(row)
            if not row.run:
                raise InvalidInput("it does not carry what its headers say")
            number = number_of(kwargs)
            _refuse_event(row.run, row.step, kwargs)
        except InvalidInput as error:
            raise EditRefused(
                f"dead letter {row.id} cannot be read: {error.cause}",
                "it was not edited",
                "give its step an outcome by hand (skip), or give the run up",
            ) from None
        place = StepRef(row.run, row.flow, row.step)
        current = self._current(place)
        if current is not None:
            number = max(number, current.number)
            came, (envelope, kwargs) = envelope, current.applied(envelope, kwargs)
            there = there or envelope is not came
        known = self._known(agent, envelope.contract, envelope.data) if there else None
        payload = _payload(agent, given, known)
        self._refuse_ended(place)
        before = (*superseded(kwargs), *contents_of(self._services, agent, envelope))
        edit = self._made(agent, payload, number + 1, before)
        key = turned(_key(agent, payload, edit.key or envelope.idempotency_key), kwargs)
        old = key_of(self._services, agent, envelope, kwargs) if there else ""
        self._refuse_taken(place, agent, old, key, edit)
        budgets = budgets_as_read(row.step, continuation.get("chain") or [], continuation.get("chord"))
        self._refuse_too_large(row, edit, envelope, kwargs, continuation)
        shown = self._shown(agent, current) if current else row.payload
        waiting = _Waiting(place, current, shown, row.contract, "parked", budgets, row.id)
        self._record(waiting, agent, payload, edit)
        self._desk.replay(row.id, by=self._by, why=self._why)

    def _read(self, row: LetterRow) -> tuple[Envelope, dict[str, Any], dict[str, Any], bool]:
        """What a letter carries, and whether its data is there: else all of the input is to be given. Raises :class:`InvalidInput`."""
        limits = self._services.settings.message_limits
        try:
            return *read_letter(row, limits, self._services.payloads.fetch), True
        except DataMissing:
            return *read_letter(row, limits), False

    def held(self, run: RunRecord, step: str, agent: Agent, given: Contract | Mapping[str, Any]) -> None:
        """Let a step that is held with its run begin with ``given``, once the run is resumed. Raises the same."""
        known, place = run.held[step], StepRef(run.id, run.flow, step)
        _refuse_event(run.id, step, known)
        current = self._current(place)
        schema = ContractRef.from_uri(current.schema) if current else None
        payload = _payload(
            agent, given, self._known(agent, schema, current.data) if current and schema else None
        )
        before = (*current.supersedes, current.content) if current else (known["content"],)
        edit = self._made(agent, payload, current.number + 1 if current else 1, before)
        key = turned(_key(agent, payload, edit.key or known["given"]), {"turn": known["turn"]})
        self._refuse_taken(place, agent, known["key"], key, edit)
        shown = self._shown(agent, current) if current else known["payload"]
        waiting = _Waiting(place, current, shown, known["contract"], "held", tuple(known["budgets"]), "")
        self._record(waiting, agent, payload, edit)

    def _refuse_ended(self, place: StepRef) -> None:
        """Raise where the step, or its run, has ended: people are to hear of that first."""
        if status := ended_as(self._services, place):
            raise _refused(place, status)
        if self._services.store.settled(place):
            raise _refused(place, "settled")

    def _refuse_too_large(
        self, row: LetterRow, edit: Edit, envelope: Envelope, kwargs: dict[str, Any], rest: dict[str, Any]
    ) -> None:
        """Raise where the message of the step would be one that nobody can read."""
        message = Message.restored(revived(row, self._services.settings.message_limits).message)
        edited, kwargs = edit.applied(envelope, kwargs)
        self._services.room.check(rewritten(message, edited.encode(), kwargs, rest))

    def _current(self, place: StepRef) -> Edit | None:
        return Edit.parse(self._services.store.edit_of(place))

    def _made(self, agent: Agent, payload: Contract, number: int, before: Sequence[str]) -> Edit:
        """The edit, written for whoever works for the agent."""
        services, ref = self._services, payload.ref()
        data = services.room.check_payload(payload)
        record = Record(ref.uri, strictjson.dumps(data))
        written = services.negotiator.written(record, payload, [agent.name])
        original = written.original
        return Edit(
            number,
            written.schema,
            json.loads(written.data),
            self._by,
            self._why,
            now(),
            key=payload.key() or "",
            original_schema=original.schema if original else "",
            original_digest=original.digest if original else services.versions.content(ref, data, payload),
            supersedes=tuple(dict.fromkeys(before)),
        )

    def _refuse_taken(self, place: StepRef, agent: Agent, old: str, key: str, edit: Edit) -> None:
        """Raise where somebody works on the step under its key now, or the key of the edit stands for something else.

        It is asked so that people are told at once. What happens right after it is found out by the claim, and by
        whoever settles.
        """
        if self._is_at_work(place, agent, old, key):
            raise _refused(place, "running")
        known = self._services.store.lease_of(agent.name, key)
        if known is None or known.content == edit.content:
            return
        if known.state == "done" or known.content not in edit.supersedes:
            raise Conflict(
                f"the idempotency key {quoted(key, 120)} of {agent.name} stands for another input"
                + (", which has its outcome" if known.state == "done" else ""),
                f"step {place.step} of run {place.run} was not edited",
                "edit the fields of its key too, or give the step an outcome by hand (skip)",
            )

    def _is_at_work(self, place: StepRef, agent: Agent, old: str, key: str) -> bool:
        now_there = self._services.store.lease_of(agent.name, old) if old else None
        here = f"{place.run}|{place.step}"
        return bool(now_there and now_there.held and (old == key or here in now_there.holders))

    def _known(self, agent: Agent, ref: ContractRef, data: Any) -> Any:
        """An input as the agent reads it, its defaults too, in clear; as it came where it cannot be read."""
        try:
            return self._services.versions.read(agent.accepts, ref, data).to_data()
        except InvalidInput:
            return data

    def _shown(self, agent: Agent, edit: Edit) -> Any:
        """The input of an edit as people may see it."""
        try:
            ref = ContractRef.from_uri(edit.schema)
            return self._services.versions.read(agent.accepts, ref, edit.data).redacted()
        except InvalidInput:  # another build made it
            return None

    def _record(self, waiting: _Waiting, agent: Agent, payload: Contract, edit: Edit) -> None:
        """Give the step its edit, unless it does not wait any more."""
        place, current, shown = waiting.place, waiting.current, payload.redacted()
        entry = Entry(
            EntryKind.EDITED, place.run, place.flow, edit.at, step=place.step, agent=agent.name, message=waiting.letter, by=self._by,
            error=self._why, read=str(ContractRef.from_uri(current.schema)) if current else waiting.contract,
            wrote=str(payload.ref()), input=waiting.shown, output=shown,
            marks=marks((type(payload), shown)),
        )  # fmt: skip
        verdict = self._services.runs.edit(
            place,
            edit.to_json(),
            before=current.number if current else 0,
            entry=entry.fields(),
            sent=f"{agent.name} {ContractRef.from_uri(edit.schema)}",
            where=waiting.where,
            budgets=waiting.budgets,
        )
        if verdict != "edited":
            raise _refused(place, verdict)
        self._journal.actions.record(
            "edit", who=self._by, run=place.run, letter=waiting.letter, note=self._why
        )


def _payload(agent: Agent, given: Contract | Mapping[str, Any], known: Any) -> Contract:
    """What a person gave, as the agent accepts it; masks in it are what ``known`` has there."""
    says = f"{agent.name} accepts {agent.accepts.ref()}"
    if isinstance(given, Contract) and not isinstance(given, agent.accepts):
        raise InvalidData(f"{says}, not {given.ref()}", _NOTHING)
    data = given.to_data() if isinstance(given, Contract) else given
    if not isinstance(data, Mapping):
        raise InvalidData(f"{says}, which is an object", _NOTHING)
    whole = _unmasked(dict(data), known, "")
    try:
        return agent.accepts.from_data(whole)
    except InvalidData as error:
        needed = [
            info.alias or name for name, info in agent.accepts.model_fields.items() if info.is_required()
        ]
        if not set(needed) - set(whole):
            raise
        has = ", ".join(info.alias or name for name, info in agent.accepts.model_fields.items())
        raise InvalidData(error.cause, _NOTHING, f"give the whole input; it has: {has}") from None


def _unmasked(given: Any, known: Any, path: str) -> Any:
    if isinstance(given, dict):
        inside = known if isinstance(known, dict) else {}
        return {name: _unmasked(value, inside.get(name), f"{path}.{name}") for name, value in given.items()}
    if isinstance(given, list):
        beside = known if isinstance(known, list) and len(known) == len(given) else [None] * len(given)
        return [_unmasked(value, beside[number], f"{path}.{number}") for number, value in enumerate(given)]
    if given != MASK:
        return given
    if known is None:
        raise InvalidData(
            f"{printable(path[1:], 200)} is masked, and what it is is not known here",
            _NOTHING,
            "give the value",
        )
    return known


def refuse_fact(run: str, step: str) -> None:
    """Raise :class:`EditRefused` where a step hears events: they are facts."""
    if follows_event(step):
        raise _is_fact(run, step)


def _refuse_event(run: str, step: str, known: Mapping[str, Any]) -> None:
    """The same, of a step as its message or its run knows it."""
    if known.get("event"):
        raise _is_fact(run, step)


def _is_fact(run: str, step: str) -> EditRefused:
    return EditRefused(
        f"step {printable(step, 120)} of run {run} hears an event, which others have heard as it is",
        _NOTHING,
        "let a corrected event be emitted, or give the step an outcome by hand (skip)",
    )


def _refused(place: StepRef, verdict: str) -> EditRefused:
    why = _REASONS.get(verdict, f"its run is {verdict}")
    return EditRefused(
        f"step {place.step} of run {place.run} cannot be edited: {why}",
        "nothing was changed",
        "look at the run: coordinator runs show RUN",
    )


def _key(agent: Agent, payload: Contract, given: str) -> str:
    """The agent's key for an input. Raises :class:`InvalidData` where its key function has none."""
    try:
        return agent.idempotency_key(payload, given)
    except Exception as error:
        raise InvalidData(
            f"the key function of {agent.name} fails on this input: {type(error).__name__}",
            "nothing was edited",
        ) from error


def contents_of(services: Services, agent: Agent, envelope: Envelope) -> tuple[str, ...]:
    """What names the content of an input: here, and where a worker of the release before claimed its key."""
    if envelope.original_digest:
        return (envelope.original_digest,)
    payload, versions = None, services.versions
    with contextlib.suppress(InvalidInput):
        payload = versions.read(agent.accepts, envelope.contract, envelope.data)
    own = versions.content(envelope.contract, envelope.data, payload)
    return tuple(dict.fromkeys((strictjson.digest(envelope.data), own)))


def key_of(services: Services, agent: Agent, envelope: Envelope, kwargs: dict[str, Any]) -> str:
    """The key of the input as it is; empty where it can have none: then nobody works under it."""
    try:
        payload = services.versions.read(agent.accepts, envelope.contract, envelope.data)
        return turned(_key(agent, payload, envelope.idempotency_key), kwargs)
    except InvalidInput:
        return ""
