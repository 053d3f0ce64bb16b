"""Diagnosis: what a message in the dead-letter queue is, and why it is there, as far as the message itself tells."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData, InvalidInput, TooLarge, Unreadable
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.arrival import budgets_as_read
from handoffs.coordinator.handoff.failure import Failure, FailureKind
from handoffs.coordinator.history import now
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.content import agrees, content, is_number, seems_to_agree
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import Body, MalformedBody, check_headers, read_body, read_message
from handoffs.coordinator.store.record import StepRef

_DEEPEST = 100
_NO_PLACE = StepRef("", "", "")
_OTHERWISE = "its headers name another message, run or step than it carries"


@dataclass(frozen=True, slots=True)
class Finding:
    """A raw letter, looked at.

    failure
        Why it is there, as far as the message tells.
    id
        What it may be called: its message id, where that is its own; otherwise by all that was sent.
    place
        The step that it is for, where it carries the envelope of that; otherwise none: what it claims moves no run.
    content
        Names what it carries (:mod:`~handoffs.coordinator.messaging.content`); empty where that cannot be read.
    """

    raw: RawLetter
    failure: Failure
    id: str
    place: StepRef
    content: str

    @property
    def agrees(self) -> bool:
        """Whether it carries what its headers say."""
        return bool(self.place.run)

    def row(self, failure: Failure, *, id: str = "") -> LetterRow:
        """The letter as the journal is to keep it, for ``failure``; with ``id`` under that."""
        return LetterRow(
            id=id or failure.message,
            state="waiting",
            run=self.place.run,
            flow=self.place.flow,
            step=self.place.step,
            agent=failure.agent,
            kind=str(failure.kind),
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
            message=_message(self.raw, failure),
            trace=failure.trace,
        )


class Diagnosis:
    """Reads what may be read of raw letters, within ``limits``."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def of(self, raw: RawLetter) -> Finding:
        """What a raw letter is. Whatever it says of itself counts only where it carries the same."""
        body, kind, error, text = self._cause(raw)
        place, name = raw.place, raw.digest
        if body is not None:
            known = content(str(raw.headers["task"]), raw.id, body.envelope, body.kwargs, body.continuation)
            agreed = agrees(raw.id, place.run, place.step, body.envelope, body.kwargs)
        else:
            known = hashlib.sha256(raw.body).hexdigest()[:16] if kind == FailureKind.TOO_LARGE else ""
            agreed = bool(known) and seems_to_agree(raw.id, place.run, place.step, raw.body)
        if agreed or (kind == FailureKind.TOO_LARGE and is_number(raw.id, place.run, place.step)):
            name = raw.id
        if not agreed:
            kind, error, text = _disagrees(raw, kind, error, text)
        failure = Failure(
            kind=kind,
            error=error,
            text=text,
            message=name,
            agent=printable(raw.headers.get("task") or raw.death.get("queue") or "", 200),
            attempt=raw.attempt,
            at=now(),
            replays=raw.replays,
            contract=_contract(body) if agreed and body else "",
            budgets=_budgets(body) if agreed and body else "",
            content=known,
        )
        return Finding(raw, failure, name, place if agreed else _NO_PLACE, known)

    def content_of(self, row: LetterRow) -> str:
        """Names what the message of a letter carries; empty where that cannot be read."""
        message = row.message
        if not isinstance(message.get("body"), str):
            return ""
        try:
            body = read_body(message["body"], "application/json", self._limits)
        except TooLarge:
            return hashlib.sha256(message["body"].encode("utf-8", "surrogatepass")).hexdigest()[:16]
        except InvalidInput:
            return ""
        return content(
            str(message.get("agent")), str(message.get("id")), body.envelope, body.kwargs, body.continuation
        )

    def _cause(self, raw: RawLetter) -> tuple[Body | None, FailureKind, str, str]:
        """Its body, where it can be read, and why it is there: the broker dead-lettered it, or a worker could not read it."""
        try:
            if raw.fault:
                raise Unreadable(raw.fault)
            body = read_message(raw.headers, raw.body, raw.content_type, raw.content_encoding, self._limits)
        except MalformedBody as error:  # its envelope may say all the same whose step it is
            return error.body, FailureKind.INVALID_INPUT, InvalidData.__name__, printable(error)
        except InvalidInput as error:
            ours = isinstance(error, TooLarge) and _is_ours(raw)
            kind = FailureKind.TOO_LARGE if ours else FailureKind.UNDECODABLE
            return None, kind, type(error).__name__, printable(error)
        agent = printable(raw.headers["task"], 120)
        match raw.death.get("reason"):
            case "delivery_limit":
                text = "the broker delivered it too often: its workers died"
                return body, FailureKind.DELIVERY_LIMIT, "DeliveryLimit", text
            case "rejected":
                queue = printable(raw.death.get("queue") or "its queue", 120)
                text = f"the worker that got it from {queue} has no agent {agent!r} for that, or could not say why it failed"
                return body, FailureKind.UNKNOWN_AGENT, "UnknownAgent", text
            case _:
                text = f"there was no queue for the agent {agent!r}"
                return body, FailureKind.UNROUTABLE, "Unroutable", text


