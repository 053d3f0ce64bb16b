"""An async agent that waits until it is let go, and one that hands on a number."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from handoffs import Contract, Flow, Key, agent, lifespan


class Ticket(Contract, name="waiters.ticket", version=1):
    number: int = Key()


@lifespan
async def client() -> AsyncIterator[str]:
    """Leaves a file for each process that has opened it, and one for each that has closed it."""
    folder = Path(os.environ["TEST_FOLDER"])
    (folder / f"opened-{os.getpid()}").touch()
    yield "client"
    (folder / f"closed-{os.getpid()}").touch()


@agent("waiters.asks")
async def asks(ticket: Ticket) -> Ticket:
    assert await client() == "client"
    return ticket


@agent("waiters.wait")
async def wait(ticket: Ticket) -> Ticket:
    """Waits for the file ``go`` in TEST_FOLDER."""
    go = Path(os.environ["TEST_FOLDER"]) / "go"
    (go.parent / f"at-work-{ticket.number}").touch()
    while not go.exists():  # noqa: ASYNC110 - others are in other processes
        await asyncio.sleep(0.1)
    return ticket


@agent("waiters.plain")
def plain(ticket: Ticket) -> Ticket:
    return ticket


waiting = Flow("waiters.waiting", wait >> plain)
brief = Flow("waiters.brief", plain)
asking = Flow("waiters.asking", asks >> asks)
AGENTS = ["waiters.wait", "waiters.plain"]
