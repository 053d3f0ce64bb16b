"""Timers: messages for the coordinator process whose budgets, times and addresses are none."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from handoffs.contracts.envelope import message_id
from handoffs.coordinator.continuation.signature import TIMER
from tests.hostile.case import Case, Target, token
from tests.hostile.octets import pairs
from tests.hostile.sample import sample

_STRANGE: tuple[Any, ...] = (
    None,
    "",
    [],
    {},
    7,
    -1,
    1e300,
    True,
    "\u0000",
    "x" * 5_000,
    [[[]]],
    {"a": {"a": 1}},
    "\u202e",
    10**30,
)
"""What no timer has where something of another type belongs."""

_FALLBACKS: tuple[Any, ...] = (
    *_STRANGE, {"key": "k"}, {"key": 1, "max_age_ms": "x", "otherwise": {}}, {"constant": {}, "schema": "no urn"}, {"schema": 1},
    {"key": "k", "max_age_ms": 1, "otherwise": {"key": "k"}}, {"body": "x"}, {"body": {"task": "x"}}, {"constant": 1, "schema": "urn:contract:x:0"},
)  # fmt: skip


def generate(random: Random) -> Case:
    """A timer of a run that nobody has started, something of which is malformed."""
    mark = token(random)
    found = sample(random, mark)
    envelope, kwargs, continuation = json.loads(found.body)
    step = "1.timer"
    number = message_id(found.run, step)
    carried = {**json.loads(envelope[0]), "id": number}
    kwargs |= {"step": step, "fallback": {"constant": {}, "schema": "urn:contract:hostile.parcel:1"}}
    headers: dict[str, Any] = {**found.headers, "task": TIMER, "id": number, "handoff_step": step}
    name = random.choice(("fallback", "step", "chord", "envelope", "far off", "arguments", "nothing"))
    if name == "fallback":
        kwargs["fallback"] = random.choice(_FALLBACKS)
        continuation["chord"] = random.choice((None, {}, {"task": "x"}))
    elif name == "step":
        kwargs["step"] = headers["handoff_step"] = random.choice(
            ("timer", ".timer", "1", "1.2.3.timer.timer", "9" * 500 + ".timer")
        )
    elif name == "chord":
        continuation["chord"] = random.choice(_STRANGE)
    elif name == "envelope":
        carried[random.choice(("data", "dataschema", "correlationid", "time", "joinschemas"))] = (
            random.choice(_STRANGE)
        )
    elif name == "far off":
        due = random.choice((0, 1, -1, 2**53, 2**63 - 1, True))
        headers |= {
            "handoff_due": due,
            "handoff_for": random.choice((TIMER, "hostile.nobody", "", "A B", "x" * 500)),
        }
        continuation["chord"] = random.choice(_STRANGE)
    elif name == "arguments":
        kwargs = {"flow": kwargs["flow"], "step": step}
    else:
        kwargs, continuation = {}, {}
    body = json.dumps([[json.dumps(carried)], kwargs, continuation])
    more = [(key, value) for key, value in pairs({**headers, "token": mark})]
    return Case(f"timers/{name}", mark, found.publication(Target.TIMERS, more=more, body=body.encode()))
