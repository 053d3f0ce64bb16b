"""Diagnosis: why a message is in the dead-letter queue, as far as the message itself tells."""

from __future__ import annotations

import base64
from typing import Any

from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.arrival import budgets_as_read
from handoffs.coordinator.handoff.failure import Failure, FailureKind
from handoffs.coordinator.history import now
from handoffs.coordinator.journal.letters import LetterRow
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import Body, read_body, read_message


class Diagnosis:
    """Reads what may be read of raw letters, within ``limits``."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def failure(self, raw: RawLetter) -> Failure:
        """The reason as far as the message itself tells: the broker dead-lettered it, or a worker could not read it."""
        kind, error, text = self._cause(raw)
        return Failure(
            kind=kind,
            error=error,
            text=text,
            message=raw.digest if kind == FailureKind.UNDECODABLE else raw.id,
            agent=printable(raw.headers.get("task") or raw.death.get("queue") or "", 200),
            attempt=raw.attempt,
            at=now(),
            contract=self._contract(raw),
            budgets="" if kind == FailureKind.UNDECODABLE else self._budgets(raw),
        )

    def _cause(self, raw: RawLetter) -> tuple[FailureKind, str, str]:
        try:
            self._read(raw)
        except InvalidInput as error:
            return FailureKind.UNDECODABLE, type(error).__name__, printable(error)
        agent = printable(raw.headers["task"], 120)
        match raw.death.get("reason"):
            case "delivery_limit":
                return (
                    FailureKind.DELIVERY_LIMIT,
                    "DeliveryLimit",
                    "the broker delivered it too often: its workers died",
                )
            case "rejected":
                text = f"the worker that got it has no agent called {agent!r}, or could not write down why it failed"
                return FailureKind.UNKNOWN_AGENT, "UnknownAgent", text
            case _:
                return FailureKind.UNROUTABLE, "Unroutable", f"there was no queue for the agent {agent!r}"

    def _contract(self, raw: RawLetter) -> str:
        try:
            return str(Envelope.decode(self._read(raw).envelope).contract)
        except InvalidInput:
            return ""

    def _budgets(self, raw: RawLetter) -> str:
        """The budgets that the step is in: where one was spent meanwhile, something has taken the step's place."""
        _, kwargs, continuation = read_body(raw.body, raw.content_type, self._limits)
        step, chain = str(kwargs.get("step", "")), continuation.get("chain") or []
        return " ".join(budgets_as_read(step, chain, continuation.get("chord")))

    def row(self, raw: RawLetter, failure: Failure) -> LetterRow:
        """The letter as the journal is to keep it."""
        place = raw.place
        return LetterRow(
            id=failure.message,
            state="waiting",
            run=place.run,
            flow=place.flow,
            step=place.step,
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
            message=self._message(raw, failure),
        )

    def _message(self, raw: RawLetter, failure: Failure) -> dict[str, Any]:
        headers = {name: value for name, value in raw.headers.items() if not name.startswith("x-")}
        if failure.kind == FailureKind.UNDECODABLE:
            return {"headers": _as_json(headers), "body_base64": base64.b64encode(raw.body).decode()}
        return Message(raw.id, str(raw.headers["task"]), _as_json(headers), raw.body.decode()).stored()

    def _read(self, raw: RawLetter) -> Body:
        """Its body, taken apart. Raises :class:`InvalidInput` where no worker could read the message."""
        return read_message(
            raw.headers,
            raw.body,
            raw.content_type,
            raw.content_encoding,
            self._limits,
        )


def _as_json(value: Any) -> Any:
    """The same as JSON values: what a broker adds (times, bytes) becomes text."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {str(name): _as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return value if value is None or isinstance(value, (int, float)) else printable(value)
