"""Flows as hypothesis makes them: every kind of step in every other, agents that fail, and what is mended when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache, reduce
from operator import rshift
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from handoffs import Flow, Retry, Transient, choice, delay, each, emit, go_on, parallel, repeat, when
from handoffs import field as of
from handoffs.coordinator.continuation.canvas import AT_HAND
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import Budget, Constant, budget, cached, constant
from handoffs.coordinator.flow.condition import Condition
from handoffs.coordinator.flow.signal import WaitFor, wait_for
from handoffs.coordinator.flow.step import Compensate, Retrying, Step, compensate, firsts, positions, retrying
from tests.flows.forgetting import Going
from tests.flows.interpreter import SHORT
from tests.flows.memory import hearing, is_fact
from tests.flows.scenario import MOST_ROUNDS, Operation, Scenario, nested
from tests.flows.universe import (
    EARS,
    FAULTS,
    GATHERS,
    ITEMS,
    JOINS,
    NOBODY,
    OPEN,
    SHUT,
    WORKS,
    Behaviour,
    Item,
    Jammed,
    Work,
)


def _ms(*numbers: int) -> st.SearchStrategy[timedelta]:
    return st.sampled_from([timedelta(milliseconds=number) for number in numbers])


_policies = st.builds(
    Retry,
    attempts=st.integers(1, 4),
    backoff=_ms(1, 2, 3),
    factor=st.sampled_from([1.0, 2.0]),
    longest=_ms(8, 3),
    jitter=st.just(0.0),
    allowance=_ms(3, 4, 9),
    never=st.sampled_from([(), (), ("Busy",), (Jammed,), ("Jammed", "ValueError")]),
    only=st.sampled_from([(Exception,), (Exception,), (Transient,), ("Busy", "ValueError")]),
)


def _or_undone(agents: list[Agent], by: list[Agent]) -> st.SearchStrategy[Step]:
    """An agent, or one with a policy, or with one who undoes what it did; or all of that."""
    plain: st.SearchStrategy[Step] = st.sampled_from(agents)
    undoing: st.SearchStrategy[Step] = st.sampled_from(by)
    undone = st.builds(compensate, plain, by=undoing)
    retried = st.builds(retrying, st.one_of(plain, plain, undone), _policies)
    both = st.builds(
        compensate, st.builds(retrying, plain, _policies), by=st.builds(retrying, undoing, _policies)
    )
    return st.one_of(plain, plain, undone, retried, both, both)


_agents = _or_undone(WORKS, WORKS)
_joins = _or_undone(JOINS, WORKS)
_gathers = _or_undone(GATHERS, WORKS)
_items = _or_undone(ITEMS, ITEMS)
_nothing = constant(Work(id=NOBODY, n=3, items=[Item(id=NOBODY, n=1), Item(id=NOBODY, n=2)]))
_no_item = constant(Item(id=NOBODY, n=3))


def _longer(depth: int) -> timedelta:
    """Longer than everything inside."""
    return (depth + 2) * timedelta(minutes=10)


@st.composite
def _budgets(
    draw: st.DrawFn,
    depth: int,
    inner: st.SearchStrategy[Step],
    taken: st.SearchStrategy[Step],
    nothing: Constant,
    *,
    by: tuple[str, ...] = ("n",),
    warm: bool = False,
) -> Step:
    """A step within a budget. A short one has no other short wait within: that would be a race."""
    step, instead = draw(inner), draw(st.one_of(taken, st.just(nothing)))
    lengths = [
        part.within if isinstance(part, Budget) else part.timeout
        for _, part in nested(step, "")
        if isinstance(part, (Budget, WaitFor))
    ]
    short = SHORT not in lengths and draw(st.booleans())
    kept = bool(by) and (warm or draw(st.sampled_from([False, False, True])))
    fallback = cached(*by, max_age=timedelta(hours=1), otherwise=instead, shared=True) if kept else instead
    return budget(step, within=SHORT if short else _longer(depth), fallback=fallback)


@cache
@st.composite
def _waits(draw: st.DrawFn, depth: int) -> Step:
    """A wait for a signal, whose payload goes on; or it is kept beside what was there, and both are joined."""
    name, keep = draw(st.sampled_from("yz")), draw(st.sampled_from([None, "x"]))
    length = draw(st.sampled_from([None, SHORT, _longer(depth)]))
    waits = wait_for(name, Work, keep=keep, timeout=length, otherwise=_nothing if length else None)
    return waits >> draw(_joins) if keep else waits


_times = st.builds(
    lambda day, hours: datetime(2026, 1, day, 12, tzinfo=timezone(timedelta(hours=hours))),
    st.integers(1, 4),
    st.sampled_from([0, 14, -11]),
)


@cache
def _conditions() -> st.SearchStrategy[Condition]:
    n, amount, at, size = of("n"), of("amount"), of("at"), of("part.size")
    asked: st.SearchStrategy[Condition] = st.one_of(
        st.integers(0, 9).map(lambda number: n >= number),
        st.integers(0, 9).map(lambda number: n != number),
        st.sets(st.integers(0, 9), min_size=1).map(lambda numbers: n.is_in(*numbers)),
        st.integers(0, 999).map(lambda number: amount < Decimal(number)),
        st.just(of("note").exists()),
        _times.map(lambda time: at.exists() & (at < time)),
        _times.map(lambda time: (at >= time) | ~at.exists()),
        _times.map(lambda time: at != time),
        st.integers(0, 6).map(lambda number: (size >= number) & of("part").exists()),
        st.integers(0, 6).map(lambda number: ~of("part").exists() | size.is_in(number, number + 1)),
        st.integers(0, 6).map(lambda number: of("other.size") >= number),
        st.integers(0, 6).map(lambda number: of("anything") >= number),
    )
    return st.recursive(
        asked,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
            st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
            inner.map(lambda one: ~one),
        ),
        max_leaves=3,
    )


@cache
def works(depth: int) -> st.SearchStrategy[Step]:
    """Steps that accept a work and emit one."""
    if depth == 0:
        return _agents
    inner = works(depth - 1)
    return st.one_of(
        _agents,
        _emits,
        st.lists(inner, min_size=2, max_size=3).map(_chained),
        st.tuples(_branches(depth), _joined(depth)).map(_chained),
        st.tuples(_lists(depth), _gathered(depth)).map(_chained),
        _choices(depth),
        st.builds(repeat, inner, until=_conditions(), at_most=st.integers(1, MOST_ROUNDS)),
        inner.map(lambda step: Flow("flows.inner", step, input=Work)),
        st.tuples(_delays, inner.filter(_waits_for_none)).map(_chained),
        st.tuples(_delays, _sends_nothing(depth)).map(_chained),
        _budgets(depth, inner, inner, _nothing),
        _budgets(depth, inner, _agents, _nothing),
        _waits(depth),
    )


@cache
def _sends_nothing(depth: int) -> st.SearchStrategy[Step]:
    """What may go on without sending anything: a choice, an each over nothing, and that again behind another delay."""
    idle = _choices(depth).filter(_waits_for_none)
    return st.one_of(
        idle,
        st.tuples(_lists(depth), _gathered(depth)).map(_chained),
        st.tuples(_emits, idle).map(_chained),
        st.tuples(_delays, idle).map(_chained),
    )


def _waits_for_none(step: Step) -> bool:
    """A signal would be taken at once: nothing holds it back."""
    return not any(isinstance(first, WaitFor) for first in firsts(step))


@cache
def endings(depth: int) -> st.SearchStrategy[Step]:
    """The same, and those that end in branches or in a list."""
    open_ends = st.one_of(_branches(depth), _lists(depth))
    return st.one_of(works(depth), open_ends, st.tuples(works(depth - 1), open_ends).map(_chained))


_emits = st.builds(emit)
_delays = st.integers(1, 20).map(lambda number: delay(timedelta(milliseconds=number)))


@cache
@st.composite
def _branches(draw: st.DrawFn, depth: int, *, nested: bool = True) -> Step:
    """Branches, of which m ends in a list, and o in branches."""
    names = "xyzmo" if nested else "xyzm"
    inner = works(depth - 1)
    branches: dict[str, Step] = {}
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
        open_end = _lists(depth) if name == "m" else _branches(max(depth - 1, 1), nested=False)
        led = st.one_of(open_end, st.tuples(inner, open_end).map(_chained))
        branches[name] = draw(led if name in "mo" else inner)
    return parallel(**branches)


@cache
def _joined(depth: int, of_join: st.SearchStrategy[Step] = _joins) -> st.SearchStrategy[Step]:
    """What may follow branches: an agent that joins them, here or within a flow, a delay, or branches again."""
    within = _joins.map(lambda agent: Flow("flows.inner-join", agent >> WORKS[0]))
    in_time = _budgets(depth, of_join, of_join, _nothing, by=())
    again = st.tuples(
        st.dictionaries(st.sampled_from("xyz"), of_join, min_size=1, max_size=2).map(
            lambda branches: parallel(**branches)
        ),
        _joins,
    ).map(_chained)
    return st.one_of(
        of_join,
        of_join,
        within if of_join is _joins else of_join,
        in_time,
        again,
        st.tuples(_delays, of_join).map(_chained),
    )


@cache
def _gathered(depth: int) -> st.SearchStrategy[Step]:
    return _joined(depth, _gathers)


@cache
@st.composite
def _lists(draw: st.DrawFn, depth: int) -> Step:
    """Each of the items of a work, as an item or as a work."""
    one = st.one_of(_items, _items, _budgets(-1, _items, _items, _no_item), _emits)
    body = draw(st.lists(one, max_size=2))
    chained: list[Step] = [*body]
    shut = draw(st.booleans())
    if not shut or not body or draw(st.booleans()):
        chained.append(OPEN)
        if depth > 1:
            chained.extend(draw(st.lists(works(depth - 2), max_size=1)))
        if shut:
            chained.append(SHUT)
    into = "prices" if shut else "works"
    return each("items", _chained(chained), into=into, limit=draw(st.sampled_from([None, 1, 2, 3])))


@cache
@st.composite
def _choices(draw: st.DrawFn, depth: int) -> Step:
    inner = works(depth - 1)
    cases = draw(st.lists(st.builds(when, _conditions(), inner), min_size=1, max_size=2))
    return choice(*cases, otherwise=draw(st.one_of(st.just(go_on), inner)))


def _chained(steps: Any) -> Step:
    found: Step = reduce(rshift, steps)
    return found


_halves = st.sampled_from([None, None, 0, 1])
_faults = st.sampled_from(sorted(FAULTS))
_flaky = st.builds(Behaviour, st.just("flaky"), st.integers(1, 2), _halves, _faults)
_good = st.one_of(st.just(Behaviour()), st.just(Behaviour("slow")), _flaky)
_bad = st.builds(Behaviour, st.sampled_from(["broken", "exhausted", "huge"]), st.just(0), _halves, _faults)
_held = st.builds(Behaviour, st.just("held"), st.just(0), _halves)
_given_items = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("abc"), "n": st.integers(0, 9)}), max_size=4
)
_given = st.fixed_dictionaries(
    {"n": st.integers(0, 9), "note": st.sampled_from([None, "", "noted"]), "items": _given_items}
)
_simple = st.sampled_from(
    ["skip", "edit", "edit-key", "signal", "signal-again", "release", "pause", "resume"]
).map(Operation)
_edits = st.sampled_from(["edit", "edit-key"]).map(Operation)
_mending = st.sampled_from(["skip", "edit", "edit-key"]).map(Operation)
_ending = st.sampled_from(["cancel", "compensate", "compensate", "give-up"]).map(Operation)
_amid = st.sampled_from(["signals", "signals", "pause", "cancel", "compensate"]).map(Operation)
_early = st.sampled_from(["nothing", "nothing", "signals", "pause", "cancel", "compensate", "give-up"]).map(
    Operation
)


def _holdable(place: str) -> bool:
    """Held agents keep a thread each: so none that run in a list of lists."""
    return not place.endswith(".undo") and place.count("i*") < 2 and not is_fact(place)


@st.composite
def _behaviours(draw: st.DrawFn, places: list[str]) -> dict[str, Behaviour]:
    """Few agents fail, most of those that something stands in for."""
    watched = [place for place in places if ".b." in place]
    undoing = [place for place in places if place.endswith(".undo")]
    heard = [place for place in places if is_fact(place)]
    broken: set[str] = set()
    for some in filter(None, (places, watched, undoing, heard)):
        some_places = st.sets(st.sampled_from(some), min_size=int(some is heard), max_size=2)
        broken |= draw(st.one_of(some_places, st.just(set[str]())))
    holdable = [place for place in watched or places if _holdable(place)]
    held = draw(st.sets(st.sampled_from(holdable), max_size=1)) if holdable else set()
    well = {place: _flaky if place in undoing and draw(st.booleans()) else _good for place in places}
    drawn = {place: _held if place in held else _bad if place in broken else well[place] for place in places}
    return {place: draw(how) for place, how in drawn.items()}


@st.composite
def _operations(draw: st.DrawFn, failing: list[str], *, editing: bool) -> tuple[Operation, ...]:
    """What is done to a run; ``editing``: there is something to edit at first."""
    mend = st.frozensets(st.sampled_from(failing)) if failing else st.just(frozenset[str]())
    mends = st.builds(Operation, st.just("mend"), mend)
    some = st.one_of(_simple, _simple, mends)
    ending = draw(
        st.one_of(st.none(), _ending.map(lambda one: [one]), st.tuples(_ending, st.one_of(_mending, mends)))
    )
    first = [draw(_edits)] if editing else []
    return (*first, *draw(st.lists(some, max_size=3)), *(ending or ()))


@st.composite
def scenarios(draw: st.DrawFn, depth: int = 3) -> Scenario:
    """Flows with all that belongs to a run of them."""
    led = draw(st.lists(st.one_of(_agents, works(depth - 1)), max_size=2))
    if draw(st.sampled_from([False, False, True])):
        led.insert(draw(st.integers(0, len(led))), emit())
    warm = draw(st.sampled_from([False, False, False, True]))
    later = draw(st.one_of(st.none(), st.none(), st.none(), st.none(), _early))
    if later and draw(st.sampled_from([True, True, False])):  # more than messages waits for its time
        begins = st.one_of(_waits(1), st.tuples(_lists(1), _gathered(1)).map(_chained))
        led = [draw(begins), *led]
    if warm:  # what was kept is found where the input is the same: at the start
        led = [draw(_budgets(depth, works(1), _agents, _nothing, warm=True)), *led]
    asked = [wait_for("w", Work)] if draw(st.sampled_from([False, False, True])) else []
    step = _chained([*led, draw(endings(depth)), *asked])
    try:
        flow = Flow("flows.drawn", step, input=Work)
    except FlowError as refused:
        if "waits for a signal after a delay" not in refused.cause:
            raise
        reject()
    places = [place.path for place in flow.places()]
    places += [
        hearing(path, ear.name) for path, event in flow.events.items() for ear in EARS if ear.accepts is event
    ]
    behaviours = draw(_behaviours(places))
    if warm:
        for first in [place for place in places if place.startswith("1.b.")][:1]:
            behaviours[first] = draw(_bad)
    tops = [path for path, part in positions(step) if isinstance(part, (Agent, Compensate, Retrying))]
    amid = draw(st.one_of(st.none(), st.tuples(st.sampled_from(tops), _amid))) if tops else None
    editing = draw(st.sampled_from(["", "", "parked", "held"])) if tops else ""
    if editing == "parked":
        behaviours[draw(st.sampled_from(tops))] = draw(_bad)
    elif editing == "held":
        amid = (draw(st.sampled_from(tops)), Operation("pause"))
    if amid:
        behaviours[amid[0]] = Behaviour()
    failing = sorted(place for place, found in behaviours.items() if found.fails)
    operations = draw(_operations(failing, editing=bool(editing)))
    again = draw(st.sampled_from(["", "", "", "same", "other"]))
    at_hand = draw(st.sampled_from([AT_HAND, 1, 2]))
    return Scenario(step, draw(_given), behaviours, operations, amid, warm, later, again, at_hand)


@st.composite
def forgetful(draw: st.DrawFn) -> tuple[Scenario, Going]:
    """Flows, and how Redis goes back meanwhile."""
    scenario = replace(draw(scenarios()), warm=False, later=None, amid=None, again="")
    places = sorted(
        place for place, found in scenario.behaviours.items() if not found.fails and not is_fact(place)
    )
    to = draw(st.one_of(st.just(""), st.sampled_from(places), st.sampled_from(places))) if places else ""
    return scenario, Going(to, told=draw(st.booleans()), as_another=draw(st.booleans()))
