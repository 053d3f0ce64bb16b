"""What is far off in a long sequence travels packed, and means what it means as it is."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import Flow
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.continuation import advance, canvas, schema
from handoffs.coordinator.continuation.canvas import AT_HAND, composed
from handoffs.coordinator.continuation.moves import Cursor, Go, Value
from handoffs.coordinator.continuation.packed import at_hand, packed
from handoffs.coordinator.continuation.signature import (
    JOIN,
    PACKED,
    Send,
    Sig,
    is_packed,
    placed,
    signature,
    tasks,
)
from tests.examples import examples
from tests.unit.continuation.plans import VALUE, Plan, Run, Thing, an_agent, flow_of, plans

URI = "urn:contract:test.thing:1"


def a_step(path: str, **more: Any) -> Sig:
    return signature("test.a", {"flow": "test.flow", "step": path, "accepts": URI, **more})


def a_chain(length: int) -> Flow:
    step = an_agent(Thing)
    for _ in range(length - 1):
        step = step >> an_agent(Thing)  # type: ignore[assignment]
    return Flow("test.flow", step)


def composed_with(flow: Flow, most: int) -> Sig:
    """The flow composed anew, so many steps being at hand."""
    with patch.object(canvas, "AT_HAND", most):
        return composed.__wrapped__(flow)


def unpacked(chain: Sequence[Sig]) -> list[Sig]:
    """All steps of a chain, in order."""
    left, found = list(reversed(chain)), []
    while left:
        *left, first = at_hand(left)
        found.append(first)
    return found


def of(steps: object, octets: int | None = None, **kwargs: Any) -> Sig:
    """Steps that somebody has packed."""
    text = json.dumps(steps).encode()
    number = len(text) if octets is None else octets
    inner = base64.b64encode(zlib.compress(text)).decode()
    return signature(PACKED, {"packed": f"{number}:{inner}", **kwargs})


STEPS = [a_step(f"{number}") for number in range(1, 41)]
_sigs = st.lists(
    st.sampled_from(
        [
            a_step("3"),
            a_step("4.i*.größe", turn="2@4.i*"),
            signature("coordinator.delay", {"step": "5", "ms": 7}),
            {
                **signature("celery.chain", {"tasks": [a_step("6.1"), *packed([a_step("6.2")], 1)]}),
                "subtask_type": "chain",
            },
        ]
    ),
    min_size=1,
    max_size=12,
)


@examples(100)
@given(steps=_sigs, most=st.integers(1, 5))
def test_what_is_packed_is_what_was_packed(steps: list[Sig], most: int) -> None:
    """Whatever steps, in parts of whatever size: one after the other they are what they were, in their order."""
    far = packed(steps, most)
    assert len(far) == 1
    assert far[0]["task"] == PACKED
    assert unpacked([a_step("1"), *far])[1:] == steps


@examples(100)
@given(plan=plans, most=st.sampled_from([1, 2, 3]), data=st.data())
def test_a_packed_flow_is_the_same_flow(plan: Plan, most: int, data: st.DataObject) -> None:
    """However little of it is at hand, a flow sends the same steps with the same arguments, joins the same and ends once; and all that
    it sends is of the schema."""
    flow = flow_of(plan)
    packed_flow = composed_with(flow, most)
    with patch("tests.unit.continuation.plans.composed", lambda _: packed_flow):
        run = Run(flow)
    plain = Run(flow)
    while run.waiting:
        number = data.draw(st.integers(0, len(run.waiting) - 1))
        send, other = run.waiting[number], plain.waiting[number]
        assert send.signature["kwargs"] == other.signature["kwargs"]
        assert not send.chain or not is_packed(send.chain[-1]), "what is next is at hand"
        rest = {"chain": send.chain, "chord": send.chord}
        schema.check(send.signature["kwargs"], json.loads(json.dumps(rest)))
        run.deliver(number, again=False)
        plain.deliver(number, again=False)
    assert not plain.waiting
    assert (run.done, run.joined, run.ends) == (plain.done, plain.joined, plain.ends)


def test_short_sequences_travel_as_they_are() -> None:
    """A sequence of up to twice as many steps as are at hand of a longer one has nothing packed in it."""
    for length in (2 * AT_HAND, 2 * AT_HAND + 1):
        members = tasks(composed(a_chain(length)))
        assert any(map(is_packed, members)) is (length > 2 * AT_HAND)
        assert [one["kwargs"]["step"] for one in unpacked(members)] == [str(n + 1) for n in range(length)]


def test_messages_of_a_thousand_steps_are_small() -> None:
    """No message of a flow of 1,000 steps has more signatures in it than of a short one, and most of them have far fewer octets."""
    run, sizes = Run(a_chain(1_000)), []
    while run.waiting:
        [send] = run.waiting
        assert len(send.chain) <= AT_HAND + 2
        sizes.append(len(json.dumps(send.chain)))
        run.deliver(0, again=False)
    assert len(sizes) == 1_000
    assert max(sizes) < 40_000
    assert sizes[-200] < 12_000


def test_the_join_of_a_branch_is_that_of_its_last_step() -> None:
    """What a branch goes to after its last step stands beside what is packed, and is the last step's once that is at hand."""
    join = signature(JOIN, {"join": "2", "branches": ["a"]})
    [far] = packed([a_step("2.a.2"), a_step("2.a.3")], 1)
    far = {**far, "options": {"chord": join}}
    [left, second] = at_hand([far])
    assert (second["options"], left["options"]) == ({}, {"chord": join})
    [third] = at_hand([left])
    assert third["options"] == {"chord": join}


