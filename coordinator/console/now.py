"""Now: the installation in numbers: what runs, waits and is at work, each number linked to its list."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from handoffs.coordinator.console.asked import console_of
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin

router = APIRouter(tags=["now"])


class NowServer(BaseModel):
    """Whether a server answered: since when it does not, as far as this console has looked, and what it says."""

    server: str
    reachable: bool
    since: datetime | None
    error: str | None
    took_ms: float | None


class NowRuns(BaseModel):
    """How many runs live, and how many of the ``looked_at`` are in each status; ``complete``: these are all, at one moment."""

    live: int
    looked_at: int
    complete: bool
    running: int
    waiting: int
    parked: int
    paused: int
    compensating: int
    scheduled: int
    unknown: int


class NowRate(BaseModel):
    """What happens a second: runs accepted, steps that get their outcome, attempts that fail and are tried again, steps parked, and budgets missed."""

    started: float
    handoffs: float
    failures: float
    parked: float
    fallbacks: float


class NowRates(NowRate):
    """What happened a second in the ``seconds`` before ``until``, in all and by flow."""

    until: datetime
    seconds: float
    flows: dict[str, NowRate]


class LetterKind(BaseModel):
    """How many dead letters wait of a kind, and when the oldest of them failed first."""

    kind: str
    count: int
    oldest: str


class FirstLetter(BaseModel):
    """The dead letter that waits longest."""

    letter: str
    flow: str
    step: str
    agent: str
    kind: str
    since: str


class NowLetters(BaseModel):
    """The dead letters that wait, by why they were parked; ``unheard`` are events that nobody heard."""

    waiting: int
    unheard: int
    by_kind: list[LetterKind]
    oldest: FirstLetter | None


class NowDrain(BaseModel):
    """How far the journal is behind."""

    entries: int
    seconds: float


class NowAgent(BaseModel):
    """An agent: its workers and builds, what is ready in its queue, and what was sent to it and is not settled: ``in_hand`` where it is neither
    ready nor parked. Null where it is not known."""

    agent: str
    workers: int | None
    builds: list[str]
    depth: int | None
    consumers: int | None
    outstanding: int | None
    in_hand: int | None
    parked: int | None
    oldest: datetime | None


class NowQueue(BaseModel):
    """A queue that is no agent's; null where the broker has none, or does not answer."""

    queue: str
    purpose: str = Field(alias="for")
    depth: int | None
    consumers: int | None


class Now(BaseModel):
    """The installation ``at`` a moment. What a server that did not answer would say is null, and never 0."""

    at: datetime
    servers: list[NowServer]
    runs: NowRuns | None
    rates: NowRates | None
    letters: NowLetters | None
    drain: NowDrain | None
    scheduled: int | None
    coordinators: int | None
    agents: list[NowAgent]
    queues: list[NowQueue]


def now(request: Request) -> View[Now]:
    """The installation in numbers, at most a second old, whoever else looks: and which server does not answer, since when."""
    console = console_of(request)
    reading = console.reading.get()
    data = Now.model_validate(reading.to_json())
    told = [one.in_hand for one in reading.agents]
    more = {
        "away": {one.name: one for one in reading.unreachable},
        "in_flight": None if None in told else sum(filter(None, told)),
        "unattended": {one.name for one in reading.agents if one.unattended},
    }
    return View(data, "Now", twin("top", once=True), more)


add_page(router, "/now", now, template="now.html.j2", model=Now)
