"""Course: where an output goes next, by the rest of its chain and its chord. Pure: the same output has the same course.

What follows an output is one of these, or several of them where branches begin: a message to send (:class:`Go`), a join to
arrive at (:class:`Arrival`), items to keep until their turn (:class:`Hold`), the end of the run (:class:`End`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.strictjson import digest
from handoffs.coordinator.continuation.canvas import (
    BUDGET,
    CHOICE,
    DELAY,
    EACH,
    EMIT,
    JOIN,
    REPEAT,
    TIMER,
    UNDO,
    WAIT,
    Send,
    Sig,
    event,
    placed,
    tasks,
    with_chord,
)
from handoffs.coordinator.continuation.path import event_of, timer_of, undo_of
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.condition import condition_from

_CONTROLS = frozenset({CHOICE, EACH, REPEAT, DELAY, BUDGET, WAIT, UNDO, EMIT})
_MOST_ITEMS = 10_000


@dataclass(frozen=True, slots=True)
class Value:
    """What passes on: data of a contract version (the URI), or of a join: then ``parts`` says what each branch made
    (``branch=uri``, separated by spaces), and ``schema`` is empty."""

    schema: str
    data: Any
    parts: str = ""
    joined: bool = False
    item: bool = False
    """Whether it is an item of a list: it has no producer who could write it in another version."""

    @property
    def own(self) -> bool:
        """Whether it is an output, which has a producer and a key, and not an item or what a join put together."""
        return not self.joined and not self.item


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a flow: after ``step``, with the rest of its chain and its chord."""

    step: str
    chain: list[Sig]
    chord: Sig | None


@dataclass(frozen=True, slots=True)
class Join:
    """One level of fan-in: the path of the step that fans out, its branches in order, and the branch that arrives.

    For items, ``count`` is how many there are, and their outputs become the list ``into``. With ``one`` the first to arrive
    is all there is; ``mark`` says that it is a fallback, and which.
    """

    path: str
    branches: tuple[str, ...]
    branch: str
    count: int = 0
    into: str = ""
    one: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """At most so many items at a time: when item ``number`` has arrived at ``path``, the item ``following`` is sent."""

    path: str
    following: int
    body: Sig
    chord: Sig


