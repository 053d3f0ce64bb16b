"""The contracts and agents of which flows are generated. What an agent makes of its input depends on nothing else.

Each output has a digest of the input, so whatever is lost, doubled or put in another order on the way shows at the end.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from contracts import Contract, Key
from coordinator import Context, Permanent, Retry, Transient, agent
from coordinator.agent import Agent
from tests.flows.interpreter import Broken, Json, plain

ATTEMPTS = 3
_RETRY = Retry(attempts=ATTEMPTS, backoff=timedelta(milliseconds=1), factor=1, jitter=0)
_MOST_ITEMS = 4


class Item(Contract, name="flows.item", version=1):
    id: str = Key()
    n: int
    trace: str = ""


class Work(Contract, name="flows.work", version=1):
    id: str = Key()
    n: int
    amount: Decimal = Decimal(0)
    note: str | None = None
    trace: str = ""
    items: list[Item] = Field(default_factory=list)


_ABSENT = Work(id="absent", n=0)


class Listed(Contract):
    """What a list of items became."""

    prices: list[Item] = Field(default_factory=list)
    works: list[Work] = Field(default_factory=list)


class Gathered(Listed, name="flows.gathered", version=1):
    """The same, as a contract that joins it."""


class Inner(Contract):
    """Branches within a branch; those that a flow does not have are absent."""

    x: Work = _ABSENT
    y: Work = _ABSENT
    z: Work = _ABSENT
    m: Listed = Listed()


class Joined(Inner, name="flows.joined", version=1):
    """Joins every set of branches named x, y, z (each a work), m (a list) and o (branches)."""

    o: Inner = Inner()


@dataclass(frozen=True)
class Behaviour:
    """How an agent does at one place of a flow: ``ok``, ``slow``, ``flaky`` (the first ``times`` attempts fail),
    ``broken`` or ``exhausted`` (every attempt does, until mended). ``only``: for inputs whose n is odd, or even."""

    kind: str = "ok"
    times: int = 0
    only: int | None = None

    @property
    def fails(self) -> bool:
        return self.kind in {"broken", "exhausted"}

    def applies(self, data: Json) -> bool:
        return self.only is None or data.get("n", self.only) % 2 == self.only


@dataclass
class Story:
    """How the agents do in one run: by place, with what is mended.

    ``effects`` counts by agent and key. ``crowded`` has the lists of which more items than ``limits`` allows (by place)
    were worked on at a time.
    """

    name: str
    behaviours: dict[str, Behaviour]
    limits: dict[str, int] = field(default_factory=dict)
    mended: frozenset[str] = frozenset()
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    crowded: set[str] = field(default_factory=set)
    _working: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def working(self, path: str) -> Iterator[None]:
        """An agent is at work there, meanwhile."""
        words = path.split(".")
        items = [".".join(words[: at + 1]) for at, word in enumerate(words) if static(word) == "i*"]
        with _lock:
            self._working.update(items)
            for items_of in (item.rpartition(".")[0] for item in items):
                busy = {one for one in +self._working if one.rpartition(".")[0] == items_of}
                if len(busy) > self.limits.get(static(items_of), len(busy)):
                    self.crowded.add(items_of)
        try:
            yield
        finally:
            with _lock:
                self._working.subtract(items)

    def behaviour(self, path: str, data: Json) -> Behaviour:
        place = static(path)
        found = self.behaviours.get(place, Behaviour())
        return Behaviour() if not found.applies(data) or (found.fails and place in self.mended) else found

    def work(self, agent: Agent, path: str, data: Json) -> Json:
        """What the interpreter takes an agent for."""
        if self.behaviour(path, data).fails:
            raise Broken
        return made(agent.name, data, self.name)


STORIES: dict[str, Story] = {}
_lock = threading.Lock()


def static(path: str) -> str:
    """The place in the flow that a step of a run belongs to: ``4.i2.1`` is at ``4.i*.1``."""
    words = path.split(".")
    return ".".join(f"{word[0]}*" if word[0] in "ir" and word[1:].isdigit() else word for word in words)


def made(name: str, data: Json, story: str) -> Json:
    """What the agent of that name makes of ``data``."""
    digest = hashlib.sha256(f"{name} {plain(data)}".encode()).hexdigest()
    number, kind = int(digest[:8], 16), name.removeprefix("flows.").rstrip("0123456789")
    if kind in {"item", "shut"}:
        return {"id": data["id"], "n": number % 10, "trace": digest[:8]}
    own = story if kind in {"join", "gather"} else data["id"]
    items = data["items"] if kind == "work" else _items(own, digest, number % _MOST_ITEMS)
    return {
        "id": own,
        "n": number % 10,
        "amount": f"{number % 1000}.50",
        "note": None if number % 3 == 0 else "noted",
        "trace": digest[:8],
        "items": items,
    }


def _items(own: str, digest: str, count: int) -> list[Json]:
    """Items, the last two of which have the same id where there are more than two."""
    return [
        {"id": f"{own}.{min(number, 1)}", "n": int(digest[number], 16), "trace": digest[8:12]}
        for number in range(count)
    ]


def _agent(name: str, accepts: type[Contract], emits: type[Contract]) -> Agent:
    def run(payload: Any, context: Context) -> Any:
        story = STORIES[context.flow]
        with story.working(context.step):
            return emits.from_data(work(payload.to_data(), story, context))

    def work(data: Json, story: Story, context: Context) -> Json:
        behaviour = story.behaviour(context.step, data)
        if behaviour.kind == "slow":
            time.sleep(0.003)
        if behaviour.kind == "broken":
            raise Permanent("broken")
        if behaviour.kind == "exhausted" or context.attempt <= behaviour.times:
            raise Transient("not now")
        with _lock:
            story.effects[context.agent, context.idempotency_key] += 1
        return made(name, data, story.name)

    run.__annotations__ = {"payload": accepts, "context": Context, "return": emits}
    declare: Callable[[Any], Agent] = agent(name, retry=_RETRY, key=_key)
    return declare(run)


def _key(payload: Any) -> str | None:
    """The id of a work or an item, or the first one within."""
    if isinstance(payload, (Work, Item)):
        return None if payload is _ABSENT or payload.id == "absent" else payload.id
    parts = [getattr(payload, name) for name in type(payload).model_fields]
    flat = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    return next(filter(None, map(_key, flat)), None)


WORKS = [_agent(f"flows.{name}", Work, Work) for name in ("work1", "work2", "work3", "fill1", "fill2")]
ITEMS = [_agent(f"flows.item{number}", Item, Item) for number in (1, 2)]
OPEN = _agent("flows.open", Item, Work)
SHUT = _agent("flows.shut", Work, Item)
JOINS = [_agent(f"flows.join{number}", Joined, Work) for number in (1, 2)]
GATHERS = [_agent(f"flows.gather{number}", Gathered, Work) for number in (1, 2)]
AGENTS = [*WORKS, *ITEMS, OPEN, SHUT, *JOINS, *GATHERS]
