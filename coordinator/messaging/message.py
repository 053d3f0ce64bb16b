"""Message: a step on its way, in the form that Celery gives it (task protocol 2). The message is the continuation."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.envelope import Envelope, message_id
from handoffs.coordinator.continuation.path import hearing
from handoffs.coordinator.continuation.signature import EVENT, Send

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
        return cls(stored["id"], stored["agent"], stored["headers"], stored["body"])

    def replayed(self, replays: int) -> Message:
        """The same message for another try: attempts begin anew, and the broker's traces of the last one are gone."""
        kept = {name: value for name, value in self.headers.items() if not name.startswith(BROKER_HEADERS)}
        return replace(self, headers={**kept, "retries": 0, "handoff_replays": replays})


def rewritten(
    message: Message, envelope: str, kwargs: dict[str, Any], continuation: dict[str, Any]
) -> Message:
    """The same message with another envelope and arguments."""
    return replace(message, body=strictjson.dumps([[envelope], kwargs, continuation]))


def message(send: Send, envelope: Envelope) -> Message:
    """Make the message that starts a step.

    Its Celery task id is the envelope's id, its root the run; arguments are shown as a short summary without payload.
    """
    kwargs = send.signature["kwargs"]
    continuation = {"callbacks": None, "errbacks": None, "chain": send.chain or None, "chord": send.chord}
    body = strictjson.dumps([[envelope.encode()], kwargs, continuation])
    headers = {
        "lang": "py",
        "task": send.agent,
        "id": envelope.id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": envelope.correlation_id,
        "parent_id": envelope.causation_id,
        "argsrepr": summary(envelope.correlation_id, kwargs["flow"], send.step, envelope.contract),
        "kwargsrepr": "",
        "origin": origin(),
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        "handoff_run": envelope.correlation_id,
        "handoff_flow": kwargs["flow"],
        "handoff_step": send.step,
        "handoff_replays": 0,
        "handoff_looks": 0,
    }
    if "event" in kwargs:
        headers["handoff_event"] = kwargs["event"]
    return Message(envelope.id, send.agent, headers, body)


def addressed(headers: dict[str, Any], body: bytes | str, agent: str) -> tuple[dict[str, Any], str]:
    """Headers and body of an event, as the message that starts what ``agent`` does when it hears it.

    Each subscriber has a step and a message id of its own; the envelope stays as it is. Raises :class:`ValueError`,
    :class:`TypeError`, :class:`AttributeError` or :class:`KeyError` for what :func:`message` does not make.
    """
    [envelope], kwargs, continuation = json.loads(body)
    step = hearing(agent, kwargs["step"])
    number = message_id(str(headers["handoff_run"]), step)
    shown = str(headers.get("argsrepr") or "").replace(f"step={kwargs['step']} ", f"step={step} ")
    return {
        **headers,
        "task": agent,
        "id": number,
        "parent_id": headers.get("id"),
        "argsrepr": shown,
        "handoff_step": step,
    }, json.dumps([[envelope], {**kwargs, "step": step}, continuation], ensure_ascii=False)


def summary(run: str, flow: str, step: str, contract: ContractRef) -> str:
    """What Flower and the logs show of a message."""
    return f"run={run} flow={flow} step={step} contract={contract}"


@cache
def origin() -> str:
    """This process, as ``pid@host``."""
    return f"{os.getpid()}@{socket.gethostname()}"
