"""Schema: the form of what travels in a message beside its envelope: the arguments of its step, and its continuation.

Whatever reads a message reads it by this, from wherever it comes: the broker, Redis or the journal. A member that is not named here
is refused, for Celery would make it a member of the request that an agent's task sees; and so is a number, a name or a path that
nothing of ours could have written. Forms that only older releases wrote are in it as well. docs/architecture.md tells of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import printable, quoted
from handoffs.coordinator.continuation import forms
from handoffs.coordinator.continuation.checks import (
    Checker,
    Fault,
    a_list,
    a_number,
    an_object,
    at,
    members,
    one_of,
    or_none,
)
from handoffs.coordinator.continuation.signature import (
    BUDGET,
    CHOICE,
    DELAY,
    EACH,
    EMIT,
    JOIN,
    MEMBERS,
    REPEAT,
    UNDO,
    WAIT,
    Sig,
    is_packed,
)

MOST_ITEMS = 10_000
MOST_ROUNDS = 1_000
MOST_EDITS = 1_000_000
"""How often the input of a step may be edited."""
MOST_SUPERSEDED = 1_000
LONGEST_PACKED = 16_384
"""The characters of steps that are packed, at most."""
_MOST_LEFT = 1_000_000  # steps to be undone
_MOST_FENCE = 2**53

_OPTIONS = frozenset({"chain", "chord"})
_CONTINUATION = frozenset({"chain", "chord", "callbacks", "errbacks"})


def check(kwargs: Any, continuation: Any) -> None:
    """Raise :class:`InvalidData` where these are no arguments and no continuation of a message of ours. The error tells the place, and
    nothing of what is there."""
    try:
        at("arguments", _arguments, kwargs)
        at("continuation", _continuation, continuation)
    except Fault as fault:
        raise InvalidData(
            f"the continuation of the message is malformed: {printable(fault.place, 200)} {fault.what}"
        ) from None
    except RecursionError:
        raise InvalidData("the continuation of the message is malformed: it is nested too deep") from None


def check_packed(piece: Sig) -> None:
    """Raise :class:`InvalidData` where these are no steps that are packed, at first sight."""
    _check(_packed, piece, "is malformed")


def check_steps(steps: Any) -> None:
    """Raise :class:`InvalidData` where these are no steps that may be packed."""
    _check(_tasks, steps, "has steps that are malformed")


def _check(checker: Checker, value: Any, what: str) -> None:
    try:
        checker(value)
    except Fault as fault:
        raise InvalidData(
            f"the continuation of the message is malformed: what is packed {what}: {printable(fault.place, 200)} {fault.what}"
        ) from None
    except RecursionError:
        raise InvalidData(
            "the continuation of the message is malformed: what is packed is nested too deep"
        ) from None


# The arguments of a step, of an event and of a timer

_undo = an_object({"agent": forms.agent, "accepts": forms.uri}, {"retry": forms.retry})
_edit = an_object({"number": a_number(1, MOST_EDITS), "supersedes": a_list(forms.digest, MOST_SUPERSEDED)})
_outcome = an_object({"agent": forms.agent, "key": forms.digest, "fence": a_number(0, _MOST_FENCE)})
_IN_A_FLOW = {"flow": forms.flow, "step": forms.path, "accepts": forms.uri}
_OF_A_STEP: dict[str, Checker] = {"retry": forms.retry, "undo": _undo, "turn": forms.plain}
_OF_A_MESSAGE: dict[str, Checker] = {
    **_OF_A_STEP,
    "undoes": _outcome,
    "edit": _edit,
    "event": forms.contract,
    "gathered": one_of("timeout", "complete"),
    "set": forms.set_of_events,
}


def is_timer(kwargs: Mapping[str, Any]) -> bool:
    """Whether these are the arguments of what comes to the coordinator process, and not of a step of an agent."""
    return not _OF_TIMERS.keys().isdisjoint(kwargs)


def _arguments(kwargs: Any) -> None:
    if isinstance(kwargs, dict):
        for name, required in _OF_TIMERS.items():
            if name in kwargs:
                return members(kwargs, required, {})
    return members(kwargs, _IN_A_FLOW, _OF_A_MESSAGE)


# Signatures: one task, or several


def _continuation(value: Any) -> None:
    """What Celery has beside a task's arguments."""
    if not isinstance(value, dict):
        raise Fault("is no object")
    for name, inner in value.items():
        if name not in _CONTINUATION:
            raise Fault(f"has a member {quoted(name, 80)}, which is none of ours")
        if inner is None:
            continue
        if name == "chain":
            at(name, _chain, inner)
        elif name == "chord":
            at(name, _chord, inner)
        else:
            raise Fault(f"has {name}, which Celery would call past the handoff")


