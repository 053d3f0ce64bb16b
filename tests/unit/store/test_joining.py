"""Joins at their edges: what they put together is measured before anything is recorded, and many parts are named in few words."""

from __future__ import annotations

from itertools import product

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts import strictjson
from handoffs.coordinator.continuation.moves import Join
from handoffs.coordinator.continuation.parts import numbers_of, parts_of
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.settlement import Advance, Settled, SettleVerdict
from handoffs.coordinator.store.store import Store
from tests.examples import examples
from tests.store_suite import make_settings

NEXT = (("2", "shop.next", "shop.all/1"),)
URI = "urn:contract:shop.{}:1"
A, B = (Join("1", ("a", "b"), branch) for branch in ("a", "b"))
PART = Record(URI.format("part"), strictjson.dumps({"text": "x" * 100}))


def new_store() -> Store:
    redis = FakeStrictRedis(server=FakeServer(server_type="redis", version=(7,)), decode_responses=True)
    return Store(redis, make_settings(shards=1))


@pytest.fixture
def store() -> Store:
    return new_store()


def arrive(
    store: Store,
    step: str,
    joins: tuple[Join, ...],
    record: Record,
    most: int = 0,
    *,
    ends: bool = False,
    body: int = 0,
) -> Settled:
    """Settle a step that arrives at joins."""
    place = StepRef("r", "f", step)
    claimed = store.claim(place, agent="shop.a", key=step, content="c", owner="w", replays=0)
    told = {"run": "r", "kind": "settled"}
    return store.settle(
        place, agent="shop.a", key=step, content="c", fence=claimed.fence, record=record, entry=told,
        onward=Advance(joins, () if ends else NEXT, most=most, body=body),
    )  # fmt: skip


def items(store: Store, schemas: list[str], most: int) -> Settled:
    """Settle the items of a list, of these versions; what came of the last."""
    settled = [
        arrive(store, f"1.i{number}.1", (Join("1", (), str(number), len(schemas), "lines"),), Record(schema, "{}"), most)
        for number, schema in enumerate(schemas)
    ]  # fmt: skip
    return settled[-1]


def named(text: str, counts: tuple[int, ...]) -> set[tuple[str, str]]:
    """What a text names, one by one: each path with its version; ``counts`` are the lengths of the lists, from the outside."""
    found: set[tuple[str, str]] = set()
    for path, schema in parts_of(text):
        left = list(counts)
        words = [
            [str(number) for number in numbers_of(word, left.pop(0))] if word[0].isdigit() else [word]
            for word in path
        ]
        for one in product(*words):
            assert (".".join(one), schema) not in found, "each is named once"
            found.add((".".join(one), schema))
    return found


@examples(40)
@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=40))
def test_few_words_name_what_many_do(names: list[str]) -> None:
    """However the versions are spread over the items, the short form names the same as the long one."""
    schemas = [URI.format(name) for name in names]
    whole = items(new_store(), schemas, most=0).joined
    short = items(new_store(), schemas, most=len(whole.data if whole else "") + len(names) * 20).joined
    assert whole is not None
    expected = {(f"lines.{number}", schema) for number, schema in enumerate(schemas)}
    assert named(whole.schema, (len(names),)) == expected
    if short is not None:
        assert named(short.schema, (len(names),)) == expected
        assert short.data == whole.data


@examples(20)
@given(
    st.lists(st.lists(st.sampled_from(["a", "b"]), min_size=3, max_size=3), min_size=2, max_size=6),
    st.booleans(),
)
def test_lists_in_lists(rows: list[list[str]], short: bool) -> None:
    """The same for the items of items, whose numbers are put together at both places."""
    store, outer = new_store(), len(rows)
    settled = None
    for row, names in enumerate(rows):
        for number, name in enumerate(names):
            joins = (Join(f"1.i{row}.1", (), str(number), 3, "inner"), Join("1", (), str(row), outer, "rows"))
            step = f"1.i{row}.1.i{number}.1"
            record = Record(URI.format(name), "{}")
            settled = arrive(store, step, joins, record, most=outer * 60 if short else 0)
    expected = {
        (f"rows.{row}.inner.{number}", URI.format(name))
        for row, names in enumerate(rows)
        for number, name in enumerate(names)
    }
    if settled is not None and settled.joined is not None:
        assert named(settled.joined.schema, (outer, 3)) == expected
    else:
        assert short


