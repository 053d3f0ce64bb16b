"""Continuations: what travels beside an envelope is none of ours: members that override what was checked, numbers beyond every bound,
names of tasks that are no agents, agents on the queues of others, and runs in whose place Redis has something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.hostile.case import Act, Case, Publication, Target, token
from tests.hostile.installation import Site
from tests.hostile.octets import pairs
from tests.hostile.sample import Sample, sample

_OVERRIDES = (
    "retries", "id", "hostname", "get", "update", "errbacks", "callbacks", "envelope", "self", "args", "kwargs", "headers", "link",
    "group", "stamps", "is_eager", "delivery_info", "task", "eta", "queue", "__class__", "called_directly", "children",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (True, 1, -1, 1.5, "x", [], {}, [{}], [[]], "a" * 300, 10**13, 10**30)
_NUMBERS: tuple[Any, ...] = (True, False, -1, 1.5, "1", [], {}, 10**13, 2**63, 10**40)
_OF_CELERY = (
    "celery.accumulate", "celery.backend_cleanup", "celery.map", "celery.starmap", "celery.chunks", "celery.group",
    "celery.chain", "celery.chord", "celery.chord_unlock", "coordinator.join", "coordinator.timer", "coordinator.delay",
)  # fmt: skip
_COUNTS = ("retries", "handoff_replays", "handoff_looks", "replaced_task_nesting")
_URI = "urn:contract:hostile.parcel:1"


def generate(random: Random) -> Case:
    """A message with a good envelope, and something beside it that no flow composes."""
    mark = token(random)
    found = sample(random, mark)
    name = random.choice(list(_KINDS))
    what = _KINDS[name](random, found)
    return Case(f"continuations/{name}", mark, what)


def _parts(found: Sample) -> list[Any]:
    parts: list[Any] = json.loads(found.body)
    return parts


def _sent(found: Sample, parts: list[Any], target: Target = Target.PROCESSES) -> Publication:
    return found.publication(target, body=json.dumps(parts).encode())


def _member(random: Random, found: Sample) -> Publication:
    """A member that is none of ours, in any object."""
    parts = _parts(found)
    _, kwargs, rest = parts
    step = rest["chain"][0]
    place = random.choice([kwargs, rest, step, step["options"], step["kwargs"]])
    name = random.choice([one for one in _OVERRIDES if one not in place])
    place[name] = random.choice(_VALUES)
    return _sent(found, parts)


def _argument(random: Random, found: Sample) -> Publication:
    """An argument that we know, of another kind."""
    parts = _parts(found)
    name = random.choice(("turn", "undo", "undoes", "edit", "event", "gathered", "set", "retry", "accepts"))
    parts[1][name] = random.choice([value for value in _VALUES if not isinstance(value, str)])
    return _sent(found, parts)


def _edit(random: Random, found: Sample) -> Publication:
    parts = _parts(found)
    parts[1]["edit"] = {"number": random.choice(_NUMBERS), "supersedes": []}
    return _sent(found, parts)


def _control(random: Random, found: Sample) -> Publication:
    """A control that counts, waits or keeps beyond what a flow may declare."""
    parts = _parts(found)
    [step] = parts[2]["chain"]
    number = random.choice(_NUMBERS)
    flow, body = step["kwargs"]["flow"], {**step, "kwargs": {**step["kwargs"], "step": "2.b.1"}}
    constant = {"constant": {"number": "1"}, "schema": _URI}
    task, kwargs = random.choice(
        [
            ("delay", {"step": "2", "ms": number}),
            ("repeat", {"step": "2", "until": {"field": "stamps", "exists": True}, "at_most": number, "round": 0, "body": body}),
            ("repeat", {"step": "2", "until": {"field": "stamps"}, "at_most": 2, "round": 0, "body": body}),
            ("each", {"step": "2", "field": "a", "into": "b", "limit": number, "item": _URI, "body": body}),
            ("budget", {"step": "2", "flow": flow, "site": "2", "ms": number, "body": body, "fallback": constant}),
            ("budget", {"step": "2", "flow": flow, "site": "2", "ms": 1, "body": body, "fallback": {"key": number}}),
            ("undo", {"step": "undo", "flow": flow, "left": number}),
        ]
    )  # fmt: skip
    control = {**step, "task": f"coordinator.{task}", "kwargs": kwargs}
    parts[2]["chain"] = [control]
    return _sent(found, parts)


def _signature(random: Random, found: Sample) -> Publication:
    """A signature of Celery's that no flow is composed of, or none at all, in a chain or as a chord."""
    parts = _parts(found)
    [step] = parts[2]["chain"]
    wrong = random.choice(
        [
            {**step, "task": random.choice(_OF_CELERY)},
            {**step, "task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": [step]}},
            {**step, "args": [1]},
            {**step, "immutable": True},
            {**step, "subtask_type": random.choice(("chain", "chord", "group", "x", 7))},
            {**step, "options": {"link": [step]}},
            {**step, "options": {"chain": [{**step, "options": {"chord": step}}]}},
            *_VALUES,
        ]
    )
    if random.random() < 0.3:
        parts[2] = {"chain": None, "chord": wrong}
    else:
        parts[2]["chain"] = random.choice([[wrong], [step, wrong], [wrong] * 50])
    return _sent(found, parts)


