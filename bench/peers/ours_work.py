"""The product's side of the work: contracts, agents and flows."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from functools import cache, reduce
from pathlib import Path
from typing import Any

from bench.work import WIDTH, Job, joined, stepped
from handoffs.contracts import Contract, Key
from handoffs.coordinator import Flow, agent, parallel, wait_for
from handoffs.coordinator.errors import Permanent
from handoffs.coordinator.flow.step import Step


class Document(Contract, name="bench.document", version=1):
    """What goes through the steps."""

    id: str = Key()
    text: str
    pages: list[str]
    steps: int
    wait: float


PARTS = tuple(f"part{number}" for number in range(WIDTH))
Parts: Any = type(
    "Parts",
    (Contract,),
    {"__module__": __name__, "__doc__": "What is joined.", "__annotations__": dict.fromkeys(PARTS, Document)},
    name="bench.parts",
    version=1,
)


MENDED = "BENCH_MENDED"
"""The variable that names a file: without it the agent that fails does."""


class Broken(Permanent):
    """What the agent that fails raises."""


def _stepped(given: Document) -> Document:
    return Document(**stepped(given.model_dump()))


@agent("bench.one")
def one(given: Document) -> Document:
    """The first of three."""
    return _stepped(given)


@agent("bench.two")
def two(given: Document) -> Document:
    """The second of three."""
    return _stepped(given)


@agent("bench.three")
def three(given: Document) -> Document:
    """The third of three."""
    return _stepped(given)


@agent("bench.step")
def step(given: Document) -> Document:
    """Any step of a chain of another length."""
    return _stepped(given)


@agent("bench.part")
def part(given: Document) -> Document:
    """One of the parts side by side."""
    return _stepped(given)


def _join(given: Parts) -> Document:
    return Document(**joined([getattr(given, name).model_dump() for name in PARTS]))


_join.__annotations__ = {"given": Parts, "return": Document}
join = agent("bench.join")(_join)


@agent("bench.pause")
def pause(given: Document) -> Document:
    """Waits in its thread."""
    time.sleep(given.wait)
    return _stepped(given)


@agent("bench.async-pause")
async def async_pause(given: Document) -> Document:
    """Waits without a thread."""
    await asyncio.sleep(given.wait)
    return _stepped(given)


@agent("bench.fails")
def fails(given: Document) -> Document:
    """Is parked until its cause is mended."""
    if not Path(os.environ[MENDED]).exists():
        raise Broken("it is not mended")
    return _stepped(given)


chain = Flow("bench.chain", one >> two >> three)
fan_out = Flow("bench.fan-out", one >> parallel(**dict.fromkeys(PARTS, part)) >> join)
paused = Flow("bench.paused", pause)
async_paused = Flow("bench.async-paused", async_pause)
failing = Flow("bench.failing", fails)
open_run = Flow("bench.open", wait_for("go", Document) >> one, input=Document)


@cache
def chain_of(length: int) -> Flow:
    """A chain of so many steps: of three agents, or else of one agent so many times."""
    if length == 3:
        return chain
    steps: Iterable[Step] = [step] * length
    return Flow(f"bench.chain-{length}", reduce(lambda before, after: before >> after, steps))


def flow_of(job: Job) -> Flow:
    """The flow of a job."""
    match job.shape:
        case "chain":
            return chain_of(job.length)
        case "fan-out":
            return fan_out
        case "pause":
            return paused
        case "async pause":
            return async_paused