def test_many_items_of_one_version_are_one_word(store: Store) -> None:
    """Where the versions of many items would have no room, they are one word."""
    joined = items(store, [URI.format("x" * 100)] * 100, most=2_000).joined
    assert joined is not None
    assert joined.schema == f"lines.0-99={URI.format('x' * 100)}"


def test_measured_before_it_is_recorded(store: Store) -> None:
    """A part that makes its join too large leaves no trace: neither as an outcome, nor at the join; a smaller one completes it."""
    assert arrive(store, "1.a.1", (A,), PART, 200).waiting
    refused = arrive(store, "1.b.1", (B,), PART, 200)
    assert (refused.verdict, refused.octets) == (SettleVerdict.TOO_LARGE, 222)
    record = Runs(store.redis, make_settings(shards=1)).get("r")
    assert record is not None
    assert record.settled == ("1.a.1",)
    assert store.withdraw("shop.a", "1.b.1", _fence(store, "1.b.1"))
    small = arrive(store, "1.b.1", (B,), Record(URI.format("part"), "{}"), 200)
    assert small.joined is not None


@pytest.mark.parametrize(("most", "verdict"), [(222, SettleVerdict.SETTLED), (221, SettleVerdict.TOO_LARGE)])
def test_parts_are_measured_by_their_data(store: Store, most: int, verdict: SettleVerdict) -> None:
    """While others are missing it is the data of a join's parts that has to have room, to the octet, and not what is kept with it."""
    first, second = (Join("1", ("a", "b", "c"), branch) for branch in ("a", "b"))
    assert len(PART.data) == 111
    arrive(store, "1.a.1", (first,), PART, most)
    assert arrive(store, "1.b.1", (second,), PART, most).verdict is verdict


def test_what_it_takes_in_a_body(store: Store) -> None:
    """Quotes and backslashes take two octets in the body of a message: where that is what there is too little room for, they count."""
    plain, quoted = (Record(URI.format("part"), strictjson.dumps({"text": text * 50})) for text in ("x", '"'))
    for run, part, refused in (("plain", plain, False), ("quoted", quoted, True)):
        arrive(store, f"1.a.{run}", (Join(run, A.branches, "a"),), part, 1000, body=400)
        settled = arrive(store, f"1.b.{run}", (Join(run, B.branches, "b"),), part, 1000, body=400)
        assert (settled.verdict is SettleVerdict.TOO_LARGE) == refused


def test_where_the_run_ends_there_is_no_limit(store: Store) -> None:
    """What is sent to nobody has no limit."""
    arrive(store, "1.a.1", (A,), PART, ends=True)
    assert arrive(store, "1.b.1", (B,), PART, ends=True).joined is not None


def test_part_that_arrived_once_is_not_refused(store: Store) -> None:
    """What was accepted is found again, whatever the limit is by then."""
    arrive(store, "1.a.1", (A,), PART, 1000)
    arrive(store, "1.b.1", (B,), PART, 1000)
    place = StepRef("r", "f", "1.b.1")
    again = store.follow(place, record=PART, onward=Advance((B,), NEXT, most=10))
    assert again.joined is not None


def test_outcome_that_somebody_was_told_is_not_withdrawn(store: Store) -> None:
    """An outcome that another step has been given stands, whatever became of the step that made it."""
    arrive(store, "1.a.1", (A,), PART, 200)
    arrive(store, "1.b.1", (B,), PART, 200)
    other = StepRef("other", "f", "1")
    known = store.claim(other, agent="shop.a", key="1.b.1", content="c", owner="w", replays=0)
    assert known.record == PART
    assert not store.withdraw("shop.a", "1.b.1", known.fence)


def _fence(store: Store, key: str) -> int:
    return int(str(store.redis.hget(store.keys.outcome("shop.a", key), "fence")))