def _sig(value: Any, joins: bool = False) -> None:
    """A signature; with ``joins`` it is that of a join, or begins with one."""
    if not isinstance(value, dict) or value.keys() != MEMBERS:
        raise Fault("is no signature")
    if value["args"] != [] or value["immutable"] is not False:
        raise Fault("has arguments of its own")
    if value["options"] != {}:
        at("options", _options, value["options"])
    task, kind = value["task"], value["subtask_type"]
    if type(task) is not str:
        raise Fault("has no task")
    checker = _of_one(task, joins) if kind is None else _of_several(task, kind, joins)
    try:
        checker(value["kwargs"])
    except Fault as fault:
        raise fault.within("kwargs") from None


def _of_one(task: str, joins: bool) -> Checker:
    """What checks the arguments of a task."""
    if joins is not (task == JOIN):
        raise Fault("is no join" if joins else "is a join in the wrong place")
    checker = _KINDS.get(task)
    if checker is None:
        at("task", forms.agent, task)
        return _step
    return checker


def _of_several(task: str, kind: Any, joins: bool) -> Checker:
    """What checks those of a chain or a chord."""
    if (
        type(kind) is not str
        or kind not in _SEVERAL
        or task != f"celery.{kind}"
        or (joins and kind == "chord")
    ):
        raise Fault("is no chain and no chord")
    return _joined_chain if joins else _SEVERAL[kind]


def _options(value: Any) -> None:
    if not isinstance(value, dict) or not value.keys() <= _OPTIONS:
        raise Fault("has members that are none of ours")
    if "chain" in value:
        at("chain", _chain, value["chain"])
    if value.get("chord") is not None:
        at("chord", _chord, value["chord"])


def _chord(value: Any) -> None:
    """The body of a chord: the join, and what follows it."""
    _sig(value, joins=True)


def _packed(value: Any) -> None:
    """Steps that are far off, in the place of their signatures. What is in them is checked when they are taken apart."""
    if value["args"] != [] or value["immutable"] is not False or value["subtask_type"] is not None:
        raise Fault("has arguments of its own")
    at("options", _end_of_chain, value["options"])
    at("kwargs", _piece, value["kwargs"])


def _text_of_steps(value: Any) -> None:
    if type(value) is not str or not value.isascii() or len(value) > LONGEST_PACKED:
        raise Fault("is no text of steps")


_piece = an_object({"packed": _text_of_steps}, {"placed": forms.placed})


def _end_of_chain(value: Any) -> None:
    members(value, {}, {"chord": or_none(_chord)})


def _member(value: Any) -> None:
    """What may be in a chain after its first step."""
    (_packed if is_packed(value) else _sig)(value)


def _tasks(value: Any, joins: bool = False) -> None:
    """The members of a chain, in order; with ``joins`` the first is a join."""
    if not isinstance(value, list) or not value:
        raise Fault("is no list of ours")
    for number, one in enumerate(value):
        try:
            if number:
                _member(one)
            else:
                _sig(one, joins=joins)
        except Fault as fault:
            raise fault.within(number) from None


def _joined_tasks(value: Any) -> None:
    _tasks(value, joins=True)


_chain = a_list(_member)
_several = an_object({"tasks": _tasks})
_joined_chain = an_object({"tasks": _joined_tasks})


_step = an_object(_IN_A_FLOW, _OF_A_STEP)
_fan_out = an_object({"header": a_list(_sig, least=1), "body": _chord}, {"kwargs": an_object({})})
_SEVERAL: dict[str, Checker] = {"chain": _several, "chord": _fan_out}

# Controls, and joins


def _names(value: Any) -> None:
    a_list(forms.name, MOST_ITEMS, 1)(value)
    if len(set(value)) != len(value):
        raise Fault("has a branch twice")


