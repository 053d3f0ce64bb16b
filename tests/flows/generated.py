"""Flows as hypothesis makes them: every kind of step in every other, agents that fail, and what is mended when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache, reduce
from itertools import count
from operator import rshift
from typing import Any

from hypothesis import strategies as st

from coordinator import Flow, choice, delay, each, go_on, parallel, repeat, when
from coordinator import field as of
from coordinator.agent import Agent
from coordinator.condition import Condition
from coordinator.step import Choice, Delay, Each, Parallel, Repeat, Step, parts, positions
from tests.flows.interpreter import Json
from tests.flows.universe import GATHERS, ITEMS, JOINS, OPEN, SHUT, WORKS, Behaviour, Story, Work

_numbers = count(1)


@dataclass(frozen=True)
class Scenario:
    """A flow, its input (without an id), how its agents do, and what is mended before each replay."""

    step: Step
    given: Json
    behaviours: dict[str, Behaviour]
    mending: tuple[frozenset[str], ...]

    def begun(self) -> tuple[Flow, Json, Story]:
        """The flow under a name that no other has, and with it the input and the story of a run."""
        name = f"s{next(_numbers)}"
        flow = Flow(f"flows.{name}", self.step, input=Work)
        items = [{**item, "id": f"{name}.{item['id']}"} for item in self.given["items"]]
        given = Work.from_data({**self.given, "id": name, "items": items}).to_data()
        return flow, given, Story(name, self.behaviours, dict(_limits(self.step, "")))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """As hypothesis shows it."""
        printer.text(repr(self))

    def __repr__(self) -> str:
        odd = {place: found for place, found in self.behaviours.items() if found != Behaviour()}
        return f"\nflow:   {written(self.step)}\ngiven:  {self.given}\nagents: {odd}\nmended: {self.mending}"


def _limits(step: Step, prefix: str) -> Iterator[tuple[str, int]]:
    """The limit of each list of items, by its place."""
    for path, part in positions(step, prefix):
        inner: list[tuple[str, Step]] = []
        match part:
            case Flow(step=within):
                inner = [("", within)]
            case Parallel(branches=branches):
                inner = [(f"{name}.", branch) for name, branch in branches]
            case Choice(cases=cases, otherwise=otherwise):
                inner = [(f"c{number}.", within) for number, (_, within) in enumerate(cases, 1)]
                inner += [("c0.", otherwise)] if otherwise else []
            case Repeat(step=within):
                inner = [("r*.", within)]
            case Each(step=within, limit=limit):
                inner = [("i*.", within)]
                if limit is not None:
                    yield path, limit
        for name, within in inner:
            yield from _limits(within, f"{path}.{name}")


_agents = st.sampled_from(WORKS)
_joins = st.sampled_from(JOINS)
_gathers = st.sampled_from(GATHERS)
_items = st.sampled_from(ITEMS)


@cache
def _conditions() -> st.SearchStrategy[Condition]:
    n, amount = of("n"), of("amount")
    asked: st.SearchStrategy[Condition] = st.one_of(
        st.integers(0, 9).map(lambda number: n >= number),
        st.integers(0, 9).map(lambda number: n != number),
        st.sets(st.integers(0, 9), min_size=1).map(lambda numbers: n.is_in(*numbers)),
        st.integers(0, 999).map(lambda number: amount < Decimal(number)),
        st.just(of("note").exists()),
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
        return _agents.map(lambda found: found)
    inner = works(depth - 1)
    return st.one_of(
        _agents,
        st.lists(inner, min_size=2, max_size=3).map(_chained),
        st.tuples(_branches(depth), _joined(depth)).map(_chained),
        st.tuples(_lists(depth), _gathered(depth)).map(_chained),
        _choices(depth),
        st.builds(repeat, inner, until=_conditions(), at_most=st.integers(1, 3)),
        inner.map(lambda step: Flow("flows.inner", step, input=Work)),
        st.tuples(_delays, inner).map(_chained),
    )


@cache
def endings(depth: int) -> st.SearchStrategy[Step]:
    """The same, and those that end in branches or in a list."""
    open_ends = st.one_of(_branches(depth), _lists(depth))
    return st.one_of(works(depth), open_ends, st.tuples(works(depth - 1), open_ends).map(_chained))


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
def _joined(depth: int, of_join: st.SearchStrategy[Agent] = _joins) -> st.SearchStrategy[Step]:
    """What may follow branches: an agent that joins them, here or within a flow, a delay, or branches again."""
    within = _joins.map(lambda agent: Flow("flows.inner-join", agent >> WORKS[0]))
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
    body = draw(st.lists(_items, max_size=2))
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
_good = st.one_of(
    st.just(Behaviour()),
    st.just(Behaviour("slow")),
    st.builds(Behaviour, st.just("flaky"), st.integers(1, 2), _halves),
)
_bad = st.builds(Behaviour, st.sampled_from(["broken", "exhausted"]), st.just(0), _halves)
_given_items = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("abc"), "n": st.integers(0, 9)}), max_size=4
)
_given = st.fixed_dictionaries(
    {"n": st.integers(0, 9), "note": st.sampled_from([None, "", "noted"]), "items": _given_items}
)


@st.composite
def scenarios(draw: st.DrawFn, depth: int = 3) -> Scenario:
    """Flows with all that belongs to a run of them."""
    led = draw(st.lists(works(depth - 1), max_size=2))
    step = _chained([*led, draw(endings(depth))])
    places = [place.path for place in Flow("flows.drawn", step, input=Work).places()]
    some_places = st.sets(st.sampled_from(places), min_size=1, max_size=3)
    broken = draw(st.one_of(some_places, some_places, st.just(set[str]())))
    behaviours = {place: draw(_bad if place in broken else _good) for place in places}
    failing = sorted(place for place, found in behaviours.items() if found.fails)
    some = draw(st.frozensets(st.sampled_from(failing))) if len(failing) > 1 else frozenset()
    mending = (*([some] if some else []), frozenset(failing))
    return Scenario(step, draw(_given), behaviours, mending)


def written(step: Step | None) -> str:
    """The flow as somebody would write it."""
    return "go_on" if step is None else " >> ".join(map(_written, parts(step)))


def _written(part: Step) -> str:
    shown = repr(part)
    match part:
        case Agent(name=name):
            shown = name.removeprefix("flows.")
        case Flow(step=inner):
            shown = f"Flow({written(inner)})"
        case Parallel(branches=branches):
            shown = f"parallel({', '.join(f'{name}={written(branch)}' for name, branch in branches)})"
        case Choice(cases=cases, otherwise=otherwise):
            asked = ", ".join(f"when({condition}, {written(inner)})" for condition, inner in cases)
            shown = f"choice({asked}, otherwise={written(otherwise)})"
        case Each(field=name, step=inner, into=into, limit=limit):
            shown = f"each({name!r}, {written(inner)}, into={into!r}, limit={limit})"
        case Repeat(step=inner, until=until, at_most=most):
            shown = f"repeat({written(inner)}, until={until}, at_most={most})"
        case Delay(wait=wait):
            shown = f"delay({wait})"
    return shown
