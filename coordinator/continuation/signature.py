"""Signatures: a task with the rest of its chain, as plain JSON values. They travel in messages, in Celery's form.

Some of them are never sent, for settling the step before does their work: :data:`JOIN`, the chords' body, puts the outputs of
branches together; the controls decide how to go on, with what they hold
(:mod:`handoffs.coordinator.continuation.advance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handoffs.config.topology import TIMERS
from handoffs.contracts.contract import ContractRef

JOIN = "coordinator.join"
CHOICE = "coordinator.choice"
EACH = "coordinator.each"
REPEAT = "coordinator.repeat"
DELAY = "coordinator.delay"
BUDGET = "coordinator.budget"
WAIT = "coordinator.wait"
UNDO = "coordinator.undo"
EMIT = "coordinator.emit"
PACKED = "coordinator.packed"
"""Stands in a chain for steps that are far off (:mod:`handoffs.coordinator.continuation.packed`)."""
CONTROLS = frozenset({CHOICE, EACH, REPEAT, DELAY, BUDGET, WAIT, UNDO, EMIT})
"""The tasks that decide how to go on."""
TIMER = TIMERS
"""The task of a timer: its message comes to the coordinator process when a time is over."""
ONWARD = "onward"
"""The argument of a timer that is no budget's: with it, what the message carries goes on from its place. It says what that is:
``own``, ``item`` or ``joined``."""
EVENT = "coordinator.event"
"""The task of an event, until the worker of a subscriber takes it."""

Sig = dict[str, Any]
"""A Celery signature as plain JSON values, as it travels in a message."""

MEMBERS = frozenset({"task", "args", "kwargs", "options", "subtask_type", "immutable"})
"""What a signature has."""
_PATHS = frozenset({"step", "join", "turn"})


@dataclass(frozen=True, slots=True)
class Send:
    """A step to send: its signature, and the rest of the chain behind it (Celery's order: the next one last)."""

    signature: Sig
    chain: list[Sig]

    @property
    def agent(self) -> str:
        """The name of its task: the agent, or a pseudo task."""
        name: str = self.signature["task"]
        return name

    @property
    def step(self) -> str:
        """Its path."""
        path: str = self.signature["kwargs"]["step"]
        return path

    @property
    def accepts(self) -> str:
        """The contract version that its agent accepts, as a URI."""
        uri: str = self.signature["kwargs"]["accepts"]
        return uri

    @property
    def chord(self) -> Sig | None:
        """The join that this step's output goes to, where it is the last of its branch."""
        body: Sig | None = self.signature["options"].get("chord")
        return body


def signature(task: str, kwargs: dict[str, Any], **options: Any) -> Sig:
    """The signature of a task with its arguments; ``options`` are its ``chain`` and ``chord``."""
    return {
        "task": task,
        "args": [],
        "kwargs": kwargs,
        "options": options,
        "subtask_type": None,
        "immutable": False,
    }


def event(flow: str, path: str, schema: str) -> Sig:
    """The signature of the event at ``path``, of the contract version ``schema`` (a URI)."""
    name = ContractRef.from_uri(schema).name
    return signature(EVENT, {"flow": flow, "step": path, "accepts": schema, "event": name})


def placed(signature: Sig, template: str, path: str) -> Sig:
    """A signature of a body that runs more than once, for one time: ``template`` (``4.i*``) in its paths is ``path``."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        if is_packed(value):  # in it they are replaced when it is taken apart
            kwargs = value["kwargs"]
            again = [*kwargs.get("placed", ()), [template, path]]
            return {**value, "kwargs": {**kwargs, "placed": again}, "options": walk(value["options"])}
        return {
            name: inner.replace(template, path, 1)
            if name in _PATHS and isinstance(inner, str)
            else walk(inner)
            for name, inner in value.items()
        }

    made: Sig = walk(signature)
    return made


def is_packed(value: Any) -> bool:
    """Whether it is the signature that stands for steps that are far off."""
    return isinstance(value, dict) and value.get("task") == PACKED and value.keys() == MEMBERS


def tasks(signature: Sig | list[Sig]) -> list[Sig]:
    """The members of a chain or group; a task is a chain of one."""
    if isinstance(signature, list):
        return signature
    members: list[Sig] = signature["kwargs"].get("tasks", [signature])
    return members


def with_chord(signature: Sig, chord: Sig) -> Sig:
    """The same signature, its last step being part of ``chord``."""
    if signature["subtask_type"] == "chain":
        *start, last = tasks(signature)
        return {**signature, "kwargs": {"tasks": [*start, with_chord(last, chord)]}}
    return {**signature, "options": {**signature["options"], "chord": chord}}
