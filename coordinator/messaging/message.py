"""Message: a step on its way, in the form that Celery gives it (task protocol 2). The message is the continuation."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.continuation.signature import EVENT, Send
from handoffs.coordinator.messaging.trace_context import LINKS, carried

BROKER_HEADERS = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-delay", "expires")


@dataclass(frozen=True, slots=True)
class Message:
    """What is published: Celery's headers and its body, ``[[envelope], kwargs, continuation]`` as JSON text."""

    id: str
    agent: str
    headers: dict[str, Any]
    body: str

    @property
    def event(self) -> str:
        """The name of the contract where it is an event for whoever hears it; empty where it is for one agent."""
        return str(self.headers.get("handoff_event", "")) if self.agent == EVENT else ""

    def stored(self) -> dict[str, Any]:
        """As JSON values, from which :meth:`restored` makes the same message."""
        return {"id": self.id, "agent": self.agent, "headers": self.headers, "body": self.body}

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Message:
        """The message that was :meth:`stored`. Raises :class:`~handoffs.contracts.errors.InvalidData` for anything else."""
        match stored:
            case {"id": str(number), "agent": str(agent), "headers": dict(headers), "body": str(body)}:
                return cls(number, agent, headers, body)
        raise InvalidData("what is kept of a message is none of ours", "it was not sent")

    @classmethod
    def received(cls, agent: str, headers: Mapping[str, Any], body: str) -> Message:
        """A message that came, to be sent to ``agent`` once more: without the broker's traces of its way here."""
        return cls(str(headers.get("id", "")), agent, dict(headers), body).returned()

    def replayed(self, replays: int) -> Message:
        """The same message for another try: attempts and waits begin anew, and the broker's traces of the last one are gone."""
        again = self.returned()
        kept = {name: value for name, value in again.headers.items() if name not in {"handoff_waited", LINKS}}
        return replace(again, headers={**kept, "retries": 0, "handoff_replays": replays})

    def returned(self) -> Message:
        """The same message without the broker's traces."""
        kept = {name: value for name, value in self.headers.items() if not name.startswith(BROKER_HEADERS)}
        return replace(self, headers=kept)


def rewritten(
    message: Message, envelope: str, kwargs: dict[str, Any], continuation: dict[str, Any]
) -> Message:
    """The same message with another envelope and arguments."""
    return replace(message, body=strictjson.dumps([[envelope], kwargs, continuation]))


def message(send: Send, envelope: Envelope) -> Message:
    """Make the message that starts a step.

    Its Celery task id is the envelope's id, its root the run; arguments are shown as a short summary without payload. Of Celery's
    headers it has those that somebody reads: each is written and read by every hop, and what is left out is unset.
    """
    kwargs = send.signature["kwargs"]
    continuation = {"callbacks": None, "errbacks": None, "chain": send.chain or None, "chord": send.chord}
    body = strictjson.dumps([[envelope.encode()], kwargs, continuation])
    headers = {
        "lang": "py",
        "task": send.agent,
        "id": envelope.id,
        "retries": 0,
        "root_id": envelope.correlation_id,
        "argsrepr": summary(envelope.correlation_id, kwargs["flow"], send.step, envelope.contract),
        "origin": origin(),
        "handoff_run": envelope.correlation_id,
        "handoff_flow": kwargs["flow"],
        "handoff_step": send.step,
    }
    if envelope.causation_id is not None:
        headers["parent_id"] = envelope.causation_id
    headers.update(carried(envelope).headers())  # for instrumentations of Celery
    if "event" in kwargs:
        headers["handoff_event"] = kwargs["event"]
    return Message(envelope.id, send.agent, headers, body)


def summary(run: str, flow: str, step: str, contract: ContractRef) -> str:
    """What Flower and the logs show of a message."""
    return f"run={run} flow={flow} step={step} contract={contract}"


@cache
def origin() -> str:
    """This process, as ``pid@host``."""
    return f"{os.getpid()}@{socket.gethostname()}"
