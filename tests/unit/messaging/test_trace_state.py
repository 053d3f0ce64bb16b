"""Trace state: what of a ``tracestate`` is valid, what of it fits, and that OpenTelemetry carries all of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import TraceState

from handoffs.coordinator.messaging.carried_state import CarriedState
from handoffs.coordinator.messaging.trace_context import span_context_of
from handoffs.coordinator.messaging.trace_state import (
    LONGEST_STATE,
    MOST_MEMBERS,
    fitting,
    is_member,
    members_of,
    written,
)

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
_START, _REST = "abcz019", "abcz019_-*/@"
_VALUE = "".join(chr(one) for one in range(0x20, 0x7F) if chr(one) not in ",=")

keys = st.builds(str.__add__, st.sampled_from(_START), st.text(_REST, max_size=3) | st.just("@" * 255))
old_keys = st.builds(str.__add__, st.sampled_from("abz"), st.text("az09_-*/", max_size=3))
"""Those of Level 1 that have no tenant."""
ends = st.sampled_from(_VALUE.strip())
values = st.builds(
    str.__add__, st.text(_VALUE, max_size=3) | st.integers(90, 255).map(lambda length: " " * length), ends
)
members = st.dictionaries(keys, values, max_size=9)
blanks = st.text(" \t", max_size=2)
broken = st.sampled_from(["foo", "=1", "foo=", "Foo=1", "_a=1", "@a=1", "a.b=1", "a =1", "a=b=c", "a=é", "a=\x7f", "a=\t1", f"{'a' * 257}=1", f"a={'1' * 257}"])  # fmt: skip


def test_values_begin_with_blanks_that_count() -> None:
    """Blanks before a value are its own; those after it are none of it."""
    assert members_of(["a=  1  ,b=2"]) == {"a": "  1", "b": "2"}


@given(members=members, data=st.data())
def test_several_headers_are_one_list(members: dict[str, str], data: st.DataObject) -> None:
    """Wherever a state is cut into headers, and whatever blanks and empty members are between, its members are found in their order."""
    headers = [""]
    for key, value in members.items():
        if data.draw(st.booleans(), "another header"):
            headers.append("")
        between = data.draw(st.sampled_from(["", ",", " ,\t,"]), "before") + data.draw(blanks, "blanks")
        headers[-1] += f"{',' if headers[-1] else ''}{between}{key}={value}{data.draw(blanks, 'after')}"
    found = members_of(headers)
    assert list(found.items()) == list(members.items())
    assert members_of([written(found)]) == found
    assert all(is_member(key, value) for key, value in found.items())


@given(members=members, data=st.data())
def test_the_first_of_a_key_stays(members: dict[str, str], data: st.DataObject) -> None:
    """Each system puts its newest member before the others: a later one of the same key is older."""
    if members:
        again = f"{data.draw(st.sampled_from(list(members)))}={data.draw(values)}"
        assert list(members_of([written(members), again]).items()) == list(members.items())


@given(members=members, one=broken, data=st.data())
def test_one_that_is_invalid_spoils_all(members: dict[str, str], one: str, data: st.DataObject) -> None:
    """Wherever it is."""
    parts = [f"{key}={value}" for key, value in members.items()]
    parts.insert(data.draw(st.integers(0, len(parts))), one)
    assert members_of([",".join(parts)]) == members_of(parts) == {}


@given(st.integers(0, 40), st.integers(1, 9))
def test_one_too_many_spoils_all(count: int, together: int) -> None:
    """32 members are allowed, in however many headers; empty ones are none."""
    parts = [f"k{number}={number}" for number in range(count)]
    found = members_of(",,".join(parts[at : at + together]) for at in range(0, count, together))
    assert written(found) == (",".join(parts) if count <= MOST_MEMBERS else "")


@given(members)
def test_what_fits(members: dict[str, str]) -> None:
    """A state that is too long keeps whole members, in their order, within 512 characters; no short one goes while a long one is there,
    none without need, and of short ones the last go first."""
    kept = fitting(members)
    gone = [key for key in members if key not in kept]
    sizes = {key: len(f"{key}={value}") for key, value in members.items()}
    assert len(written(kept)) <= LONGEST_STATE
    assert list(kept.items()) == [(key, value) for key, value in members.items() if key in kept]
    short = [key for key in gone if sizes[key] <= 128]
    if short:
        assert all(sizes[key] <= 128 for key in kept)
        assert short == [key for key in members if sizes[key] <= 128][-len(short) :]
    if gone:
        last = short[0] if short else next(key for key in gone if sizes[key] > 128)
        assert (
            len(written({key: members[key] for key in members if key in kept or key == last})) > LONGEST_STATE
        )


@given(
    members=st.dictionaries(old_keys, values, max_size=9),
    key=old_keys | st.just("No"),
    value=values | st.just("a,b"),
)
def test_it_is_one_of_opentelemetry(members: dict[str, str], key: str, value: str) -> None:
    """With members that OpenTelemetry's API knows, a carried state is and does what that API's own is and does."""
    ours, theirs = CarriedState(members), TraceState(list(members.items()))
    pairs: list[tuple[TraceState, TraceState]] = [
        (ours, theirs), (ours.add(key, value), theirs.add(key, value)), (ours.update(key, value), theirs.update(key, value)),
        (ours.delete(key), theirs.delete(key)), (CarriedState.read(theirs.to_header()), theirs),
    ]  # fmt: skip
    for one, other in pairs:
        assert one.to_header() == other.to_header()
        assert list(one.items()) == list(other.items())
        assert (list(one.keys()), list(one.values())) == (list(other.keys()), list(other.values()))
        assert (len(one), key in one, one.get(key)) == (len(other), key in other, other.get(key))
    assert ours.to_header() == written(members)


def test_a_full_state_takes_no_more() -> None:
    """One that is there can be changed, as in OpenTelemetry's own."""
    full = CarriedState({f"k{number}": "1" for number in range(MOST_MEMBERS)})
    assert full.update("more", "1") is full.add("more", "1") is full
    assert list(full.update("k7", "2").items())[:2] == [("k7", "2"), ("k0", "1")]


@given(members)
def test_a_span_of_the_sdk_carries_it(members: dict[str, str]) -> None:
    """Whatever keys it has: a span below it has the same state."""
    above = trace.set_span_in_context(trace.NonRecordingSpan(span_context_of(PARENT, written(members))))
    span = TracerProvider(shutdown_on_exit=False).get_tracer("tests").start_span("below", above)
    assert span.get_span_context().trace_state.to_header() == written(members)
