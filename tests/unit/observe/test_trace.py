"""Traces: the tree of a story, from histories of every kind, and as it is drawn."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from handoffs.contracts.envelope import message_id
from handoffs.contracts.text import is_plain
from handoffs.coordinator.continuation.path import hearing
from handoffs.coordinator.observe.chronicle import chronicle
from handoffs.coordinator.observe.trace import Trace
from handoffs.coordinator.observe.tracing import TraceFacts, traced
from handoffs.coordinator.render.trace_tree import TIMES, trace_summary, trace_tree
from tests.examples import examples
from tests.unit.observe.written_history import RUN, WrittenHistory, named, only, trace_of


def drawn(trace: Trace, width: int = 100, *, everything: bool = False) -> list[str]:
    return [line.plain for line in trace_tree(trace, width, {}, everything=everything)]


def a_story(parts: int = 3) -> WrittenHistory:
    """A story that is filed, ordered in parts and set; the parts are gathered and printed."""
    told = WrittenHistory()
    [*orders] = told.hears(
        "desk", told.emitted("news.filed/1", "desk"), *[("news.ordered/1", ["setter"])] * parts
    )
    sets = [
        told.hears("setter", order, ("news.set/1", ["press"]), took_ms=4.0, input={"n": n})
        for n, order in enumerate(orders)
    ]
    for number, [place] in enumerate(sets):
        told.hears(
            "press",
            place,
            kind="gathered",
            into="press@+0123456789abcdef",
            input={"n": number, "parts": parts},
        )
    told.entry("settled", "press@+0123456789abcdef", agent="press", attempt=2, took_ms=7.5)
    return told


def test_a_story_is_a_tree() -> None:
    """Who emitted what and who heard it hang together; a set hangs on the part that came last."""
    assert drawn(trace_of(a_story(2)))[1:] == [
        "story on:news.filed                                                                      +0",
        RUN,
        "└ news.filed/1                                                                           +0",
        "  └ desk                                                 settled                        +10",
        "    ├ news.ordered/1                                                                    +10",
        "    │ └ setter  n=0                                      settled                        +16      4.0",
        "    │   └ news.set/1                                                                    +20",
        "    │     └ press  n=0 parts=2                           gathered                       +40",
        "    └ news.ordered/1                                                                    +10",
        "      └ setter  n=1                                      settled                        +26      4.0",
        "        └ news.set/1                                                                    +30",
        "          └ press  n=1 parts=2                           gathered                       +50",
        "            └ press has a set                            settled, 2 attempts            +52      7.5",
        "                2 events have come",
    ]


def test_many_are_one_line() -> None:
    """A long fan-out is counted by agent and state; what waits has a line of its own, and the same reason is said once."""
    told = a_story(40)
    lost = [entry for entry in told.entries if entry.get("agent") == "setter"][:12]
    for number, entry in enumerate(lost):
        entry.update(kind="parked", error="error: Jam: the press is jammed")
        if number > 9:
            entry.update(kind="retried")
    lost[9].update(kind="parked", error="error: Jam: the press is jammed", input={"n": "last"})
    lost[0].update(kind="retried", input={"n": "first"})
    lines = drawn(trace_of(told))
    assert "parked" in next(line for line in lines if "n=" in line)  # those that wait for a person come first
    assert not any('n="first"' in line for line in lines)
    assert f"      └ setter {TIMES} 40" in lines[6]
    assert "28 settled, 3 open" in "".join(lines[6:8])
    assert sum("n=" in line for line in lines) == 8
    assert sum("is jammed" in line for line in lines) == 1
    assert any("… and 4 more" in line for line in lines)
    assert len(lines) < 25
    assert len(drawn(trace_of(told), everything=True)) > 120


@pytest.mark.parametrize(
    ("kinds", "state", "notes"),
    [
        (["settled"], "settled", ()),
        (["retried", "retried", "settled"], "settled", ("retried 2 times",)),
        (["retried"], "open", ("retried",)),
        (["waits", "waits", "settled"], "settled", ("waits 2 times",)),
        (["parked"], "parked", ()),
        (["parked", "replayed"], "open", ("replayed by ada",)),
        (["parked", "replayed", "parked"], "parked", ("replayed by ada",)),
        (["parked", "replayed", "settled"], "settled", ("replayed by ada",)),
        (["settled", "late"], "settled", ("late",)),
        (["deduplicated"], "deduplicated", ()),
        (["parked", "skipped"], "skipped", ("skipped by ada",)),
        (["nonsense"], "open", ()),
    ],
)
def test_what_became_of_it(kinds: list[str], state: str, notes: tuple[str, ...]) -> None:
    """The last outcome counts; what happened besides is noted."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1", "desk")
    for kind in kinds:
        told.hears("desk", place, kind=kind, by="ada" if kind in {"replayed", "skipped"} else "")
    node = only(trace_of(told), "desk")
    assert (node.state, node.notes) == (state, notes)


