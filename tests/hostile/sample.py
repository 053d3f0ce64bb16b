"""Sample: a message as the product makes it, for cases that change something of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from types import MappingProxyType
from typing import Any
from uuid import UUID

from handoffs.contracts.envelope import message_id
from tests.deliveries import start
from tests.hostile.case import Fate, Publication, Target
from tests.hostile.house import Parcel, flow
from tests.hostile.octets import Pairs, pairs, properties

_RUN = "00000000-0000-4000-8000-000000000000"


@dataclass(slots=True)
class Sample:
    """A message to the first agent of the flow, in parts that a case may change: ``headers`` and ``body`` as values; ``texts`` are
    the properties that are texts, in octets."""

    run: str
    headers: dict[str, Any]
    body: str
    texts: dict[str, bytes]

    def publication(
        self,
        target: Target = Target.PROCESSES,
        *,
        more: Pairs = (),
        twice: bool = False,
        body: bytes | None = None,
        others: Mapping[str, bytes | int] = MappingProxyType({}),
    ) -> Publication:
        """As it is published, with ``more`` headers, which replace its own unless they are to be there ``twice``, another body or ``others`` of its properties."""
        given: dict[str, bytes | int] = {**self.texts, "delivery_mode": 2, **others}
        replaced = {name for name, _ in more} if not twice else set()
        own = [(name, value) for name, value in pairs(self.headers) if name not in replaced]
        octets = properties([*own, *more], **given)
        return Publication(target, octets, self.body.encode() if body is None else body)


def sample(random: Random, token: str) -> Sample:
    """A message of a run that nobody has started; its input names ``token``."""
    headers, body, number = _template()
    run = str(UUID(int=random.getrandbits(128), version=4))
    step = message_id(run, headers["handoff_step"])
    both = json.dumps([headers, body]).replace(_RUN, run).replace(number, step).replace("tok-parcel", token)
    changed, text = json.loads(both)
    texts = {
        "content_type": b"application/json",
        "content_encoding": b"utf-8",
        "correlation_id": step.encode(),
        "message_id": step.encode(),
    }
    return Sample(run, changed, text, texts)


@cache
def _template() -> tuple[dict[str, Any], str, str]:
    [message] = start(flow, Parcel(number="tok-parcel"), run=_RUN)
    return message.headers, message.body, message.id


TARGETS = (Target.PROCESSES, Target.PROCESSES, Target.THREADS, Target.EVENT, Target.TIMERS, Target.DEAD, Target.UNHEARD, Target.NOBODY)  # fmt: skip
"""Who gets messages that nobody can read, some more often than others."""


def fate(target: Target) -> Fate:
    """What becomes of a message that nobody can read."""
    return Fate.NOTHING if target in {Target.CONTROL, Target.SHOWN} else Fate.LETTER
