"""Advance: where an output goes next, by the rest of its chain and its chord. Pure: the same output goes the same way.

A control stands in the chain where a flow decides: :data:`_DECIDE` has a function for each kind of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.continuation.arrival import arrival, sends_after, starts
from handoffs.coordinator.continuation.moves import Await, Cursor, End, Go, Hold, Lane, Move, Value
from handoffs.coordinator.continuation.path import event_of, timer_of, undo_of
from handoffs.coordinator.continuation.signature import (
    BUDGET,
    CHOICE,
    CONTROLS,
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
    signature,
    tasks,
    with_chord,
)
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.condition import condition_from

_MOST_ITEMS = 10_000


# Where an output goes


def after(cursor: Cursor, value: Value) -> list[Move]:
    """Where ``value`` goes from a place in a flow.

    Raises :class:`InvalidData` where a list field is no list, or longer than 10 000.
    """
    if cursor.chain:
        return list(_entered(cursor.chain[-1], cursor.chain[:-1], value))
    if cursor.chord is None:
        return [End(value)]
    return [arrival(cursor, value)]


def checked(cursor: Cursor) -> Cursor:
    """The place itself, if it is one. Raises :class:`KeyError` and its like where it is malformed."""
    if cursor.chain:
        list(starts(cursor.chain[-1], cursor.chain[:-1]))
    elif cursor.chord is not None:
        sends_after(arrival(cursor, Value("", None)))
    return cursor


def begun(first: Sig, value: Value) -> list[Move]:
    """How a run begins with ``value``. Raises :class:`InvalidData` like :func:`after`."""
    return list(_entered(first, [], value))


def released(lane: Lane, item: Any) -> list[Move]:
    """The item whose turn it is, sent. Raises :class:`InvalidData` like :func:`after`."""
    return list(_item(lane.body, lane.path, lane.following, lane.chord, item))


def emitted(path: str, flow: str, events: Sequence[tuple[str, Any]]) -> list[Go]:
    """The events that the step at ``path`` has emitted, as (URI of the contract version, data)."""
    return [
        Go(Send(event(flow, event_of(path, number), schema), []), Value(schema, data))
        for number, (schema, data) in enumerate(events)
    ]


def undoing(flow: str, left: list[dict[str, Any]]) -> list[Move]:
    """How steps are undone, the last one first; each with ``step``, ``agent``, ``accepts``, its outcome's ``schema`` and
    ``data``, and ``retry`` where its flow has a policy for it."""
    control = signature(UNDO, {"step": ways.UNDO, "flow": flow, "left": left})
    return list(_entered(control, [], Value("", None, item=True)))


def stood_in(path: str, way: str, chord: Sig, value: Value) -> list[Move]:
    """Where ``value`` goes that takes the place of the step at ``path``: a signal or a fallback, as ``way`` says
    (:data:`~handoffs.coordinator.continuation.path.SIGNAL`, :data:`~handoffs.coordinator.flow.ways.FALLBACK`).
    Raises :class:`InvalidData` like :func:`after`."""
    body, *_ = tasks(chord)
    beside = body["kwargs"].get("beside")
    if beside:
        data = {beside["keep"]: beside["data"], beside["as"]: value.data}
        parts = f"{beside['keep']}={beside['schema']} {beside['as']}={value.schema}"
        value = Value("", data, parts, joined=True)
    return after(Cursor(f"{path}.{way}", [], chord), value)


def taken(body: Sig, chord: Sig, value: Value) -> list[Move]:
    """The step that takes another's place, with the same continuation. Raises :class:`InvalidData` like :func:`after`."""
    return list(_entered(with_chord(body, chord), [], value))


# Into a step


def _entered(first: Sig, chain: list[Sig], value: Value) -> Iterator[Move]:
    for start in starts(first, chain):
        if start.agent in CONTROLS:
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


def _join_before(control: Send, kwargs: dict[str, Any]) -> Sig:
    """The join with these arguments, after which what follows the control goes on."""
    past = _past(control)
    return signature(JOIN, kwargs, chain=past.chain, chord=past.chord)


