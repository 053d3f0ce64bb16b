"""Properties: whatever the octets are, nothing raises, and nothing is handed on that the product may not go by."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from struct import pack
from typing import Any

import pytest
from amqp.basic_message import Message
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.messaging.properties import (
    DEEPEST,
    LAST_SECOND,
    MOST_HEADERS,
    read_properties,
    read_values,
    sent,
)
from tests.hostile.octets import item, nested, pairs, properties, table

NO_TEXT = [b"\xff", b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
TEXTS = ["content_type", "content_encoding", "correlation_id", "reply_to", "expiration", "message_id", "type", "user_id", "app_id", "cluster_id"]  # fmt: skip
LATE = pack(">Q", 253_402_300_800)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.integers(0, LAST_SECOND).map(lambda at: datetime.fromtimestamp(at, UTC).replace(tzinfo=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=20), values, max_size=8), st.text(max_size=30))
def test_what_the_library_writes_is_read(headers: dict[str, Any], name: str) -> None:
    """Every message that can be sent is read as it was sent."""
    message = Message(
        "", application_headers=headers, content_type="application/json", message_id=name, priority=3
    )
    read, fault = read_properties(message._serialize_properties())
    assert fault == ""
    assert read == {
        "content_type": "application/json", "application_headers": headers, "priority": 3, "message_id": name,
    }  # fmt: skip
    assert read_values(headers) == (headers, "")


@given(st.binary(max_size=400))
def test_noise_is_no_fault_of_the_reader(octets: bytes) -> None:
    """Whatever the octets are: nothing is raised, what is read is text and finite, and a fault is said where there is one."""
    for read, fault in (read_properties(octets), read_properties(properties(octets))):
        assert fault.isprintable()
        assert _is_sound(read)


@given(st.integers(0, 2**32))
def test_changed_octets_are_no_fault_of_the_reader(seed: int) -> None:
    """A message of the product's with some bits changed, or cut off anywhere, is read or refused, and nothing is raised."""
    random = Random(seed)
    octets = bytearray(
        properties(
            pairs({"task": "a.b", "retries": 0, "timelimit": [None, None], "stamps": {"a": 1.5}}), app_id=b"x"
        )
    )
    for _ in range(random.randint(0, 3)):
        octets[random.randrange(len(octets))] = random.randrange(256)
    read, _ = read_properties(bytes(octets[: random.randint(0, len(octets))]))
    assert _is_sound(read)


def _is_sound(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_sound(inner) for name, inner in value.items())
    if isinstance(value, list):
        return all(map(_is_sound, value))
    if isinstance(value, str):
        return bool(value.encode() or True)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | bytes | datetime | Decimal)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("octets", NO_TEXT)
def test_a_property_that_is_no_text_is_named(name: str, octets: bytes) -> None:
    """It is said which, and shown with escapes; the others are read."""
    others: dict[str, bytes | int] = {"delivery_mode": 2, name: octets}
    read, fault = read_properties(properties([(b"a", item(1))], **others))
    assert fault == f"its {name} is no text"
    assert read["application_headers"] == {"a": 1}
    assert read["delivery_mode"] == 2
    assert "\\x" in read[name]


