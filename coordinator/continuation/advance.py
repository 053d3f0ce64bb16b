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
from handoffs.contracts.event import Nothing
from handoffs.coordinator.continuation.arrival import arrival, sends_after, starts
from handoffs.coordinator.continuation.moves import Await, Cursor, End, Go, Hold, Lane, Move, Undoing, Value
from handoffs.coordinator.continuation.packed import at_hand
from handoffs.coordinator.continuation.path import event_of, onward_of, timer_of, undo_of
from handoffs.coordinator.continuation.signature import (
    BUDGET,
    CHOICE,
    CONTROLS,
    DELAY,
    EACH,
    EMIT,
    JOIN,
    ONWARD,
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
_AT_ONCE = timedelta()


# Where an output goes


def after(cursor: Cursor, value: Value) -> list[Move]:
    """Where ``value`` goes from a place in a flow.

    Raises :class:`InvalidData` where a list field is no list, or longer than 10 000, and
    :class:`~handoffs.coordinator.errors.Unanswerable` where a condition cannot be answered.
    """
    if cursor.chain:
        *rest, following = at_hand(cursor.chain)
        return list(_entered(following, rest, value))
    if cursor.chord is None:
        return [End(value)]
    reached = arrival(cursor, value)
    if all(join.one for join in reached.joins):  # what follows a budget or a wait gets what arrives, as it is
        _asked_of(value, reached.then.chain)
    return [reached]


def checked(cursor: Cursor) -> Cursor:
    """The place itself, if it is one. Raises :class:`InvalidData`, or :class:`KeyError` and its like, where it is malformed."""
    if cursor.chain:
        *rest, following = at_hand(cursor.chain)
        list(starts(following, rest))
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


def stood_in(path: str, way: str, chord: Sig, value: Value) -> list[Move]:
    """Where ``value`` goes that takes the place of the step at ``path``: a signal or a fallback, as ``way`` says
    (:data:`~handoffs.coordinator.continuation.path.SIGNAL`, :data:`~handoffs.coordinator.flow.ways.FALLBACK`).
    Raises :class:`InvalidData` like :func:`after`."""
    return after(Cursor(f"{path}.{way}", [], chord), standing_in(chord, value))


def standing_in(chord: Sig, value: Value) -> Value:
    """``value`` with what the step whose place it takes has kept beside it, by the chord of that."""
    body, *_ = tasks(chord)
    beside = body["kwargs"].get("beside")
    if not beside:
        return value
    data = {beside["keep"]: beside["data"], beside["as"]: value.data}
    parts = f"{beside['keep']}={beside['schema']} {beside['as']}={value.schema}"
    return Value("", data, parts, joined=True)


def onward(flow: str, cursor: Cursor, value: Value, accepts: str = "", wait: timedelta = _AT_ONCE) -> Go:
    """The message by which ``value`` goes on from a place by itself: the coordinator process takes it when ``wait`` is over. What a
    join put together is declared as what ``accepts`` says."""
    kind = "joined" if value.joined else "item" if value.item else "own"
    named = {"flow": flow, "step": onward_of(cursor.step), ONWARD: kind}
    named["accepts"] = value.schema or accepts or Nothing.ref().uri
    return Go(Send(signature(TIMER, named, chord=cursor.chord), cursor.chain), value, wait)


def taken(body: Sig, chord: Sig, value: Value) -> list[Move]:
    """The step that takes another's place, with the same continuation. Raises :class:`InvalidData` like :func:`after`."""
    return list(_entered(with_chord(body, chord), [], value))


def _asked_of(value: Value, chain: list[Sig]) -> None:
    """Ask what will be asked at once of ``value`` in this chain. Raises :class:`~handoffs.coordinator.errors.Unanswerable`: while
    its step is not settled, that can be mended."""
    while chain:
        *chain, control = at_hand(chain)
        task, kwargs = control["task"], control["kwargs"]
        if task == CHOICE:
            way = _way(kwargs, value)
            chain = [*chain, *(_turned(way) if way else [])]
        elif task == REPEAT:
            again = _again(control, value)
            chain = [*chain, *([again, *_turned(kwargs["body"])] if again else [])]
        elif task == BUDGET:
            chain = [*chain, *_turned(kwargs["body"])]
        elif task == EACH:
            _asked_of_items(kwargs, _items(control["kwargs"], value))
            return
        elif control["subtask_type"] == "chord":
            for branch in tasks(kwargs["header"]):
                _asked_of(value, _turned(branch))
            return
        elif task not in {DELAY, EMIT}:
            return


def _asked_of_items(kwargs: dict[str, Any], items: list[Any]) -> None:
    body = _turned(kwargs["body"])
    if body[-1]["task"] in CONTROLS or body[-1]["subtask_type"] == "chord":
        for item in items:
            _asked_of(Value(kwargs["item"], item, item=True), body)


def _turned(body: Sig) -> list[Sig]:
    """The steps of a body as a chain has them: the next one last."""
    return list(reversed(tasks(body)))


def _items(kwargs: dict[str, Any], value: Value) -> list[Any]:
    """The list that an each with these arguments goes through. Raises :class:`InvalidData` where it is none."""
    items: Any = value.data.get(kwargs["field"])
    if not isinstance(items, list) or len(items) > _MOST_ITEMS:
        raise InvalidData(
            f"each at step {kwargs['step']} finds no list of up to {_MOST_ITEMS} items in field {kwargs['field']!r}"
        )
    return items


def _way(kwargs: dict[str, Any], value: Value) -> Sig | None:
    """What a choice with these arguments does with ``value``; None where that passes on as it is."""
    for condition, body in kwargs["cases"]:
        if condition_from(condition).holds(value.data):
            chosen: Sig = body
            return chosen
    otherwise: Sig | None = kwargs["otherwise"]
    return otherwise


def _again(repeat: Sig, value: Value) -> Sig | None:
    """A repetition as it stands after the round that ``value`` begins; None where none does. After the last one nothing is asked."""
    kwargs = repeat["kwargs"]
    done = kwargs["round"]
    if done and (done >= kwargs["at_most"] or condition_from(kwargs["until"]).holds(value.data)):
        return None
    return {**repeat, "kwargs": {**kwargs, "round": done + 1}}


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
    way = _way(control.signature["kwargs"], value)
    if way is None:
        yield from after(_past(control), value)
    else:
        yield from _into(control, way, value)


def _repeat(control: Send, value: Value) -> Iterator[Move]:
    again = _again(control.signature, value)
    if again is None:
        yield from after(_past(control), value)
        return
    kwargs = again["kwargs"]
    path, number = kwargs["step"], kwargs["round"]
    body = placed(kwargs["body"], f"{path}.{ways.ROUND}", f"{path}.{ways.each_time(ways.ROUND, number)}")
    yield from _entered(body, [*control.chain, again], value)


def _each(control: Send, value: Value) -> Iterator[Move]:
    kwargs = control.signature["kwargs"]
    path, items = kwargs["step"], _items(kwargs, value)
    if not items:
        empty = Value("", {kwargs["into"]: []}, joined=True)
        yield from after(_past(control), empty)
        return
    limit = kwargs["limit"] or len(items)
    named = {"join": path, "count": len(items), "into": kwargs["into"], "limit": limit, "body": None}
    named["item"] = kwargs["item"]
    if limit < len(items):
        _asked_of_items(kwargs, items[limit:])  # their turn comes when this is settled
        named["body"] = kwargs["body"]
        yield Hold(path, dict(enumerate(items[limit:], limit)))
    chord = _join_before(control, named)
    for number, item in enumerate(items[:limit]):
        yield from _item(kwargs["body"], path, number, chord, item)


def _item(body: Sig, path: str, number: int, chord: Sig, item: Any) -> Iterator[Move]:
    one = placed(body, f"{path}.{ways.ITEM}", f"{path}.{ways.each_time(ways.ITEM, number)}")
    yield from _entered(with_chord(one, chord), [], Value(chord["kwargs"]["item"], item, item=True))


def _delay(control: Send, value: Value) -> Iterator[Move]:
    """What follows is sent so much later. Where it is nothing that could be sent, such as the end of the flow, a message to the
    coordinator process is: it goes on when that comes back."""
    kwargs = control.signature["kwargs"]
    wait, past = timedelta(milliseconds=kwargs["ms"]), _past(control)
    moves = after(past, value)
    if "flow" not in kwargs or all(
        isinstance(move, (Go, Hold)) for move in moves
    ):  # an older release said no flow
        for move in moves:
            yield replace(move, wait=move.wait + wait) if isinstance(move, Go) else move
    else:
        accepts = next((go.send.accepts for go in moves if isinstance(go, Go)), "")
        yield onward(kwargs["flow"], past, value, accepts, wait)


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
        by = fallback.pop("by")
        seen = [kwargs["flow"], kwargs["site"], [_field(value.data, name) for name in by]]
        if "of" in fallback:  # a run that was started by an older release does not say it
            seen += [by, fallback.pop("of")]
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
    """The step that is undone next: the run knows which. What an older release sent has all that are left in itself."""
    kwargs = control.signature["kwargs"]
    if isinstance(kwargs["left"], int):
        yield Undoing(kwargs["left"])
        return
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