def test_paths_of_what_runs_more_than_once_are_replaced_in_what_is_packed() -> None:
    """For each item and each round, in lists within lists too, and nowhere else than as it would be."""
    body = [a_step("4.i*.1"), a_step("4.i*.2.i*.1", turn="2@4.i*.2.i*")]
    [far] = packed(body, 2)
    chain = {**signature("celery.chain", {"tasks": [a_step("4.i*.0"), far]}), "subtask_type": "chain"}
    for template, path in (("4.i*", "4.i7"), ("4.i7.2.i*", "4.i7.2.i3")):
        chain = placed(chain, template, path)
    assert [(one["kwargs"]["step"], one["kwargs"].get("turn")) for one in unpacked(tasks(chain))] == [
        ("4.i7.0", None),
        ("4.i7.1", None),
        ("4.i7.2.i3.1", "2@4.i7.2.i3"),
    ]


def test_a_text_of_this_form_is_read_for_ever() -> None:
    """What this release has packed is read by those that come: the text is taken from a message, and never changed."""
    text = (
        "327:eJy1TksKwyAUvMssiwj9rN5VQihGTCoxKvokhJC7V1N6g3Y3M8yv28EqzyCwySwVBFSaMqjrBeb1g3eMLqxfz4kFMptYpYe0"
        "F3lrMa1N5OpGSZ508JyUZjoj/LJ+oisOgRDZBt9KK8llaOtP3qIB+eKcgF2WwmpwVRiVy+YQP7l4/+fF/g0GiW8+ 164:eJw1jdE"
        "KwyAUQ/8lj0OEQZ/8lVLGrdhOalW8V8oo/fdpx96ScJKMJ4R4g4E4Fk1QoLIyzDgpbMdPn1hCOv7MrRVYXG7RoP1DD71mrcvSaNQ"
        "SjU1RClkxd0XePq7miUshZfEp9tFmuM79/SWf7GBiDUHB73sVmkMLFgrsrukLZIY35w=="
    )
    far = signature(PACKED, {"packed": text, "placed": [["4.i*", "4.i7"]]})
    assert unpacked([a_step("1"), far])[1:] == [a_step("4.i7.2"), a_step("4.i7.3"), a_step("4.i7.4")]


@pytest.mark.parametrize("size", [70_000, 3_000_000])
def test_what_would_be_too_large_stays_as_it_is(size: int) -> None:
    """A step that holds very much, or a text that would be a thousand times as large as it is packed, is not packed."""
    fallback = {"constant": {"text": "x" * size}, "schema": URI}
    huge = signature(
        "coordinator.wait",
        {
            "step": "2",
            "flow": "f",
            "signal": "s",
            "schema": URI,
            "keep": None,
            "ms": 1,
            "otherwise": fallback,
        },
    )
    first, second, third = packed([a_step("1"), huge, a_step("3")], 2)
    assert (first["task"], second, third["task"]) == (PACKED, huge, PACKED)


def test_long_texts_are_several() -> None:
    """No text is longer than a message may have one."""
    steps = [a_step(f"{number}", turn=hashlib.sha512(b"%d" % number).hexdigest()) for number in range(900)]
    far = packed(steps, 5)
    assert len(far) > 1
    assert all(len(one["kwargs"]["packed"]) <= schema.LONGEST_PACKED for one in far)
    assert unpacked([a_step("1"), *far])[1:] == steps


# What nobody of ours has packed

