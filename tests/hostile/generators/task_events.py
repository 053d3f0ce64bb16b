"""Task events: what workers tell Flower, with a field that is of another type, too much, markup, or not there."""

from __future__ import annotations

import json
import time
from random import Random
from typing import Any
from uuid import UUID

from tests.hostile.case import Case, Fate, Publication, Target, token
from tests.hostile.octets import properties

_NOW = time.time()
"""One for all, so that a seed makes the same cases."""
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
_VALUES: tuple[Any, ...] = (
    None, True, 1, -1, 1.5, 2**53, 2**64, 10**400, float("nan"), float("inf"), "", "x", "\x00\x1b[31m\u202e", MARKUP, [], {}, [1], {"a": 1},
    "a" * 20_000, "\U0001f600" * 5_000, "\ud800", [[]] * 1_000,
)  # fmt: skip
_OTHERS = (
    "local_received", "state", "worker", "children", "cluster_state", "heartbeats", "event", "received", "id", "client", "__dict__",
    "_serializer_handlers", "status_string", "signum",
)  # fmt: skip
"""Fields that no worker sends: Flower keeps its own things under these names."""


def generate(random: Random) -> Case:
    """An event as Celery sends it, but for a field or two; alone, or among several."""
    mark = token(random)
    kind = random.choice(("heartbeat", "received", "started", "succeeded", "failed", "several", "none"))
    event = _event(random, kind, mark)
    chosen = random.sample([*event, *_OTHERS], random.choice((1, 1, 2)))
    for name in chosen:
        event[name] = random.choice(_VALUES)
    if random.random() < 0.1:
        event.pop(random.choice(list(event)))
    value: Any = event
    if kind == "several":
        value = [_event(random, "started", mark), event, random.choice(_VALUES)] * random.choice((1, 20, 100))
    elif kind == "none":
        value = random.choice(_VALUES)
    body = json.dumps(value).encode()[:3_000_000]
    octets = properties(content_type=b"application/json", content_encoding=b"utf-8", app_id=mark.encode())
    return Case(f"task-events/{kind}", mark, Publication(Target.SHOWN, octets, body), Fate.NOTHING)


def _event(random: Random, kind: str, mark: str) -> dict[str, Any]:
    """As a worker sends it."""
    event: dict[str, Any] = {
        "hostname": f"{mark}@hostile",
        "pid": 1,
        "clock": random.randrange(100),
        "utcoffset": 0,
        "timestamp": _NOW,
    }
    if kind == "heartbeat":
        own = {"freq": 2.0, "active": 0, "processed": 1, "loadavg": [1, 2, 3], "sw_ident": "py-celery"}
        return {**event, **own, "type": "worker-heartbeat", "sw_ver": "5.7", "sw_sys": "Linux"}
    task = kind if kind in {"received", "succeeded", "failed"} else "started"
    event |= {"type": f"task-{task}", "uuid": str(UUID(int=random.getrandbits(128), version=4))}
    return {**event, **_OF_TASKS.get(task, {})}


_OF_TASKS: dict[str, dict[str, Any]] = {
    "received": {
        "name": "hostile.made-up", "args": "()", "kwargs": "{}", "root_id": "a", "parent_id": None, "retries": 0, "eta": None,
    },
    "succeeded": {"result": "'ok'", "runtime": 0.1},
    "failed": {"exception": "ValueError()", "traceback": "Traceback:\n  line"},
}  # fmt: skip