# The controls


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
    chord = _join_before(control, named)
    for number, item in enumerate(items[:limit]):
        yield from _item(kwargs["body"], path, number, chord, item)


def _item(body: Sig, path: str, number: int, chord: Sig, item: Any) -> Iterator[Move]:
    one = placed(body, f"{path}.{ways.ITEM}", f"{path}.{ways.each_time(ways.ITEM, number)}")
    yield from _entered(with_chord(one, chord), [], Value(chord["kwargs"]["item"], item, item=True))


def _delay(control: Send, value: Value) -> Iterator[Move]:
    wait = timedelta(milliseconds=control.signature["kwargs"]["ms"])
    for move in after(_past(control), value):
        yield replace(move, wait=move.wait + wait) if isinstance(move, Go) else move


def _emit(control: Send, value: Value) -> Iterator[Move]:
    """The event, and then on to what follows."""
    kwargs = control.signature["kwargs"]
    yield Go(Send(event(kwargs["flow"], event_of(kwargs["step"]), kwargs["schema"]), []), value)
    yield from after(_past(control), value)


def _budget(control: Send, value: Value) -> Iterator[Move]:
    """The step itself, and the timer that sees to it that something comes back in time."""
    kwargs = control.signature["kwargs"]
    fallback = dict(kwargs["fallback"])
    named = {"join": kwargs["step"], "one": True}
    if "by" in fallback:
        seen = [kwargs["flow"], kwargs["site"], [_field(value.data, name) for name in fallback.pop("by")]]
        fallback["key"] = strictjson.digest(seen)
        named |= {"keep": fallback["key"], "keep_ms": fallback["max_age_ms"]}
    chord = _join_before(control, named)
    moves = list(_entered(with_chord(kwargs["body"], chord), [], value))
    yield from moves
    accepts = next((go.send.accepts for go in moves if isinstance(go, Go)), "")
    yield _timer(control, accepts, fallback, chord, value)


def _wait(control: Send, value: Value) -> Iterator[Move]:
    """The place that a signal takes, or after a while what stands in for it."""
    kwargs = control.signature["kwargs"]
    path, otherwise = kwargs["step"], kwargs["otherwise"]
    named: dict[str, Any] = {"join": path, "one": True}
    if kwargs["keep"]:
        named["beside"] = {
            "keep": kwargs["keep"],
            "as": kwargs["signal"],
            "schema": value.schema,
            "data": value.data,
        }
    chord = _join_before(control, named)
    yield Await(path, kwargs["signal"], kwargs["schema"], kwargs["flow"], chord)
    if kwargs["ms"]:
        given = Value(otherwise["schema"], otherwise["constant"], item=True)
        yield _timer(control, kwargs["schema"], otherwise, chord, given)


def _timer(control: Send, accepts: str, fallback: dict[str, Any], chord: Sig, value: Value) -> Go:
    """The message to the coordinator process that comes back when the time of a control is over."""
    kwargs = control.signature["kwargs"]
    named = {"flow": kwargs["flow"], "step": timer_of(control.step), "accepts": accepts, "fallback": fallback}
    wait = timedelta(milliseconds=kwargs["ms"])
    return Go(Send(signature(TIMER, named, chord=chord), []), value, wait)


def _undo(control: Send, _: Value) -> Iterator[Move]:
    """The last step that is left to be undone, and then the others."""
    kwargs = control.signature["kwargs"]
    *left, last = kwargs["left"]
    named = {"flow": kwargs["flow"], "step": undo_of(last["step"]), "accepts": last["accepts"]}
    named["turn"] = f"{ways.UNDO}@{last['step']}"
    if "retry" in last:
        named["retry"] = last["retry"]
    again = {**control.signature, "kwargs": {**kwargs, "left": left}}
    value = Value(last["schema"], last["data"], item=True)
    yield Go(Send(signature(last["agent"], named), [again] if left else []), value)


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
