"""The contracts and agents of which flows are generated. What an agent makes of its input depends on nothing else.

Each output has a digest of the input, so whatever is lost, doubled or put in another order on the way shows at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field, SecretStr

from handoffs import Context, Contract, Permanent, Retry, Transient, agent, on
from handoffs import field as of
from handoffs.contracts.text import MASK
from handoffs.coordinator.flow.agent import Agent
from tests.flows.interpreter import AtWork, Panic, TooMuch
from tests.flows.memory import Json, is_fact, plain, static

ATTEMPTS = 3
_RETRY = Retry(
    attempts=ATTEMPTS,
    backoff=timedelta(milliseconds=1),
    factor=1,
    jitter=0,
    allowance=timedelta(milliseconds=9),
)
MOST_ITEMS = 4
LIMIT = 262_144
"""How many bytes a message may have here: no flow that is drawn comes near it, but for agents that are to."""
NOBODY = "absent"
"""The id of what comes from nobody's input, such as a constant: it is no key."""
WARM = "w"
"""Ends the names of stories that leave outcomes for others. Those are no keys either, or they would be the others' too."""


class Busy(Transient):
    """Not now."""


class Jammed(Busy):
    """Not now either."""


FAULTS: dict[str, Callable[[], BaseException]] = {
    "busy": lambda: Busy("not now"),
    "jammed": lambda: Jammed("not now"),
    "asked": lambda: Transient("not now", retry_after=timedelta(milliseconds=4)),
    "odd": lambda: ValueError("odd"),
    "cut": CancelledError,
    "exit": lambda: SystemExit(3),
    "closed": GeneratorExit,
    "panic": lambda: Panic("no"),
    "both": lambda: ExceptionGroup(
        "both", [Busy("not now"), Transient("nor", retry_after=timedelta(milliseconds=5))]
    ),
    "deep": lambda: ExceptionGroup("deep", [ExceptionGroup("in it", [Jammed("not now"), ValueError("odd")])]),
    "mixed": lambda: ExceptionGroup("mixed", [Busy("not now"), Permanent("broken")]),
    "worse": lambda: BaseExceptionGroup("worse", [Busy("not now"), SystemExit(3)]),
}
"""What agents fail with, where it may be another time."""


# They have no key fields: each event of them has a key of its own, and the agents of a flow say theirs themselves.
SECRET = "hush-"


class Item(Contract, name="flows.item", version=1):
    id: str
    n: int
    trace: str = ""


class Part(Contract):
    size: int


class Named(Contract):
    """It has no size that could be asked for."""

    called: str


class Work(Contract, name="flows.work", version=1):
    id: str
    n: int
    amount: Decimal = Decimal(0)
    note: str | None = None
    at: datetime | None = None
    part: Part | None = None
    other: Part | Named = Part(size=2)
    anything: Any = 2
    tags: frozenset[str] = frozenset()
    trace: str = ""
    code: SecretStr = SecretStr(SECRET)
    """SECRET and the trace: nobody but agents may see it, and they whole."""
    items: list[Item] = Field(default_factory=list)


_ABSENT = Work(id=NOBODY, n=0)


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
    """How an agent does at one place of a flow: ``ok``, ``slow``, ``flaky`` (the first ``times`` attempts fail), ``held``
    (it does not come back before it is let go), ``broken``, ``exhausted`` (every attempt fails, for good or not) or ``huge`` (what
    it makes has no room in a message), until it is mended. ``only``: for inputs whose n is odd, or even. ``fault``: what it fails with, by name."""

    kind: str = "ok"
    times: int = 0
    only: int | None = None
    fault: str = "busy"

    def __repr__(self) -> str:
        said = [self.kind, *([f"{self.times} times"] if self.times else [])]
        said += [self.fault] if self.kind in {"flaky", "exhausted"} else []
        said += [f"where n is {'odd' if self.only else 'even'}"] if self.only is not None else []
        return f"<{', '.join(said)}>"

    @property
    def fails(self) -> bool:
        return self.kind in {"broken", "exhausted", "flaky", "huge"}

    def failure(self, attempt: int) -> BaseException | None:
        """What it fails with at the attempt of that number (from 1), if it does."""
        if self.kind == "broken":
            return Permanent("broken")
        fails = self.kind == "exhausted" or attempt <= self.times
        return FAULTS[self.fault]() if fails else None

    def applies(self, data: Json) -> bool:
        return self.only is None or data.get("n", self.only) % 2 == self.only


