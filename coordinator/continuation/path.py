"""Paths: the one grammar of what names a step of a run, how they are made, and the questions that are asked of them.

==================  ==================================================================================================
``3.stock.1``       a step at its position in the flow (:mod:`handoffs.coordinator.flow.places`)
``3.undo``          what undoes the step at ``3``
``3.timer``         the timer of the budget, or of the signal, at ``3``
``3.onward``        what goes on after ``3`` by a message to the coordinator process: after a delay, or once more
``3!``              the event that ``emit()`` at ``3`` emits
``3!0``             the first event that the agent at ``3`` emits; ``!0``: the event with which a story begins
``agent@hash``      what an agent does with an event: the hash is of the event's path
``agent@+hash``     what an agent does with a set of events: the hash is of the set's key
==================  ==================================================================================================

Where an event has begun a run, ``on:media.title-uploaded`` stands for the flow.

The same grammar is read in Lua, by ``claim_run``, ``settle_run``, ``park``, ``unpark``, ``edit`` and ``cancel`` in
``coordinator/store/lua``, and in SQL with the marks below, by the journal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from handoffs.coordinator.flow import ways

UNDO = f".{ways.UNDO}"
"""Ends the path of what undoes a step."""
SUBSCRIBER = "@"
"""Parts an agent from the hash of the event, in the path of what it does with that."""
SET = "@+"
"""Parts an agent from the hash of the set's key, in the path of what it does with that."""
STORY = "on:"
"""Begins what stands for a flow where an event has begun a run."""
SIGNAL = "s"
"""The way of a signal, in the path of the step that waits for it; a fallback's is that of a budget."""
_TIMER = ".timer"
_ONWARD = ".onward"
_EVENT = "!"
_DIGITS = 16
_PART = r"(?:[ir]\*|\w+)"
_PATH = re.compile(
    rf"(?:(?:[a-z0-9.-]{{1,120}}@\+?[0-9a-f]{{{_DIGITS}}}|{_PART})(?:\.{_PART})*(?:![0-9]{{0,9}})?|![0-9]{{1,9}})"
)
_BUDGET = re.compile(rf"\.[{ways.WITHIN}{ways.FALLBACK}]\.")


def is_path(text: str) -> bool:
    """Whether it is a path by the grammar above: of a step, of a place in a flow, or of an event."""
    if _PATH.fullmatch(text):
        return True
    place, _, number = text.partition("!")  # a branch may be named by what few people name anything by
    parts = place.split(".")
    return all(part.isidentifier() or _PATH.fullmatch(part) for part in parts) and (
        not number or number.isdecimal()
    )


def undo_of(path: str) -> str:
    """The path of what undoes the step at ``path``."""
    return f"{path}{UNDO}"


def timer_of(path: str) -> str:
    """The path of the timer of the budget, or of the signal, at ``path``."""
    return f"{path}{_TIMER}"


def timed(timer: str) -> str:
    """The path of the budget, or of the signal, that a timer is of."""
    return timer.removesuffix(_TIMER)


def onward_of(path: str) -> str:
    """The path of what goes on after ``path`` by itself."""
    return f"{path}{_ONWARD}"


def after_which(onward: str) -> str:
    """The path after which something goes on by itself."""
    return onward.removesuffix(_ONWARD)


def event_of(path: str, number: int | None = None) -> str:
    """The path of the event that ``emit()`` at ``path`` emits; with ``number``, of the event that an agent there emits as its
    ``number``-th, from 0."""
    return f"{path}{_EVENT}" if number is None else f"{path}{_EVENT}{number}"


def hearing(agent: str, event: str) -> str:
    """The path of what an agent does when it hears the event of the path ``event``: ``media.transcode@3f9a12c4d0e1b2a7``."""
    return marked(agent, mark(event))


def marked(agent: str, mark: str) -> str:
    """The same, where only the hash of the event's path is known."""
    return f"{agent}{SUBSCRIBER}{mark}"


def set_of(agent: str, key: str) -> str:
    """The path of what an agent does with the set of events of that key: ``media.assemble@+3f9a12c4d0e1b2a7``."""
    return f"{agent}{SET}{_hash(key.encode('utf-8', 'surrogatepass'))}"


def story_of(contract: str) -> str:
    """What stands for the flow where an event of the contract of that name has begun a run."""
    return f"{STORY}{contract}"


def mark(event: str) -> str:
    """What the paths of all who hear the event of the path ``event`` end with. Raises :class:`ValueError` for a lone surrogate."""
    return _hash(event.encode())


def is_undo(path: str) -> bool:
    """Whether it undoes a step."""
    return path.endswith(UNDO)


def is_timer(path: str) -> bool:
    """Whether it is the timer of a budget, or of a signal."""
    return path.endswith(_TIMER)


def is_onward(path: str) -> bool:
    """Whether it is what goes on by itself after a place."""
    return path.endswith(_ONWARD)


def is_set(path: str) -> bool:
    """Whether it is what an agent does with a set of events."""
    return SET in path


def hears_event(path: str) -> bool:
    """Whether it is what an agent does with a single event."""
    return follows_event(path) and not is_set(path)


def follows_event(path: str) -> bool:
    """Whether it is work that an event has begun, of one event or of a set, or an event that such work emits. A flow knows
    nothing of it: it goes on when the run of the flow has ended."""
    return SUBSCRIBER in path


def is_story(flow: str) -> bool:
    """Whether what a run has as its flow stands for an event that has begun it."""
    return flow.startswith(STORY)


def agent_of(path: str) -> str:
    """The agent that a path names, where an event has begun its work; empty for others."""
    return path.rpartition(SUBSCRIBER)[0]


def mark_of(path: str) -> str:
    """The hash that the path of such work ends with: :func:`mark` of its event, or ``+`` and that of its set's key."""
    return path.rpartition(SUBSCRIBER)[2]


def is_within(path: str, budget: str) -> bool:
    """Whether a step is in the budget at ``budget``, other than as its fallback."""
    return path.startswith(f"{budget}.{ways.WITHIN}.")


def budgets_around(path: str) -> Iterator[str]:
    """The paths of the budgets that a step is in, also as a fallback, outermost first."""
    return (path[: found.start()] for found in _BUDGET.finditer(path))


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_DIGITS]
