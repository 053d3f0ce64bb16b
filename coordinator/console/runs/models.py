"""Models: a run as the HTTP API gives it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from handoffs.coordinator.observe.standing import Status


class NowShown(BaseModel):
    """What a step does now; ``says`` in words."""

    step: str
    agent: str
    state: str
    since: datetime | None
    says: str


class WaitShown(BaseModel):
    """A signal that a run waits for, of ``contract``."""

    signal: str
    contract: str
    since: datetime | None
    step: str


class RunStepShown(BaseModel):
    """A step of a run as its flow is nested, or a way through one; ``hidden`` of those within are not in ``below``."""

    step: str
    kind: str
    title: str
    state: str
    says: str = ""
    attempts: int = 0
    at: datetime | None = None
    took_ms: float | None = None
    notes: list[str] = []
    size: int = 0
    hidden: int = 0
    below: list[RunStepShown] = []


class BarShown(BaseModel):
    """A line of a run's timeline; ``begin`` and ``took`` in seconds since the run began; the rest is how it is drawn, from 0 to 1000."""

    depth: int
    label: str
    kind: str
    begin: float | None
    took: float | None
    ready: float
    left: float
    width: float
    colour: str
    came: str


class StepEventShown(BaseModel):
    """One thing that happened to a step; times in milliseconds."""

    kind: str
    at: datetime | None
    attempt: int
    took_ms: float | None
    wait_ms: float | None
    worker: str
    error: str
    trace: str
    by: str
    why: str
    fallback: str


class StepShown(BaseModel):
    """A step: what happened to it; its input and output (null where the caller may not see what messages say), in which versions of
    contracts they came and went, and the migrations that the input went through."""

    step: str
    agent: str
    state: str
    now: NowShown | None
    events: list[StepEventShown]
    input: Any
    read: str
    accepts: str
    original: str
    migrated: list[str]
    output: Any
    wrote: str
    emits: str
    sent: dict[str, str]
    message: str
    letter: str
    sees_payloads: bool


class ParkedShown(BaseModel):
    """A dead letter of a run that waits."""

    letter: str
    step: str
    agent: str
    kind: str
    error: str
    text: str


class RunShown(BaseModel):
    """A run. ``now`` is what it does, ``waiting`` the signals that it waits for, ``unattended`` the agents for which nobody works; ``steps``
    the run as its flow is nested, ``hidden`` of the outermost are left out, ``counts`` has all agents' steps by their state; ``bars`` the
    timeline; ``step`` the one that is looked at; ``can`` what can be done to it. ``untold``: of a run that is completed, whether there are
    steps of which the history does not tell: they are ``on its way``, or, after a while, ``not known``."""

    run: str
    flow: str
    key: str
    status: Status
    started: datetime | None
    due: datetime | None
    seconds: float
    correlation: str
    is_story: bool
    is_flow: bool
    now: list[NowShown]
    more_now: int
    waiting: list[WaitShown]
    unattended: list[str]
    usage: dict[str, Any]
    spending: dict[str, Any] | None
    letters: list[ParkedShown]
    steps: list[RunStepShown]
    hidden: int
    counts: dict[str, int]
    bars: list[BarShown]
    more_bars: int
    step: StepShown | None
    entries: int
    untold: Literal["", "on its way", "not known"]
    can: list[str]