@dataclass
class Story:
    """How the agents do in one run: by place, with what is ``mended``, and who was ``let_go``. Without a clock nobody holds.

    ``effects`` counts by path, agent and key; ``handed`` has them by what is handed to systems outside. ``amid`` has what is
    done to the run while an agent is at work, by path.
    ``crowded`` has the lists of which more items than ``limits`` allows (by place) were worked on at a time. ``hand`` has
    who is held now. ``paths`` says of steps that hear an event where that is (``3.x.1!ear``): they have names of their own.
    """

    name: str
    behaviours: dict[str, Behaviour]
    limits: dict[str, int] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    clock: bool = False
    mended: set[str] = field(default_factory=set)
    let_go: set[str] = field(default_factory=set)
    amid: dict[str, Callable[[str], None]] = field(default_factory=dict)
    effects: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    handed: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)
    hand: set[str] = field(default_factory=set)
    _working: Counter[str] = field(default_factory=Counter)
    _gate: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def working(self, path: str) -> Iterator[None]:
        """An agent is at work there, meanwhile."""
        words = path.split(".") if not is_fact(path) else []
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
        well = (
            not found.applies(data)
            or (found.fails and place in self.mended)
            or (found.kind == "held" and (place in self.let_go or not self.clock))
        )
        return Behaviour() if well else found

    def path(self, step: str) -> str:
        """Where a step is."""
        return self.paths.get(step, step)

    def work(self, agent: Agent, path: str, data: Json, attempt: int) -> Json:
        """What the interpreter takes an agent for."""
        behaviour = self.behaviour(path, data)
        if behaviour.kind == "huge":
            raise TooMuch
        failure = behaviour.failure(attempt)
        if failure is not None:
            raise failure
        if behaviour.kind == "held":
            raise AtWork
        return made(agent.name, data, self.name)

    def hold(self, path: str) -> None:
        """Come back when somebody lets go."""
        with self._gate:
            self.hand.add(path)
            let_go = self._gate.wait_for(lambda: static(path) in self.let_go, timeout=60)
            self.hand.discard(path)
        assert let_go, f"nobody has let {path} go"

    def release(self, places: set[str]) -> None:
        with self._gate:
            self.let_go |= places
            self._gate.notify_all()


STORIES: dict[str, Story] = {}
_lock = threading.Lock()


def made(name: str, data: Json, story: str) -> Json:
    """What the agent of that name makes of ``data``: the same in each story, but for its name."""
    told = plain(data).replace(f'"{story}', '"s')
    digest = hashlib.sha256(f"{name} {told}".encode()).hexdigest()
    number, kind = int(digest[:8], 16), name.removeprefix("flows.").rstrip("0123456789")
    given = data.get("id", "")
    own = given if given.split(".")[0] == story else story
    if kind in {"ear", "picky", "small"}:
        return {}
    if kind in {"item", "shut"}:
        return {"id": own, "n": number % 10, "trace": digest[:8]}
    items = data["items"] if kind == "work" else _items(own, digest, number % MOST_ITEMS)
    return {
        "id": own,
        "n": number % 10,
        "amount": f"{number % 1000}.50",
        "note": None if number % 3 == 0 else "noted",
        "at": None
        if number % 5 == 0
        else f"2026-01-0{number % 5}T12:00:00{'' if number % 11 == 0 else ('Z', '+14:00', '-11:00')[number % 3]}",
        "part": None if number % 4 == 0 else {"size": number % 7},
        "other": {"called": "so"} if number % 9 == 0 else {"size": number % 7},
        "anything": _ODD[number % len(_ODD)] if number % 7 == 0 else number % 8,
        "tags": sorted(set(digest[8:20])),
        "trace": digest[:8],
        "code": SECRET + digest[:8],
        "items": items,
    }