def _disagrees(raw: RawLetter, kind: FailureKind, error: str, text: str) -> tuple[FailureKind, str, str]:
    """What is said of a message that does not carry what its headers say: that, and what they say."""
    if kind not in {FailureKind.UNDECODABLE, FailureKind.TOO_LARGE, FailureKind.UNROUTABLE}:
        kind, error, text = FailureKind.UNDECODABLE, "Disagreement", _OTHERWISE
    elif kind == FailureKind.UNROUTABLE:
        text = f"{text}, and {_OTHERWISE}"
    run, step = raw.headers.get("handoff_run"), raw.headers.get("handoff_step")
    if run is not None or step is not None:
        claim = f"it says that it is step {printable(step, 120)} of run {printable(run, 200)}, which did not hear of it"
        text = f"{text}; {claim}"
    return kind, error, text


def _contract(body: Body) -> str:
    try:
        return str(Envelope.bare(body.envelope).contract)
    except InvalidInput:
        return ""


def _budgets(body: Body) -> str:
    """The budgets that the step is in: where one was spent meanwhile, something has taken the step's place."""
    step, chain = str(body.kwargs.get("step", "")), body.continuation.get("chain") or []
    return " ".join(budgets_as_read(step, chain, body.continuation.get("chord")))


def _message(raw: RawLetter, failure: Failure) -> dict[str, Any]:
    headers = {name: value for name, value in raw.headers.items() if not str(name).startswith("x-")}
    if failure.kind != FailureKind.UNDECODABLE:
        try:
            return Message(raw.id, str(raw.headers["task"]), _as_json(headers), raw.body.decode()).stored()
        except UnicodeDecodeError:
            pass
    kept = {"headers": _as_json(headers), "body_base64": base64.b64encode(raw.body).decode()}
    if raw.octets:
        kept["properties_base64"] = base64.b64encode(raw.octets).decode()
    if raw.fault:
        kept["fault"] = raw.fault
    return kept


def _is_ours(raw: RawLetter) -> bool:
    """Whether a message that is too large to be read can be kept as one of ours: by its headers, and as a text. It is not parsed."""
    try:
        check_headers(raw.headers)
        raw.body.decode()
    except (InvalidInput, UnicodeDecodeError):
        return False
    return raw.content_type == "application/json"


def _as_json(value: Any, depth: int = 0) -> Any:
    """The same as JSON values: what a broker adds (times, bytes) becomes text, and so does what is nested too deep."""
    if depth > _DEEPEST:
        return printable(type(value).__name__)
    if isinstance(value, str):
        return _as_text(value)
    if isinstance(value, dict):
        return {_as_text(str(name)): _as_json(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item, depth + 1) for item in value]
    return value if value is None or isinstance(value, (int, float)) else printable(value)


def _as_text(text: str) -> str:
    return text.encode(errors="replace").decode()
