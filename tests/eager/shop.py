"""A small shop: agents that do what they are told to, and flows of every shape."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from handoffs import (
    Context,
    Contract,
    Flow,
    Key,
    Permanent,
    Retry,
    Sensitive,
    agent,
    budget,
    constant,
    parallel,
)

_SOON = timedelta(milliseconds=1500)
SECRET = "correct horse battery staple"


class Thing(Contract, name="shop.thing", version=1):
    order: str = Key()
    pin: Sensitive
    path: str = ""


class Pair(Contract, name="shop.pair", version=1):
    left: Thing
    right: Thing


class Nested(Contract, name="shop.nested", version=1):
    class Inner(Contract):
        up: Thing
        down: Thing

    left: Inner
    right: Thing


def thing(order: str = "o-1") -> Thing:
    """An order with a secret."""
    return Thing(order=order, pin=SECRET)  # type: ignore[arg-type]


class Shop:
    """Agents that count their effects, and fail while their names are in `broken`."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.effects: Counter[str] = Counter()
        self.gates: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        a, b, c, d = (self._agent(name, Thing) for name in "abcd")
        pair, nested = self._agent("pair", Pair), self._agent("nested", Nested)
        self.flows = {
            "chain": Flow("shop.chain", a >> b >> c),
            "header": Flow("shop.header", a >> parallel(left=b, right=c) >> pair >> d),
            "chain in header": Flow("shop.chain-in-header", parallel(left=a >> b, right=c) >> pair),
            "nested": Flow("shop.nested", parallel(left=a >> parallel(up=b, down=c), right=d) >> nested),
        }
        instead = {"constant": constant(thing()), "agent": d}
        self.guarded = {
            name: Flow(f"shop.guarded-{name}", a >> budget(b, within=_SOON, fallback=fallback) >> c)
            for name, fallback in instead.items()
        }

    def work(self, name: str, order: str, path: str) -> Thing:
        if gate := self.gates.get(name):
            assert gate.wait(20)
        if name in self.broken:
            raise Permanent(f"{name} is broken")
        with self._lock:
            self.effects[name] += 1
        return Thing(order=order, pin=SECRET, path=f"{path}{name}")  # type: ignore[arg-type]

    def _agent(self, name: str, accepts: type[Contract]) -> Any:
        def run(payload: Any, context: Context) -> Thing:
            context.logger.info("working on %r", payload)
            return self.work(name, _order(payload), _path(payload))

        run.__annotations__ |= {"payload": accepts}
        retry = Retry(attempts=2, backoff=timedelta(milliseconds=1))
        declare: Callable[[Any], Any] = agent(f"shop.{name}", retry=retry, key=_order)
        return declare(run)


def _order(payload: Any) -> str:
    order: str = payload.order if isinstance(payload, Thing) else payload.right.order
    return order


def _path(payload: Any) -> str:
    """What a thing went through, as text: ``a(b|c)``."""
    if isinstance(payload, Thing):
        return f"{payload.path}>" if payload.path else ""
    parts = (getattr(payload, name) for name in type(payload).model_fields)
    return f"({'|'.join(part.path if isinstance(part, Thing) else _path(part)[:-1] for part in parts)})>"
