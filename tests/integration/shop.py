"""A shop whose agents misbehave as the payload says, and write down what they did.

``behaviour`` in the payload names, by agent, how it misbehaves until the order is mended; see :data:`BEHAVIOURS`.
The folder is TEST_FOLDER, which workers and tests share.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field

from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.migration import upcast
from handoffs.coordinator.flow.agent import Agent, agent
from handoffs.coordinator.flow.context import Context
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.step import compensate, parallel, retrying

TIME_LIMIT = timedelta(seconds=2)
_LONG = 60  # seconds
_RETRY = Retry(attempts=2, backoff=timedelta(milliseconds=20), jitter=0)


class ItemV1(Contract, name="shop.item", version=1):
    """As it was once written; what reads it is broken until the order is mended."""

    order: str = Key()
    behaviour: dict[str, str] = Field(default_factory=dict)


class Item(Contract, name="shop.item", version=2):
    """An order on its way. ``trail`` has for each agent the token of the call that made the outcome."""

    order: str = Key()
    behaviour: dict[str, str] = Field(default_factory=dict)
    trail: dict[str, str] = Field(default_factory=dict)


class Pair(Contract, name="shop.pair", version=1):
    """What two branches made."""

    left: Item
    right: Item


@upcast(Item, 1, 2)
def with_trail(data: dict[str, Any]) -> dict[str, Any]:
    """Fail until the order is mended, as an upcast that is missing or wrong does."""
    if not mended(data["order"]):
        raise ValueError("this version is not understood yet")
    return {**data, "trail": {}}


class Broken(Exception):
    """What an agent raises that was told to fail."""


def folder() -> Path:
    """Where agents and tests write things down for each other."""
    return Path(os.environ["TEST_FOLDER"])


def flag(order: str, name: str, base: Path | None = None) -> Path:
    """A file that says something about an order by being there."""
    return (base or folder()) / f"{quote(order, safe='')}.{name}"


def mended(order: str) -> bool:
    """Whether the cause of the order's trouble is gone."""
    return flag(order, "mended").exists()


def effects(base: Path, name: str) -> dict[str, list[str]]:
    """What an agent has done: the token of each call that came to its end, by idempotency key."""
    return {
        path.name: path.read_text().split()
        for path in (base / "effects" / name).glob("*")
    }  # fmt: skip


def _take_effect(name: str, key: str) -> str:
    token = secrets.token_hex(8)
    path = folder() / "effects" / name / quote(key, safe="")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, f"{token}\n".encode())
    finally:
        os.close(file)
    return token


def _fail(name: str, item: Item) -> None:
    raise Broken(f"{name} is broken")


def _fail_once(name: str, item: Item) -> None:
    try:
        flag(item.order, f"{name}.failed").touch(exist_ok=False)
    except FileExistsError:
        return
    raise Broken(f"{name} is broken for once")


def _hold(name: str, item: Item) -> None:
    flag(item.order, f"{name}.began").write_text(str(os.getpid()))
    never = threading.Event()
    while not mended(item.order):
        never.wait(0.02)


def _fail_then_hold(name: str, item: Item) -> None:
    if flag(item.order, f"{name}.hold").exists():
        _hold(name, item)
    else:
        _fail(name, item)


def _sleep(name: str, item: Item) -> None:
    flag(item.order, f"{name}.began").touch()
    threading.Event().wait(_LONG)


def _kill_child(name: str, item: Item) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_worker(name: str, item: Item) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _fail_four_times(name: str, item: Item) -> None:
    for number in range(4):
        try:
            flag(item.order, f"{name}.failed-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        raise Broken(f"{name} is broken for now")


def _exit(name: str, item: Item) -> None:
    sys.exit(3)


BEHAVIOURS: dict[str, Callable[[str, Item], None]] = {
    "fail": _fail,
    "fail-once": _fail_once,
    "fail-four-times": _fail_four_times,
    "hold": _hold,
    "fail-then-hold": _fail_then_hold,
    "sleep": _sleep,
    "kill-child": _kill_child,
    "kill-worker": _kill_worker,
    "exit": _exit,
    "invalid-output": lambda name, item: None,  # what it returns is wrong, see below
}


def _work(name: str, item: Item, context: Context) -> Item:
    behaviour = item.behaviour.get(name)
    if behaviour and not mended(item.order):
        BEHAVIOURS[behaviour](name, item)
        if behaviour == "invalid-output":
            return item.model_copy(update={"order": 5})
    token = _take_effect(name, context.key)
    return item.model_copy(update={"trail": {**item.trail, name: token}})


def _agent(name: str, time_limit: timedelta | None = None) -> Agent:
    @agent(f"shop.{name}", retry=_RETRY, time_limit=time_limit)
    def handle(item: Item, context: Context) -> Item:
        return _work(name, item, context)

    return handle


def _join(name: str) -> Agent:
    @agent(f"shop.{name}", retry=_RETRY)
    def handle(pair: Pair, context: Context) -> Item:
        both = {**pair.left.trail, **pair.right.trail}
        return _work(name, pair.left.model_copy(update={"trail": both}), context)

    return handle


one = _agent("one")
two = _agent("two", TIME_LIMIT)
three = _agent("three")
left = _agent("left", TIME_LIMIT)
more = _agent("more")
right = _agent("right")
inner = _agent("inner", TIME_LIMIT)
other = _agent("other")
innerjoin = _join("innerjoin")
join = _join("join")
patient = _agent("patient")


@agent("shop.before")
def before(item: ItemV1) -> ItemV1:
    """Nobody's work any more: it makes the older version known here, as publishing it would."""
    return item


chain = Flow("shop.chain", one >> two >> three)
header = Flow("shop.header", one >> parallel(left=left, right=right) >> join)
branch = Flow("shop.branch", one >> parallel(left=left >> more, right=right) >> join)
nested = Flow(
    "shop.nested",
    one
    >> parallel(left=left >> parallel(left=inner, right=other) >> innerjoin, right=right)
    >> join
    >> three,
)
trailing = Flow("shop.trailing", one >> parallel(left=left, right=right))
patiently = Retry(attempts=5, backoff=timedelta(milliseconds=20), jitter=0.5, never=("Declined",))
retried = Flow("shop.retried", one >> retrying(compensate(two, by=other), patiently) >> three)
single = Flow("shop.single", patient >> three)

AGENTS = tuple(
    f"shop.{name}"
    for name in (
        "one",
        "two",
        "three",
        "left",
        "more",
        "right",
        "inner",
        "other",
        "innerjoin",
        "join",
        "patient",
    )
)
UNLIMITED = tuple(name for name in AGENTS if name not in {"shop.two", "shop.left", "shop.inner"})
"""Those without a time limit, which may work in threads."""