def test_what_came_late_emitted_nothing() -> None:
    """The events of an outcome that came late were not sent: they are not in the tree."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1", "desk")
    told.hears("desk", place, ("news.ordered/1", ["setter"]))
    told.hears("desk", place, ("news.other/1", ["setter"]), ("news.other/1", ["setter"]), kind="late")
    trace = trace_of(told)
    assert len(named(trace, "news.ordered/1")) == 1
    assert named(trace, "news.other/1") == []


def test_who_has_not_heard_it_yet() -> None:
    """An agent of which nothing is told: open where its step is outstanding, otherwise it did not want the event."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1", "desk", "ear")
    waits = {hearing("desk", place): "desk"}
    trace = trace_of(told, waits)
    assert (only(trace, "desk").state, only(trace, "ear").state) == ("open", "passed over")
    assert only(trace_of(told), "ear").state == "unknown"
    fresh = TraceFacts(fresh={message_id(RUN, place)})
    assert only(trace_of(told, waits, fresh), "ear").state == "open"
    told.entry("cancelled")
    assert only(trace_of(told, {}), "ear").state == "cancelled"


def test_an_event_of_a_step_that_is_no_agent() -> None:
    """The same holds where who hears it cannot be told by the event's place: a flow's own step emitted it."""
    told = WrittenHistory(flow="shop.order")
    event = {"contract": "shop.paid/1", "id": message_id(RUN, "2!"), "heard": ["till", "ear"]}
    told.entry("settled", "1", agent="shop.pay", emitted=[event])
    trace = trace_of(told, {hearing("till", "2!"): "till"})
    assert (only(trace, "till").state, only(trace, "ear").state) == ("open", "passed over")
    assert only(trace, "till").step == hearing("till", "2!")
    event["id"] = "made otherwise"  # then it is the only one that can be meant
    trace = trace_of(told, {hearing("till", "7!"): "till"})
    assert (only(trace, "till").state, only(trace, "till").step) == ("open", hearing("till", "7!"))
    assert trace.nodes[0].kind == "run"
    assert only(trace, "shop.pay").kind == "step"


def test_one_of_several_events() -> None:
    """Two steps of a flow emit for the same agent: each event has the hearing that is its own."""
    told = WrittenHistory(flow="shop.order")
    for number in (1, 3):
        emitted = [
            {"contract": f"shop.paid/{number}", "id": message_id(RUN, f"{number + 1}!"), "heard": ["till"]}
        ]
        told.entry("settled", f"{number}", agent="shop.pay", emitted=emitted)
    told.entry("parked", hearing("till", "4!"), agent="till", error="error: Jam: no")
    trace = trace_of(told, {hearing("till", "4!"): "till"})
    states = {trace.nodes[node.parent or 0].name: node.state for node in named(trace, "till")}
    assert states == {"shop.paid/1": "passed over", "shop.paid/3": "parked"}


def test_an_event_that_nobody_tells_of() -> None:
    """Where only those who heard an event tell of it, it hangs on the run; so does who has still to hear one."""
    told = WrittenHistory(flow="shop.order")
    told.entry("started", wrote="shop.order-placed/1")
    told.hears("till", "3!", read="shop.paid/2")
    trace = trace_of(told, {hearing("ear", "3!"): "ear", hearing("ear", "9!"): "ear", "4": "shop.ship"})
    assert only(trace, "shop.paid/2").parent == 0
    assert trace.nodes[only(trace, "till").parent or 0].name == "shop.paid/2"
    assert [node.state for node in named(trace, "ear")] == ["open", "open"]
    assert len({node.parent for node in named(trace, "ear")}) == 2
    assert (only(trace, "shop.ship").state, only(trace, "shop.ship").kind) == ("open", "step")


