"""Agents at the edges of what Python allows, one of each kind for each pool, for workers in processes of their own.

What they saw they write into files of the folder TEST_FOLDER, which workers and tests share.
"""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from handoffs import Context, Contract, Flow, Key, Retry, Transient, agent
from handoffs.coordinator.flow.agent import Agent

POOLS = ("prefork", "threads", "solo")
_LONG = 60.0  # seconds

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="")


class Job(Contract, name="edges.job", version=1):
    number: str = Key()
    what: str = ""


class Own(BaseException):
    """An exception that is no ``Exception``."""


class Stuck(Exception):
    """It can be neither shown nor copied into another process."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__

    def __reduce__(self) -> Any:
        raise SystemExit(1)


RAISED: dict[str, Callable[[], BaseException]] = {
    "CancelledError": asyncio.CancelledError,
    "SystemExit": lambda: SystemExit(0),
    "SystemExit of a signal": lambda: SystemExit(signal.SIGTERM - 256),
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "Own": Own,
    "Stuck": Stuck,
    "StopIteration": StopIteration,
    "MemoryError": MemoryError,
    "BaseExceptionGroup": lambda: BaseExceptionGroup("two", [ValueError("no"), SystemExit(3)]),
}


def seen(name: str, folder: Path | None = None) -> Path:
    """A file that says what an agent has seen."""
    return (folder or Path(os.environ["TEST_FOLDER"])) / name


class Client:
    """Something that belongs to the event loop in which it was made."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    async def ask(self) -> str:
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        assert self.loop is asyncio.get_running_loop(), "the client is of another loop"
        await asyncio.sleep(0.01)
        return "answered"


client = Client()


def _squares(context: Any) -> list[int]:
    with context.Pool(2) as pool:
        return pool.map(abs, [-1, -2])  # type: ignore[no-any-return]


def _in_children() -> str:
    with ProcessPoolExecutor(2) as executor:
        assert list(executor.map(abs, [-3])) == [3]
    for method in ("fork", "spawn"):
        assert _squares(multiprocessing.get_context(method)) == [1, 2]
    return "computed"


def _leaves_a_child(job: Job) -> str:
    child = multiprocessing.get_context("fork").Process(target=threading.Event().wait, args=(_LONG,))
    child.start()
    seen(f"{job.number}.child").write_text(str(child.pid))
    return "left"


def _plain(job: Job, context: Context) -> str:
    if job.what in RAISED:
        raise RAISED[job.what]()  # noqa: RSE102 - it makes one
    match job.what:
        case "children":
            return _in_children()
        case "leave":
            return _leaves_a_child(job)
        case "told":
            seen(f"{job.number}.began").touch()
            never = threading.Event()
            while not context.cancelled:
                never.wait(0.02)
            seen(f"{job.number}.heard").write_text(context.ending())
            raise InterruptedError
        case "mark":
            before = mark.get()
            mark.set("set")
            return before
        case "paid":
            found = context.once("call", lambda: _paid(job))
            seen(f"{job.number}.began").touch()
            never = threading.Event()
            while not seen(f"{job.number}.go").exists():
                never.wait(0.02)
            return found
        case "model":
            _modelled(job, context)
            never = threading.Event()
            while not seen(f"{job.number}.go").exists():
                never.wait(0.02)
    return ""


def _modelled(job: Job, context: Context) -> None:
    """A call of a model that is busy at first."""
    context.usage(tokens=100, cost=0.5)
    if not seen(f"{job.number}.busy").exists():
        seen(f"{job.number}.busy").touch()
        raise Transient("429", retry_after=0.3)
    context.progress("page 1 of 2", 0.5)
    seen(f"{job.number}.began").touch()


def _paid(job: Job) -> str:
    with seen(f"{job.number}.calls").open("a") as file:
        file.write("a call\n")
    return "paid"


async def _awaits(job: Job, context: Context) -> str:
    if job.what in RAISED:
        await asyncio.sleep(0)
        raise RAISED[job.what]()  # noqa: RSE102 - it makes one
    match job.what:
        case "told":
            seen(f"{job.number}.began").touch()
            try:
                await asyncio.sleep(_LONG)
            finally:
                seen(f"{job.number}.heard").write_text(context.ending())
        case "mark":
            before = mark.get()
            mark.set("set")
            return before
        case "client":
            return await client.ask()
        case "paid":
            found = await context.aonce("call", lambda: asyncio.to_thread(_paid, job))
            seen(f"{job.number}.began").touch()
            while not seen(f"{job.number}.go").exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
            return found
        case "model":
            _modelled(job, context)
            while not seen(f"{job.number}.go").exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
    return ""


def _declare(pool: str) -> tuple[Agent, Agent]:
    @agent(f"edges.{pool}", retry=Retry(attempts=1))
    def plain(job: Job, context: Context) -> Job:
        return Job(number=job.number, what=_plain(job, context))

    @agent(f"edges.{pool}-async", retry=Retry(attempts=1))
    async def awaits(job: Job, context: Context) -> Job:
        return Job(number=job.number, what=await _awaits(job, context))

    return plain, awaits


AGENTS = {pool: _declare(pool) for pool in POOLS}
prefork, prefork_async = AGENTS["prefork"]
threads, threads_async = AGENTS["threads"]
solo, solo_async = AGENTS["solo"]
FLOWS = {one.name: Flow(f"{one.name}.flow", one) for pair in AGENTS.values() for one in pair}