@dataclass(frozen=True, slots=True)
class Go:
    """Send a step with ``value``, after ``wait``."""

    send: Send
    value: Value
    wait: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Arrival:
    """Arrive with ``value`` at joins, innermost first; once all of them are complete, what they put together goes on
    after ``then``. ``lanes`` has for each join what arriving there sends, if anything."""

    joins: tuple[Join, ...]
    value: Value
    then: Cursor
    lanes: tuple[Lane | None, ...]
    keep: tuple[tuple[int, str, int], ...] = ()
    """Where what arrives is kept as a fallback for others once it has passed so many of the joins, and for how many
    milliseconds."""

    @property
    def place(self) -> str:
        """The branch, or the item, that arrives first: ``3.stock``, ``4.7``."""
        return f"{self.joins[0].path}.{self.joins[0].branch}"

    @property
    def sends(self) -> tuple[Send, ...] | None:
        """The steps that follow, where they are known without what is joined; none where the run ends; None otherwise."""
        if not self.then.chain:
            return ()
        starts = list(_starts(self.then.chain[-1], self.then.chain[:-1]))
        return tuple(starts) if all(send.agent not in _CONTROLS for send in starts) else None


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep items of ``path`` until their turn: JSON values by number."""

    path: str
    items: dict[int, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Await:
    """Wait at ``path`` for the signal ``name``, of the contract version ``schema``; ``chord`` is what follows."""

    path: str
    name: str
    schema: str
    flow: str
    chord: Sig

    @property
    def scopes(self) -> tuple[str, ...]:
        """The budgets that it is in, innermost first."""
        _, *around = scopes(Cursor(f"{self.path}.s", [], self.chord))
        return tuple(around)


@dataclass(frozen=True, slots=True)
class End:
    """The run ends with ``value``."""

    value: Value


Move = Go | Arrival | Hold | Await | End


def after(cursor: Cursor, value: Value) -> list[Move]:
    """Where ``value`` goes from a place in a flow.

    Raises :class:`InvalidData` where a list field is no list, or longer than 10 000.
    """
    if cursor.chain:
        return list(_entered(cursor.chain[-1], cursor.chain[:-1], value))
    if cursor.chord is None:
        return [End(value)]
    return [_arrival(cursor, value)]


def checked(cursor: Cursor) -> Cursor:
    """The place itself, if it is one. Raises :class:`KeyError` and its like where it is malformed."""
    if cursor.chain:
        list(_starts(cursor.chain[-1], cursor.chain[:-1]))
    elif cursor.chord is not None:
        _ = _arrival(cursor, Value("", None)).sends
    return cursor


def begun(signature: Sig, value: Value) -> list[Move]:
    """How a run begins with ``value``."""
    return list(_entered(signature, [], value))


def released(lane: Lane, item: Any) -> list[Move]:
    """The item whose turn it is, sent."""
    return list(_item(lane.body, lane.path, lane.following, lane.chord, item))


def _arrival(cursor: Cursor, value: Value) -> Arrival:
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
        count = kwargs.get("count", 0)
        lane = None
        if kwargs.get("one"):
            joins.append(Join(path, (), "one", one=True, mark="agent" if branch == ways.FALLBACK else ""))
            good = good and branch != ways.FALLBACK
            if good and kwargs.get("keep"):
                keep.append((len(joins), kwargs["keep"], kwargs["keep_ms"]))
        elif count:
            number = int(branch.removeprefix("i"))
            following = number + (kwargs.get("limit") or count)
            lane = Lane(path, following, kwargs["body"], chord) if following < count else None
            joins.append(Join(path, (), str(number), count, kwargs["into"]))
        else:
            joins.append(Join(path, tuple(kwargs["branches"]), branch))
        lanes.append(lane)
        chain = [*chord["options"].get("chain", ()), *reversed(rest)]
        step, chord = path, chord["options"].get("chord")
        if chain and chord is not None:
            chain[0] = with_chord(chain[0], chord)
            chord = None
    return Arrival(tuple(joins), value, Cursor(step, chain, chord), tuple(lanes), tuple(keep))


def _starts(signature: Sig, chain: list[Sig]) -> Iterator[Send]:
    """The tasks that begin ``signature``, controls too; ``chain`` is what follows it (the next one last)."""
    if signature["subtask_type"] == "chain":
        start, *rest = tasks(signature)
        yield from _starts(start, [*chain, *reversed(rest)])
    elif signature["subtask_type"] == "chord":
        options = {"chain": chain, "chord": signature["options"].get("chord")}
        body = {**signature["kwargs"]["body"], "options": options}
        for branch in tasks(signature["kwargs"]["header"]):
            yield from _starts(with_chord(branch, body), [])
    else:
        yield Send(signature, chain)


def _entered(signature: Sig, chain: list[Sig], value: Value) -> Iterator[Move]:
    for start in _starts(signature, chain):
        if start.agent in _CONTROLS:
            yield from _DECIDE[start.agent](start, value)
        else:
            yield Go(start, value)


def _past(control: Send) -> Cursor:
    """The place after a control. Where it is the last of its chain, it carries the chord."""
    return Cursor(control.step, control.chain, None if control.chain else control.chord)


def _into(control: Send, body: Sig, value: Value) -> Iterator[Move]:
    """Through ``body``, and then on to what follows the control."""
    if not control.chain and control.chord is not None:
        body = with_chord(body, control.chord)
    yield from _entered(body, control.chain, value)


def _choice(control: Send, value: Value) -> Iterator[Move]:
    kwargs = control.signature["kwargs"]
    for condition, body in kwargs["cases"]:
        if condition_from(condition).holds(value.data):
            yield from _into(control, body, value)
            return
    if kwargs["otherwise"] is None:
        yield from after(_past(control), value)
    else:
        yield from _into(control, kwargs["otherwise"], value)


def _repeat(control: Send, value: Value) -> Iterator[Move]:
    kwargs = control.signature["kwargs"]
    path, done = kwargs["step"], kwargs["round"]
    if done and (done >= kwargs["at_most"] or condition_from(kwargs["until"]).holds(value.data)):
        yield from after(_past(control), value)
        return
    again = {**control.signature, "kwargs": {**kwargs, "round": done + 1}}
    body = placed(kwargs["body"], f"{path}.{ways.ROUND}", f"{path}.{ways.each_time(ways.ROUND, done + 1)}")
    yield from _entered(body, [*control.chain, again], value)


def _each(control: Send, value: Value) -> Iterator[Move]:
    kwargs = control.signature["kwargs"]
    path, items = kwargs["step"], value.data.get(kwargs["field"])
    if not isinstance(items, list) or len(items) > _MOST_ITEMS:
        raise InvalidData(
            f"each at step {path} finds no list of up to {_MOST_ITEMS} items in field {kwargs['field']!r}"
        )
    if not items:
        empty = Value("", {kwargs["into"]: []}, joined=True)
        yield from after(_past(control), empty)
        return
    limit = kwargs["limit"] or len(items)
    named = {"join": path, "count": len(items), "into": kwargs["into"], "limit": limit, "body": None}
    named["item"] = kwargs["item"]
    if limit < len(items):
        named["body"] = kwargs["body"]
        yield Hold(path, dict(enumerate(items[limit:], limit)))
    chord: Sig = {
        "task": JOIN, "args": [], "kwargs": named, "subtask_type": None, "immutable": False,
        "options": {"chain": control.chain, "chord": None if control.chain else control.chord},
    }  # fmt: skip
    for number, item in enumerate(items[:limit]):
        yield from _item(kwargs["body"], path, number, chord, item)


def _item(body: Sig, path: str, number: int, chord: Sig, item: Any) -> Iterator[Move]:
    body = with_chord(
        placed(body, f"{path}.{ways.ITEM}", f"{path}.{ways.each_time(ways.ITEM, number)}"), chord
    )
    yield from _entered(body, [], Value(chord["kwargs"]["item"], item, item=True))


def _delay(control: Send, value: Value) -> Iterator[Move]:
    wait = timedelta(milliseconds=control.signature["kwargs"]["ms"])
    for move in after(_past(control), value):
        yield replace(move, wait=move.wait + wait) if isinstance(move, Go) else move


def _emit(control: Send, value: Value) -> Iterator[Move]:
    """The event, and then on to what follows."""
    kwargs = control.signature["kwargs"]
    yield Go(Send(event(kwargs["flow"], event_of(kwargs["step"]), kwargs["schema"]), []), value)
    yield from after(_past(control), value)


def emitted(place: str, flow: str, events: Sequence[tuple[str, Any]]) -> list[Go]:
    """The events that a step has emitted, as (URI of the contract version, data)."""
    return [
        Go(Send(event(flow, event_of(place, number), schema), []), Value(schema, data))
        for number, (schema, data) in enumerate(events)
    ]


def _budget(control: Send, value: Value) -> Iterator[Move]:
    """The step itself, and the timer that sees to it that something comes back in time."""
    kwargs = control.signature["kwargs"]
    path, fallback = kwargs["step"], dict(kwargs["fallback"])
    named = {"join": path, "one": True}
    if "by" in fallback:
        seen = [kwargs["flow"], kwargs["site"], [_field(value.data, name) for name in fallback.pop("by")]]
        fallback["key"] = digest(seen)
        named |= {"keep": fallback["key"], "keep_ms": fallback["max_age_ms"]}
    chord: Sig = {
        "task": JOIN, "args": [], "kwargs": named, "subtask_type": None, "immutable": False,
        "options": {"chain": control.chain, "chord": None if control.chain else control.chord},
    }  # fmt: skip
    moves = list(_entered(with_chord(kwargs["body"], chord), [], value))
    yield from moves
    accepts = next((go.send.signature["kwargs"]["accepts"] for go in moves if isinstance(go, Go)), "")
    timer: Sig = {
        "task": TIMER, "args": [], "subtask_type": None, "immutable": False, "options": {"chord": chord},
        "kwargs": {"flow": kwargs["flow"], "step": timer_of(path), "accepts": accepts, "fallback": fallback},
    }  # fmt: skip
    yield Go(Send(timer, []), value, timedelta(milliseconds=kwargs["ms"]))


def _wait(control: Send, value: Value) -> Iterator[Move]:
    """The place that a signal takes, or after a while what stands in for it."""
    kwargs = control.signature["kwargs"]
    path = kwargs["step"]
    named: dict[str, Any] = {"join": path, "one": True}
    if kwargs["keep"]:
        named["beside"] = {
            "keep": kwargs["keep"],
            "as": kwargs["signal"],
            "schema": value.schema,
            "data": value.data,
        }
    chord: Sig = {
        "task": JOIN, "args": [], "kwargs": named, "subtask_type": None, "immutable": False,
        "options": {"chain": control.chain, "chord": None if control.chain else control.chord},
    }  # fmt: skip
    yield Await(path, kwargs["signal"], kwargs["schema"], kwargs["flow"], chord)
    if kwargs["ms"]:
        timer: Sig = {
            "task": TIMER, "args": [], "subtask_type": None, "immutable": False, "options": {"chord": chord},
            "kwargs": {
                "flow": kwargs["flow"], "step": timer_of(path), "accepts": kwargs["schema"],
                "fallback": kwargs["otherwise"],
            },
        }  # fmt: skip
        given = Value(kwargs["otherwise"]["schema"], kwargs["otherwise"]["constant"], item=True)
        yield Go(Send(timer, []), given, timedelta(milliseconds=kwargs["ms"]))


def _undo(control: Send, _: Value) -> Iterator[Move]:
    """The last step that is left to be undone, and then the others."""
    kwargs = control.signature["kwargs"]
    *left, last = kwargs["left"]
    undo: Sig = {
        "task": last["agent"], "args": [], "subtask_type": None, "immutable": False, "options": {},
        "kwargs": {
            "flow": kwargs["flow"], "step": undo_of(last["step"]), "accepts": last["accepts"],
            "turn": f"undo@{last['step']}",
        },
    }  # fmt: skip
    if "retry" in last:
        undo["kwargs"]["retry"] = last["retry"]
    again = {**control.signature, "kwargs": {**kwargs, "left": left}}
    yield Go(Send(undo, [again] if left else []), Value(last["schema"], last["data"], item=True))


def undoing(flow: str, left: list[dict[str, Any]]) -> list[Move]:
    """How steps are undone, the last one first; each with ``step``, ``agent``, ``accepts``, its outcome's ``schema`` and
    ``data``, and ``retry`` where its flow has a policy for it."""
    control: Sig = {
        "task": UNDO, "args": [], "subtask_type": None, "immutable": False, "options": {},
        "kwargs": {"step": "undo", "flow": flow, "left": left},
    }  # fmt: skip
    return list(_entered(control, [], Value("", None, item=True)))


def stood_in(path: str, branch: str, chord: Sig, value: Value) -> list[Move]:
    """Where ``value`` goes that takes the place of the step at ``path``: a signal (branch ``s``) or a fallback (``f``)."""
    body, *_ = tasks(chord)
    beside = body["kwargs"].get("beside")
    if beside:
        data = {beside["keep"]: beside["data"], beside["as"]: value.data}
        parts = f"{beside['keep']}={beside['schema']} {beside['as']}={value.schema}"
        value = Value("", data, parts, joined=True)
    return after(Cursor(f"{path}.{branch}", [], chord), value)


def taken(body: Sig, chord: Sig, value: Value) -> list[Move]:
    """The step that takes another's place, with the same continuation."""
    return list(_entered(with_chord(body, chord), [], value))


def scopes(cursor: Cursor) -> tuple[str, ...]:
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


def budgets(step: str, chain: list[Sig], chord: Sig | None) -> str:
    """The same, separated by spaces, as far as the continuation can be read."""
    try:
        return " ".join(scopes(Cursor(step, chain, chord)))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        return ""


def _field(data: Any, path: str) -> Any:
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data


_DECIDE = {
    CHOICE: _choice,
    EACH: _each,
    REPEAT: _repeat,
    DELAY: _delay,
    BUDGET: _budget,
    WAIT: _wait,
    UNDO: _undo,
    EMIT: _emit,
}


def text(value: Any) -> str:
    """JSON values as they are kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