def test_nobody_hears_it() -> None:
    """An event without subscribers is unheard, and so is one that lies among the unheard ones."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1")
    assert only(trace_of(told), "news.filed/1").state == "unheard"
    other = WrittenHistory()
    other.emitted("news.filed/1", "desk")
    known = TraceFacts(unheard=frozenset({message_id(RUN, place)}))
    assert only(trace_of(other, {}, known), "news.filed/1").state == "unheard"
    assert trace_of(told).counts == {"events": 1, "unheard": 1}


def test_a_set_says_how_many_have_come() -> None:
    """A set that is not whole is open, with how many it has, and how many it waits for where its agent is loaded."""
    told = a_story(3)
    told.entries.pop()
    told.entries.pop()
    known = TraceFacts(expects={"press": "parts"})
    trace = trace_of(told, {"press@+0123456789abcdef": "press"}, known)
    [node] = [node for node in trace.nodes if node.kind == "set"]
    assert (node.state, node.size, node.expected) == ("open", 2, 3)
    assert any("2 of 3 events have come" in line for line in drawn(trace))
    assert [one.state for one in named(trace, "press") if one.kind == "hearing"][2] == "passed over"


def test_older_builds_tell_less() -> None:
    """Without the event that it hears, a parked step is found by what its name ends with; without anything, it is still
    shown."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1", "desk")
    told.entry("parked", hearing("desk", place), agent="desk", error="error: Jam: no")
    told.entry("parked", hearing("ear", "nowhere"), agent="ear", error="error: Jam: no")
    trace = trace_of(told)
    assert trace.nodes[only(trace, "desk").parent or 0].name == "news.filed/1"
    assert only(trace, "ear").reason == "error: Jam: no"
    assert all(cell_len(line) <= 100 for line in drawn(trace))


@pytest.mark.parametrize("kind", ["triggered", "began"])
def test_runs_that_events_began(kind: str) -> None:
    """A run that an event began hangs on that event, with its own steps and events; one that cannot be read is named. It is
    read as well from histories that were written when the entry was called ``began``."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1", "desk")
    for run in ("run-2", "run-3"):
        told.entry(kind, event=message_id(RUN, place), **{kind: run})
    flow = WrittenHistory("run-2", "news.check")
    flow.entry("started", story=RUN, event=message_id(RUN, place))
    flow.entry("settled", "1", agent="news.checker", emitted=[flow.event("1", 0, "news.checked/1", [])])
    flow.entry(kind, event=message_id("run-2", "1!0"), **{kind: RUN})
    runs = {one.run: chronicle(one.run, one.entries) for one in (told, flow)}
    trace = traced("run-2", RUN, runs, TraceFacts(statuses={"run-2": "completed"}))
    check = only(trace, "news.check")
    assert (check.kind, check.state, trace.nodes[check.parent or 0].name) == (
        "run",
        "completed",
        "news.filed/1",
    )
    assert trace.nodes[only(trace, "news.checker").parent or 0] == check
    assert only(trace, "news.checked/1").state == "emitted"  # it began a run: the story, which is there once
    assert [node.run for node in trace.nodes if node.kind in {"run", "story"}] == [RUN, "run-2", "run-3"]


def test_events_that_go_round_end() -> None:
    """Agents that call each other in a circle make a long story; a history that goes in a circle ends where it began."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1", "desk")
    for number in range(300):
        [place] = told.hears(("desk", "ear")[number % 2], place, ("news.filed/1", ["ear", "desk"]))
    trace = trace_of(told, {})
    assert max(map(cell_len, drawn(trace))) <= 100
    assert len(drawn(trace)) < 60
    assert len(drawn(trace, everything=True)) > 600
    assert max(map(cell_len, drawn(trace, everything=True))) <= 100
    [first] = told.entries[0]["emitted"]
    told.entries[1]["emitted"] = [first]
    assert len(named(trace_of(told), "news.filed/1")) >= 1


def test_what_is_deep_down_is_told_by_name() -> None:
    """Where a story is too deep to be drawn, what waits further down has a line all the same."""
    told = WrittenHistory()
    place = told.emitted("news.filed/1", "desk")
    for _ in range(60):
        [place] = told.hears("desk", place, ("news.filed/1", ["desk"]))
    told.hears("desk", place, kind="parked", error="error: Jam: deep down")
    lines = drawn(trace_of(told, {}))
    assert any("further down" in line for line in lines)
    assert any("deep down" in line for line in lines)