HEADERS = {
    "name": ([(b"\xff", item(1))], "the name of a header is no text"),
    "value": ([(b"a", item(b"\xff"))], "a header is no text"),
    "inner": ([(b"a", item({"b": [b"\xff"]}))], "a header is no text"),
    "time": ([(b"a", b"T" + LATE)], "beyond the year 9999"),
    "not a number": ([(b"a", b"d" + pack(">d", math.nan))], "no finite number"),
    "infinite": ([(b"a", b"f" + pack(">f", math.inf))], "no finite number"),
    "twice": ([(b"a", item(1)), (b"a", item(2))], "twice"),
    "odd": ([(b"a", b"Z1234")], "type that AMQP does not know"),
    "deep": ([(b"a", nested(DEEPEST, item(1)))], "deep"),
    "very deep": ([(b"a", nested(9_000, item(1)))], "deep"),
    "deep arrays": ([(b"a", nested(9_000, item(1), arrays=True))], "deep"),
    "many": ([(b"h%d" % one, item(True)) for one in range(9_000)], "more than"),
    "long": ([(b"a", item([True] * 9_000))], "more than"),
    "cut": ([(b"a", b"S\xff\xff\xff\xff")], "cut off"),
    "table": ([(b"a", b"F\x00\x00\x00\x02\x09a")], "cut off|longer"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_nobody_should_read_are_refused(kind: str) -> None:
    """It is said what is wrong, and what stands before it is read."""
    more, wrong = HEADERS[kind]
    read, fault = read_properties(properties([(b"first", item("one")), *more]))
    assert fault
    assert any(part in fault for part in wrong.split("|"))
    assert read["application_headers"]["first"] == "one"


def test_the_limits_are_the_largest_that_pass() -> None:
    """As many headers, and as deep, as the limits say pass; one more does not."""
    most = [(b"h%d" % one, item(None)) for one in range(MOST_HEADERS)]
    for given_headers, passes in (
        (most, True),
        ([*most, (b"more", item(None))], False),
        ([(b"a", nested(DEEPEST - 1, item(1)))], True),
        ([(b"a", nested(DEEPEST, item(1)))], False),
    ):
        assert (read_properties(properties(given_headers))[1] == "") == passes


def test_what_the_broker_notes_is_not_the_senders_fault() -> None:
    """The broker repeats a routing key that is no text, and adds headers to the most there may be: the message is read as before."""
    death = (b"x-death", item([{"reason": "rejected", "routing-keys": [b"\xff\xfe"]}]))
    most = [(b"h%d" % one, item(None)) for one in range(MOST_HEADERS)]
    read, fault = read_properties(properties([death, *most]))
    assert fault == ""
    assert read["application_headers"]["x-death"][0]["routing-keys"] == ["\\xff\\xfe"]


@pytest.mark.parametrize("timestamp", [253_402_300_800, 2**64 - 1])
def test_a_timestamp_is_in_the_calendar(timestamp: int) -> None:
    """A time that no calendar has is refused as a property, too."""
    assert "timestamp" in read_properties(properties(timestamp=timestamp))[1]


@given(st.sampled_from(list(HEADERS)), st.integers(0, 50))
def test_what_was_sent_is_the_same_at_every_delivery(kind: str, count: int) -> None:
    """What the broker notes on a message does not change what was sent, also where that cannot be read."""
    own = [(b"first", item("one")), *HEADERS[kind][0]]
    notes = [(b"x-death", item([{"count": count}])), (b"x-delivery-count", item(count))]
    assert sent(properties([*notes, *own], app_id=b"a"))[-80:] == sent(properties(own, app_id=b"a"))[-80:]
    if kind not in {"odd", "cut", "table"}:
        assert sent(properties([*notes, *own])) == sent(properties([notes[1], *own]))


VALUES: dict[str, Any] = {
    "name": {b"\xff": 1},
    "number": {7: 1},
    "surrogate": {"a": "\ud800"},
    "surrogate name": {"\ud800": 1},
    "not a number": {"a": math.nan},
    "large": {"a": 2**64},
    "type": {"a": object},
    "many": {f"h{one}": 1 for one in range(9_000)},
    "no table": ["a"],
}
for _depth in (20, 5_000):
    _deep: Any = 1
    for _ in range(_depth):
        _deep = {"a": _deep}
    VALUES[f"deep {_depth}"] = _deep


@pytest.mark.parametrize("kind", VALUES)
def test_values_that_could_not_be_sent_are_refused(kind: str) -> None:
    """A broker in this process refuses the same of Python values."""
    read, fault = read_values(VALUES[kind])
    assert fault
    assert _is_sound(read)


def test_a_table_in_octets_has_its_length() -> None:
    """The builder of these tests writes what AMQP says."""
    assert table([(b"a", item(None))]) == b"\x00\x00\x00\x03\x01aV"