def _deep(random: Random, found: Sample) -> Publication:
    parts = _parts(found)
    [inner] = parts[2]["chain"]
    step = inner
    for _ in range(random.choice((40, 120))):
        inner = {**step, "options": {"chain": [inner]}}
    parts[2]["chain"] = [inner]
    return _sent(found, parts)


def _path(random: Random, found: Sample) -> Publication:
    """A step at a path that no flow has, in headers and arguments alike."""
    parts = _parts(found)
    path = random.choice(
        ("1 2", "..", "1.", "-", "a@b", "1!x", "1/2", "*", "1.\u202e2", "x" * 1_500, "@+", "1\\2")
    )
    parts[1]["step"] = path
    return found.publication(body=json.dumps(parts).encode(), more=pairs({"handoff_step": path}))


def _count(random: Random, found: Sample) -> Publication:
    """A header that is no count."""
    value: Any = random.choice([*(one for one in _NUMBERS if not (type(one) is int and one > 0)), 2**62])
    return found.publication(more=pairs({random.choice(_COUNTS): value}))


def _override(random: Random, found: Sample) -> Publication:
    """A header that Celery would take for a part of its request."""
    names = (
        "get",
        "update",
        "hostname",
        "chain",
        "chord",
        "errbacks",
        "kwargs",
        "args",
        "is_eager",
        "delivery_info",
        "children",
    )
    value: Any = random.choice((True, 1, "x", [], ["x"]))
    return found.publication(more=pairs({random.choice(names): value}))


def _task(random: Random, found: Sample) -> Publication:
    """A task that is no agent."""
    target = random.choice((Target.PROCESSES, Target.THREADS, Target.TIMERS))
    names = [name for name in _OF_CELERY if not (target is Target.TIMERS and name == "coordinator.timer")]
    return found.publication(target, more=pairs({"task": random.choice(names)}))


def _queue(random: Random, found: Sample) -> Publication:
    """A step of an agent on the queue of another."""
    return found.publication(Target.THREADS)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A good message, in the place of whose run Redis has something else."""

    sent: Publication
    run: str
    kind: str

    def __call__(self, site: Site) -> None:
        key = site.client.engine.store.keys.run(self.run)
        if self.kind == "text":
            site.redis.set(key, "no hash")
        elif self.kind == "list":
            site.redis.rpush(key, "no", "hash")
        else:
            site.redis.sadd(key, "no hash")
        site.redis.expire(key, 600)
        site.publish([self.sent])


def _redis(random: Random, found: Sample) -> Act:
    return _Elsewhere(found.publication(), found.run, random.choice(("text", "list", "set")))


_KINDS: dict[str, Callable[[Random, Sample], Publication | Act]] = {
    "member": _member,
    "argument": _argument,
    "edit": _edit,
    "control": _control,
    "signature": _signature,
    "deep": _deep,
    "path": _path,
    "count": _count,
    "override": _override,
    "task": _task,
    "queue": _queue,
    "redis": _redis,
}
