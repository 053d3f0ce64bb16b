"""Case: one hostile thing, and what is to become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any


class Fate(StrEnum):
    """What is to become of a case."""

    LETTER = "letter"
    """It waits as a dead letter of its own."""
    DONE = "done"
    """Nothing is wrong with it: its step has an outcome."""
    EITHER = "either"
    """One of the two."""
    NOTHING = "nothing"
    """It leaves nothing behind: nobody acknowledges it, or it is no message."""


class Target(StrEnum):
    """Who gets a message."""

    PROCESSES = "an agent in a pool of processes"
    THREADS = "an agent in a pool of threads"
    EVENT = "all who hear an event"
    UNHEARD = "nobody: an event that no agent hears"
    TIMERS = "the coordinator process, as a timer"
    DEAD = "the dead-letter queue"
    NOBODY = "an agent that is not there"
    CONTROL = "remote control"
    SHOWN = "who watches tasks"


@dataclass(frozen=True, slots=True)
class Publication:
    """A message in octets: what stands in the header frame after the size of the body, and the body. ``key`` takes the place of the
    routing key where the target lets it be anything."""

    target: Target
    properties: bytes = field(repr=False)
    body: bytes = field(repr=False)
    key: bytes = b""


Act = Callable[[Any], None]
"""Anything else: it is given the :class:`~tests.hostile.installation.Site`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile thing.

    Attributes
    ----------
    name
        Which of its generator's kinds it is; the same for many cases.
    token
        A text of its own, as :func:`token` makes it, that stands in what is published: by this its letter is found.
    what
        A message, or something to do.
    fate
        What is to become of it.
    """

    name: str
    token: str
    what: Publication | Act
    fate: Fate = Fate.LETTER


Generator = Callable[[Random], Case]


def token(random: Random) -> str:
    """A text that no other case has."""
    return f"tok-{random.getrandbits(64):016x}"
