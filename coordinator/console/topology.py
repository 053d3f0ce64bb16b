"""Map: the topology as it is now: fleets, queues, events and flows, and what waits where."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from handoffs.coordinator.console.asked import console_of
from handoffs.coordinator.console.drawing.landscape import drawing_of
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin

router = APIRouter(tags=["map"])


class MapAgent(BaseModel):
    """An agent. ``known`` says from where: ``live``, ``deployed``, ``seen`` (in the last day) or ``loaded`` (only its code is here).
    ``reads`` and ``writes`` are the versions by contract. ``depth`` and ``consumers`` are those of its queue, null where there is none;
    ``outstanding`` what was sent to it and is not settled, ``parked`` how many letters of it wait."""

    agent: str
    queue: str
    known: str
    live: int
    builds: list[str]
    reads: dict[str, list[int]]
    writes: dict[str, list[int]]
    subscribes: list[str]
    depth: int | None
    consumers: int | None
    outstanding: int
    parked: int


class MapSubscriber(BaseModel):
    """An agent that hears an event, by which name or pattern, in which versions (none: any)."""

    agent: str
    pattern: str
    versions: list[int]


class MapEvent(BaseModel):
    """The events of a contract: who emits and who hears them, and how many are kept because nobody does."""

    contract: str
    versions: list[int]
    agents: list[str]
    flows: list[str]
    heard: list[MapSubscriber]
    unheard: int


class MapHandover(BaseModel):
    """In a flow: who (empty: its start) hands which contract over to whom."""

    sender: str = Field(alias="from")
    receiver: str = Field(alias="to")
    contract: str


class MapFlow(BaseModel):
    """A flow that is loaded in the console, and its handovers."""

    flow: str
    accepts: str
    handovers: list[MapHandover]


class MapQueue(BaseModel):
    """A queue that is no agent's; null where the broker has no such queue."""

    queue: str
    purpose: str = Field(alias="for")
    depth: int | None
    consumers: int | None


class Map(BaseModel):
    """The topology. ``remarks`` are what an operator should look at."""

    asked: bool
    agents: list[MapAgent]
    events: list[MapEvent]
    flows: list[MapFlow]
    queues: list[MapQueue]
    remarks: list[str]


def topology_map(request: Request) -> View[Map]:
    """The topology as it is now: which agents are there, which events go from whom to whom, what waits where. At most a second old."""
    console = console_of(request)
    landscape = console.landscape.get()
    reading = console.reading.get()
    more = {
        "drawing": drawing_of(landscape),
        "rates": reading.rates,
        "drain": reading.drain,
        "oldest": {one.name: one.oldest for one in reading.agents if one.oldest},
    }
    return View(Map.model_validate(landscape.to_json()), "Map", twin("map"), more)


add_page(router, "/map", topology_map, template="map.html.j2", model=Map)
