"""Starting: the first messages of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from contracts import strictjson
from contracts.contract import Contract, ContractRef
from coordinator import canvas
from coordinator.canvas import Send
from coordinator.flow import Flow
from coordinator.handoff import compose
from coordinator.message import Message, message
from coordinator.negotiation import Negotiator, Written
from coordinator.store.store import Record


@dataclass(frozen=True, slots=True)
class First:
    """The first messages of a run, and how each of its first steps' input is written, by step."""

    messages: tuple[Message, ...]
    sent: dict[str, Written]
    sends: tuple[Send, ...]

    def named(self) -> list[tuple[str, str, str]]:
        """The messages as (step, agent, ``contract/version``)."""
        return [
            (send.step, send.agent, str(ContractRef.from_uri(self.sent[send.step].schema)))
            for send in self.sends
        ]


def first(
    flow: Flow,
    payload: Contract,
    run: str,
    *,
    expiry: datetime | None = None,
    negotiator: Negotiator | None = None,
) -> First:
    """The messages that start ``run`` with ``payload``, each in the version that its consumers accept.

    After ``expiry`` its steps are not begun any more. Without a negotiator the input goes in its own version.
    """
    record = Record(payload.ref().uri, strictjson.dumps(payload.to_data()))
    sends = canvas.first(flow)
    sent = {
        send.step: negotiator.written(record, payload, [send.agent])
        if negotiator
        else Written(record.schema, record.data)
        for send in sends
    }
    messages = (
        message(
            send,
            compose(
                run=run,
                step=send.step,
                written=sent[send.step],
                key=payload.key(),
                source="/coordinator",
                deadline=expiry,
            ),
        )
        for send in sends
    )
    return First(tuple(messages), sent, sends)