def _case(value: Any) -> None:
    if not isinstance(value, list) or len(value) != 2:
        raise Fault("is no case")
    at(0, forms.condition, value[0])
    at(1, _sig, value[1])


_kept = an_object(
    {"keep": forms.name, "as": forms.name, "schema": forms.uri_or_empty, "data": forms.anything}
)
_JOINS: tuple[tuple[str, Checker], ...] = (
    (
        "one",
        an_object(
            {"join": forms.path, "one": one_of(True)},
            {"keep": forms.digest, "keep_ms": forms.ms, "beside": _kept},
        ),
    ),
    (
        "count",
        an_object(
            {
                "join": forms.path,
                "count": a_number(1, MOST_ITEMS),
                "into": forms.name,
                "limit": a_number(1, MOST_ITEMS),
                "body": or_none(_sig),
                "item": forms.uri,
            }
        ),
    ),
    ("branches", an_object({"join": forms.path, "branches": _names})),
)


def _join(value: Any) -> None:
    """Of branches, of items, or of whatever comes first."""
    for name, checker in _JOINS:
        if isinstance(value, dict) and name in value:
            checker(value)
            if "keep" in value and "keep_ms" not in value:
                raise Fault("does not say for how long it keeps")
            return
    raise Fault("is no join")


_constant = an_object({"constant": forms.data, "schema": forms.uri})


def _fallback(value: Any, *, spent: bool) -> None:
    """What takes a step's place. A timer, whose budget is ``spent``, knows the key of what is kept for others."""
    if not isinstance(value, dict):
        raise Fault("is no fallback")
    if "constant" in value:
        _constant(value)
    elif "body" in value:
        members(value, {"body": _sig}, {})
    elif spent:
        members(value, {"key": forms.digest, "max_age_ms": forms.ms, "otherwise": _spent}, {})
    else:
        by = {"by": a_list(forms.field, least=1), "max_age_ms": forms.ms, "otherwise": _waiting}
        members(value, by, {"of": a_list(forms.plain)})


def _spent(value: Any) -> None:
    _fallback(value, spent=True)


def _waiting(value: Any) -> None:
    _fallback(value, spent=False)


def _left(value: Any) -> None:
    """How many steps are still to be undone; an older release had them all here."""
    (a_list(_undone, least=1) if isinstance(value, list) else a_number(0, _MOST_LEFT))(value)


_undone = an_object(
    {"step": forms.path, "agent": forms.agent, "accepts": forms.uri, "schema": forms.uri, "data": forms.data},
    {"retry": forms.retry},
)
_KINDS: dict[str, Checker] = {
    JOIN: _join,
    CHOICE: an_object({"step": forms.path, "cases": a_list(_case, least=1), "otherwise": or_none(_sig)}),
    EACH: an_object(
        {
            "step": forms.path,
            "field": forms.name,
            "into": forms.name,
            "limit": or_none(a_number(1, MOST_ITEMS)),
            "item": forms.uri,
            "body": _sig,
        }
    ),
    REPEAT: an_object(
        {
            "step": forms.path,
            "until": forms.condition,
            "at_most": a_number(1, MOST_ROUNDS),
            "round": a_number(0, MOST_ROUNDS),
            "body": _sig,
        }
    ),
    DELAY: an_object({"step": forms.path, "ms": forms.ms}, {"flow": forms.flow}),
    BUDGET: an_object(
        {
            "step": forms.path,
            "flow": forms.flow,
            "site": forms.path,
            "ms": forms.ms,
            "body": _sig,
            "fallback": _waiting,
        }
    ),
    WAIT: an_object(
        {
            "step": forms.path,
            "flow": forms.flow,
            "signal": forms.name,
            "schema": forms.uri,
            "keep": or_none(forms.name),
            "ms": forms.ms,
            "otherwise": or_none(_constant),
        }
    ),
    UNDO: an_object({"step": forms.path, "flow": forms.flow, "left": _left}),
    EMIT: an_object({"step": forms.path, "flow": forms.flow, "schema": forms.uri}),
}
_OF_TIMERS: dict[str, dict[str, Checker]] = {
    "fallback": {**_IN_A_FLOW, "accepts": forms.uri_or_empty, "fallback": _spent},
    "onward": {**_IN_A_FLOW, "onward": one_of("own", "item", "joined")},
}
"""Arguments of what comes to the coordinator process, by the one that tells it."""
