"""Delivery: a message as a worker got it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handoffs.contracts import strictjson
from handoffs.coordinator.continuation.signature import Sig
from handoffs.coordinator.messaging.content import agrees, content
from handoffs.coordinator.messaging.message import BROKER_HEADERS, Message
from handoffs.coordinator.messaging.trace_context import HEADERS as TRACE_HEADERS
from handoffs.coordinator.messaging.trace_context import LINKS

HEADERS = (
    "lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit", "root_id",
    "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting", "stamped_headers",
    "stamps", "handoff_run", "handoff_flow", "handoff_step", "handoff_replays", "handoff_waited",
    "handoff_event", LINKS, *TRACE_HEADERS,
)  # fmt: skip
"""The headers that go on with a message. What is in them is checked where it comes in: :mod:`.wire`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a worker got it.

    ``attempt`` counts from 1; ``replays`` is how often the step was replayed; ``worker`` is the node that got it. ``waited`` is how
    much of its allowance the step has used up, by waits that its own errors asked for, in milliseconds.
    """

    id: str
    agent: str
    envelope: str
    kwargs: dict[str, Any]
    chain: list[Sig]
    chord: Sig | None
    attempt: int
    replays: int
    looks: int
    worker: str
    headers: dict[str, Any]
    waited: int = 0

    @property
    def flow(self) -> str:
        return str(self.kwargs.get("flow", ""))

    @property
    def step(self) -> str:
        return str(self.kwargs.get("step", ""))

    @property
    def run(self) -> str:
        """The run that the headers name, for where the envelope cannot be read."""
        return str(self.headers.get("handoff_run") or "")

    @property
    def content(self) -> str:
        """Names what it carries: copies of it have the same (:mod:`.content`)."""
        rest = {"chain": self.chain, "chord": self.chord}
        return content(self.agent, self.id, self.envelope, self.kwargs, rest)

    @property
    def agrees(self) -> bool:
        """Whether it carries what its headers say."""
        return agrees(self.id, self.run, self.step, self.envelope, self.kwargs)

    @property
    def owner(self) -> str:
        """Who holds a lease for this delivery."""
        return f"{self.worker}|{self.id}"

    def again(self, *, attempt: int, looks: int = 0, waited: int = 0) -> Message:
        """The same message, to be tried later; ``looks`` counts how often somebody else was found running it, ``waited`` is what it
        has used up of its allowance by then."""
        kept = {name: value for name, value in self.headers.items() if not name.startswith(BROKER_HEADERS)}
        continuation = {"callbacks": None, "errbacks": None, "chain": self.chain or None, "chord": self.chord}
        body = strictjson.dumps([[self.envelope], self.kwargs, continuation])
        kept.pop("handoff_waited", None)
        counts = {"retries": attempt - 1, "handoff_looks": looks}
        if waited:
            counts["handoff_waited"] = waited
        return Message(self.id, self.agent, {**kept, **counts}, body)


def delivery_of(request: Mapping[str, Any], envelope: str, kwargs: dict[str, Any]) -> Delivery:
    """The delivery that a Celery request is: a task's in a child process, or a worker's in its parent."""
    headers = {name: request[name] for name in HEADERS if name in request}
    return Delivery(
        id=str(request["id"]),
        agent=str(request["task"]),
        envelope=envelope,
        kwargs=kwargs,
        chain=request.get("chain") or [],
        chord=request.get("chord"),
        attempt=int(request.get("retries") or 0) + 1,
        replays=int(request.get("handoff_replays") or 0),
        looks=int(request.get("handoff_looks") or 0),
        worker=str(request.get("hostname") or ""),
        headers=headers,
        waited=int(request.get("handoff_waited") or 0),
    )