def test_a_long_story_takes_no_time() -> None:
    """Twenty thousand entries are a tree and a few lines within seconds of computing."""
    told = WrittenHistory()
    orders = told.hears(
        "desk", told.emitted("news.filed/1", "desk"), *[("news.ordered/1", ["setter"])] * 20_000
    )
    for order in orders:
        told.hears("setter", order)
    began = time.process_time()
    lines = drawn(trace_of(told, {}))
    assert time.process_time() - began < 6
    assert len(lines) < 10


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(0.04, "0.0"), (99_999.4, "99999.4"), (123_456.0, "123s"), (9e7, "90000s"), (9e8, "10d"), (1e12, "11574d"), (-1.0, ""), (1e300, "")],
)  # fmt: skip
def test_long_and_odd_times(ms: float, shown: str) -> None:
    """What took long is told in seconds or days, and what cannot be is not told."""
    told = WrittenHistory()
    told.hears("desk", told.emitted("news.filed/1", "desk"), took_ms=ms)
    line = next(line for line in drawn(trace_of(told)) if "desk" in line)
    assert line[91:].strip() == shown
    assert len(line) <= 100


def test_hostile_names() -> None:
    """Whatever names and reasons are, a terminal gets no control characters and no line that is too long."""
    bad = "\x1b[31m\u202e" + "x" * 300
    told = WrittenHistory(run=bad, flow=bad)
    place = told.emitted(bad, bad)
    told.hears(bad, place, kind="parked", error=bad, input={bad: bad, "n": bad}, by=bad)
    told.hears("b", place, kind="settled", input={"\x1b": 1}, wrote=bad)
    trace = trace_of(told)
    for width in (60, 100):
        lines = drawn(trace, width)
        assert [line for line in lines if not is_plain(line) or cell_len(line) > width] == []
    json.dumps(trace.to_json())


def test_for_programs() -> None:
    """As JSON it is a list, in which each node comes after its parent."""
    made = trace_of(a_story(2)).to_json()
    assert made["counts"] == {"events": 5, "gathered": 2, "settled": 4}
    assert all(node["parent"] is None or node["parent"] < node["node"] for node in made["nodes"])
    assert made["nodes"][0]["kind"] == "story"
    assert trace_summary(trace_of(a_story(2))) == "5 events, 2 gathered, 4 settled"


_STEPS = st.sampled_from(["", "1", "2.a.1", "a@x", "a@+x", hearing("a", "!0"), "@", "a@"])
_IDS = st.sampled_from(["e", message_id(RUN, "!0"), message_id(RUN, f"{hearing('a', '!0')}!0"), "", "r"])
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
_EVENTS = st.lists(
    st.fixed_dictionaries({}, optional={"id": _IDS | _ANY, "contract": st.just("c/1") | _ANY, "heard": st.just(["a"]) | _ANY}) | _ANY,
    max_size=3,
)  # fmt: skip
_KINDS = [
    "settled",
    "parked",
    "emitted",
    "gathered",
    "triggered",
    "began",
    "late",
    "replayed",
    "retried",
    "waits",
    "cancelled",
    "started",
]
_ENTRY = st.fixed_dictionaries(
    {"kind": st.sampled_from(_KINDS) | _ANY},
    optional={
        "step": _STEPS | _ANY, "event": _IDS | _ANY, "emitted": _EVENTS | _ANY, "into": _STEPS | _ANY, "agent": _ANY,
        "at": st.just("2026-01-05T10:00:00+00:00") | st.just("2026-01-05T10:00:00") | _ANY, "took_ms": _ANY,
        "attempt": _ANY, "wait_ms": _ANY | st.just(22_000), "input": _ANY, "error": _ANY, "began": st.just("r2") | _ANY,
        "triggered": st.just("r2") | _ANY, "flow": st.just("on:c") | _ANY,
    },
)  # fmt: skip


@examples(150)
@given(
    entries=st.lists(_ENTRY, max_size=8),
    outstanding=st.none() | st.dictionaries(_STEPS, st.just("a"), max_size=4),
)
def test_any_history_ends(entries: list[dict[str, Any]], outstanding: dict[str, str] | None) -> None:
    """Whatever a history says, there is a trace of it, each step is in it at most once, and it can be drawn."""
    runs = {RUN: chronicle(RUN, entries, outstanding), "r2": chronicle("r2", entries, outstanding)}
    trace = traced(RUN, RUN, runs)
    done = [
        (node.run, node.step) for node in trace.nodes if node.kind in {"step", "hearing", "set"} and node.step
    ]
    assert len(done) == len(set(done))
    assert all(cell_len(line) <= 100 for line in drawn(trace))
    drawn(trace, everything=True)
    json.dumps(trace.to_json())