BOMB = [a_step("2", turn="x" * 100_000)]
WITHIN = of([a_step("3")])
REFUSED = {
    "no text": signature(PACKED, {"packed": 7}),
    "nothing": signature(PACKED, {"packed": ""}),
    "no number": signature(PACKED, {"packed": of(STEPS)["kwargs"]["packed"].partition(":")[2]}),
    "no base64": signature(PACKED, {"packed": "20:eJy*"}),
    "not compressed": signature(PACKED, {"packed": "20:" + base64.b64encode(b"[1, 2, 3, 4, 5, 6]  ").decode()}),
    "cut": signature(PACKED, {"packed": of(STEPS)["kwargs"]["packed"][:-8]}),
    "more behind it": signature(PACKED, {"packed": "4:" + base64.b64encode(zlib.compress(b"[{}]") + b"x").decode()}),
    "more than it says": of(STEPS, octets=100),
    "less than it says": of(STEPS, octets=len(json.dumps(STEPS)) + 1),
    "fewer than none": of(STEPS, octets=-1),
    "a bomb": of(BOMB),
    "no list": of({"task": "test.a"}),
    "no steps": of([]),
    "no step": of([a_step("2"), 7]),
    "what Celery would do": of([{**a_step("2"), "options": {"link": []}}]),
    "a task of Celery's": of([{**a_step("2"), "task": "celery.map"}]),
    "a join in the wrong place": of([signature(JOIN, {"join": "2", "branches": ["a"]})]),
    "twice the same name": signature(
        PACKED, {"packed": "16:" + base64.b64encode(zlib.compress(b'[{"a":1,"a":1}]\n')).decode()}
    ),
    "packed first": of([WITHIN], octets=len(json.dumps([WITHIN])) + len(json.dumps([a_step("3")]))),
    "packed within, not counted": of([a_step("2"), WITHIN]),
    "packed within, counted off": of(
        [a_step("2"), WITHIN, signature(PACKED, {"packed": f"-{len(json.dumps([a_step('3')]))}:x"})]
    ),
    "a chain of its own": {**of(STEPS), "options": {"chain": []}},
    "arguments of its own": {**of(STEPS), "args": [1]},
    "members of its own": of(STEPS, x=1),
    "paths that are none": of(STEPS, placed=[["4.i*", "\n"]]),
    "paths that become none": of([a_step("4.i*.1")], placed=[["4.i*", "x" * 999]]),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_nobody_has_packed_is_refused(what: str) -> None:
    """Text that cannot be read, that is larger or smaller than it says, or holds what no flow is composed of: none of it goes on,
    whether it is next or the one after that, and the error is that of a malformed continuation."""
    for follow in (lambda: at_hand([REFUSED[what]]), lambda: advance.checked(Cursor("1", [REFUSED[what], a_step("2")], None))):  # fmt: skip
        with pytest.raises(InvalidData, match="the continuation of the message is malformed"):
            follow()


def test_what_is_packed_stands_in_chains_only() -> None:
    """It is no step by itself: no body, no branch, no case, no join, and never the first of a chain."""
    far = of(STEPS)
    chain = {**signature("celery.chain", {"tasks": [far, a_step("2")]}), "subtask_type": "chain"}
    branch = {
        **signature(
            "celery.chord", {"header": [far], "body": signature(JOIN, {"join": "2", "branches": ["a"]})}
        ),
        "subtask_type": "chord",
    }
    kwargs = {"flow": "test.flow", "step": "1", "accepts": URI}
    for wrong in ({"chain": [chain]}, {"chain": [branch]}, {"chord": far}):
        with pytest.raises(InvalidData):
            schema.check(kwargs, wrong)
    schema.check(kwargs, {"chain": [far, a_step("2")], "chord": None})


def test_what_is_packed_says_nothing_of_where_it_goes() -> None:
    """A join that its last step names is not taken: the one that stands beside it, which was checked before, is."""
    own = signature(JOIN, {"join": "9", "branches": ["z"]})
    join = signature(JOIN, {"join": "2", "branches": ["a"]})
    last = {**a_step("2.a.2"), "options": {"chord": own}}
    [step] = at_hand([{**of([last]), "options": {"chord": join}}])
    assert step["options"]["chord"] == join


def test_what_is_asked_at_once_is_asked_through_what_is_packed() -> None:
    """Events one after the other, most of them packed, are all emitted; the step behind them is the next."""
    emits = [
        signature("coordinator.emit", {"step": f"{n}", "flow": "test.flow", "schema": URI})
        for n in range(2, 30)
    ]
    chain = list(reversed([*emits[:1], *packed([*emits[1:], a_step("30")], 4)]))
    moves = advance.after(Cursor("1", chain, None), Value(URI, {}))
    assert [move.send.step for move in moves if isinstance(move, Go)] == [
        *(f"{n}!" for n in range(2, 30)),
        "30",
    ]
    assert isinstance(moves[-1], Go)
    assert moves[-1].send == Send(a_step("30"), [])
    assert VALUE.schema == URI