_ODD: list[Any] = [None, "", "much", "NaN", "3", True, [1], {"size": 1}, 2.5, -1]
"""Much of it cannot be compared with a number."""


def unmasked(shown: Any) -> Any:
    """What people are shown, with the secrets that are masked there. Asserts that they are."""
    if isinstance(shown, list):
        return [unmasked(one) for one in shown]
    if not isinstance(shown, dict):
        return shown
    found = {name: unmasked(value) for name, value in shown.items()}
    if "code" in found:
        assert found["code"] == MASK, "a secret is shown"
        found["code"] = SECRET + found["trace"]
    return found


def _items(own: str, digest: str, count: int) -> list[Json]:
    """Items, the last two of which have the same id where there are more than two."""
    return [
        {"id": f"{own}.{min(number, 1)}", "n": int(digest[number], 16), "trace": digest[8:12]}
        for number in range(count)
    ]


def _agent(
    name: str,
    accepts: type[Contract],
    emits: type[Contract] | None,
    *,
    keyed: bool = True,
) -> Agent:
    def run(payload: Any, context: Context) -> Any:
        story = STORIES[context.flow]
        data, path = payload.to_data(), story.path(context.step)
        if story.behaviour(path, data).kind == "held":
            story.hold(path)  # what stands in for it lets the next item begin
            return read(work(data, story, path, context))
        with story.working(path):
            return read(work(data, story, path, context))

    def read(data: Json) -> Contract | None:
        return emits.from_data(data) if emits else None

    def work(data: Json, story: Story, path: str, context: Context) -> Json:
        behaviour = story.behaviour(path, data)
        if behaviour.kind == "slow":
            time.sleep(0.003)
        meanwhile = story.amid.pop(path, None)
        if meanwhile:
            meanwhile(context.run_id)
        if behaviour.kind == "huge":
            return {**made(name, data, story.name), "trace": "x" * LIMIT} if emits else _refused()
        failure = behaviour.failure(context.attempt)
        if failure is not None:
            raise failure
        with _lock:
            story.effects[path, context.agent, context.key] += 1
            story.handed.setdefault(context.idempotency_key, set()).add((context.agent, context.key))
        return made(name, data, story.name)

    async def later(payload: Any, context: Context) -> Any:
        await asyncio.sleep(0)
        story = STORIES[context.flow]
        if (
            story.behaviour(story.path(context.step), payload.to_data()).kind == "held"
        ):  # others are in the loop as well
            return await asyncio.to_thread(run, payload, context)
        return run(payload, context)

    function = later if len(name) % 2 else run
    function.__annotations__ = {"payload": accepts, "context": Context, "return": emits}
    declare: Callable[[Any], Agent] = agent(name, retry=_RETRY, key=_key if keyed else None)
    return declare(function)


def _refused() -> Json:
    raise Permanent("it makes nothing that could be huge")


def _key(payload: Any) -> str | None:
    """The id of a work or an item, or the first one within."""
    if isinstance(payload, (Work, Item)):
        first = payload.id.split(".")[0]
        return None if first == NOBODY or first.endswith(WARM) else payload.id
    parts = [getattr(payload, name) for name in type(payload).model_fields]
    flat = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    return next(filter(None, map(_key, flat)), None)


WORKS = [_agent(f"flows.{name}", Work, Work) for name in ("work1", "work2", "work3", "fill1", "fill2")]
ITEMS = [_agent(f"flows.item{number}", Item, Item) for number in (1, 2)]
OPEN = _agent("flows.open", Item, Work)
SHUT = _agent("flows.shut", Work, Item)
JOINS = [_agent(f"flows.join{number}", Joined, Work) for number in (1, 2)]
GATHERS = [_agent(f"flows.gather{number}", Gathered, Work) for number in (1, 2)]
EARS = [
    on(Work)(_agent("flows.ear", Work, None, keyed=False)),
    on(Work, where=of("n") >= 5)(_agent("flows.picky", Work, None, keyed=False)),
    on(Item)(_agent("flows.small", Item, None, keyed=False)),
]
"""Those who hear events."""
AGENTS = [*WORKS, *ITEMS, OPEN, SHUT, *JOINS, *GATHERS, *EARS]
