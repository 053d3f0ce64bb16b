"""Arrivals: the joins and the budgets that a place in a flow is in, by the chords of its continuation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handoffs.coordinator.continuation.moves import Arrival, Await, Cursor, Join, Lane, Value
from handoffs.coordinator.continuation.packed import at_hand
from handoffs.coordinator.continuation.path import SIGNAL
from handoffs.coordinator.continuation.signature import CONTROLS, Send, Sig, tasks, with_chord
from handoffs.coordinator.flow import ways


def arrival(cursor: Cursor, value: Value) -> Arrival:
    """The joins at which ``value`` arrives from the last place of a branch, and where it goes on after them."""
    step, chain, chord = cursor.step, cursor.chain, cursor.chord
    joins: list[Join] = []
    lanes: list[Lane | None] = []
    keep: list[tuple[int, str, int]] = []
    good = True  # and not itself a fallback
    while not chain and chord is not None:
        body, *rest = tasks(chord)
        kwargs = body["kwargs"]
        path = kwargs["join"]
        branch = step.removeprefix(f"{path}.").split(".", 1)[0]
        joins.append(_join(kwargs, branch))
        lanes.append(_lane(kwargs, branch, chord))
        if kwargs.get("one"):
            good = good and branch != ways.FALLBACK
            if good and kwargs.get("keep"):
                keep.append((len(joins), kwargs["keep"], kwargs["keep_ms"]))
        chain = [*chord["options"].get("chain", ()), *reversed(rest)]
        step, chord = path, chord["options"].get("chord")
        if chain and chord is not None:
            chain[0] = with_chord(chain[0], chord)
            chord = None
    return Arrival(tuple(joins), value, Cursor(step, at_hand(chain), chord), tuple(lanes), tuple(keep))


def sends_after(arrival: Arrival) -> tuple[Send, ...] | None:
    """The steps that follow an arrival, where they are known without what is joined; none where the run ends; None
    otherwise."""
    if not arrival.then.chain:
        return ()
    found = tuple(starts(arrival.then.chain[-1], arrival.then.chain[:-1]))
    return None if any(send.agent in CONTROLS for send in found) else found


def budgets_of(cursor: Cursor) -> tuple[str, ...]:
    """The paths of the budgets that a place is in, innermost first."""
    found: list[str] = []
    chain, chord = cursor.chain, cursor.chord
    while chain or chord is not None:
        if chord is None:
            chord = chain[0]["options"].get("chord")
            if chord is None:
                break
        body, *_ = tasks(chord)
        if body["kwargs"].get("one"):
            found.append(body["kwargs"]["join"])
        chain, chord = chord["options"].get("chain") or [], chord["options"].get("chord")
    return tuple(found)


def budgets_of_wait(wait: Await) -> tuple[str, ...]:
    """The paths of the budgets that a wait for a signal is in, innermost first."""
    _, *around = budgets_of(Cursor(f"{wait.path}.{SIGNAL}", [], wait.chord))
    return tuple(around)


def budgets_as_read(step: str, chain: Any, chord: Any) -> tuple[str, ...]:
    """The paths of the budgets that a step is in, by the continuation of its message; none where that cannot be read."""
    try:
        found = budgets_of(Cursor(step, chain, chord))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        return ()
    return found if all(isinstance(path, str) for path in found) else ()


def starts(first: Sig, chain: list[Sig]) -> Iterator[Send]:
    """The tasks that begin ``first``, controls too; ``chain`` is what follows it (the next one last). What follows is at hand: what
    is wrong with that is known before the step is sent, or begun. Raises :class:`~handoffs.contracts.errors.InvalidData` then."""
    if first["subtask_type"] == "chain":
        start, *rest = tasks(first)
        yield from starts(start, [*chain, *reversed(rest)])
    elif first["subtask_type"] == "chord":
        options = {"chain": chain, "chord": first["options"].get("chord")}
        body = {**first["kwargs"]["body"], "options": options}
        for branch in tasks(first["kwargs"]["header"]):
            yield from starts(with_chord(branch, body), [])
    else:
        yield Send(first, at_hand(chain))


def _join(kwargs: dict[str, Any], branch: str) -> Join:
    """The join of a chord with these arguments, at which ``branch`` arrives."""
    path = kwargs["join"]
    if kwargs.get("one"):
        return Join(path, (), "one", one=True, mark="agent" if branch == ways.FALLBACK else "")
    if kwargs.get("count", 0):
        return Join(path, (), str(_number(branch)), kwargs["count"], kwargs["into"])
    return Join(path, tuple(kwargs["branches"]), branch)


def _lane(kwargs: dict[str, Any], branch: str, chord: Sig) -> Lane | None:
    """What arriving there sends: the next item, where there are more than may run at a time."""
    count = kwargs.get("count", 0)
    if kwargs.get("one") or not count:
        return None
    following = _number(branch) + (kwargs.get("limit") or count)
    return Lane(kwargs["join"], following, kwargs["body"], chord) if following < count else None


def _number(branch: str) -> int:
    return int(branch.removeprefix(ways.ITEM.removesuffix("*")))
