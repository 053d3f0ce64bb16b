"""Data reference: it names one content of one run, and what is brought in its place is as if it had never been elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts import strictjson
from handoffs.contracts.dataref import DataRef, is_by_reference, lightened, named_in
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import DataMissing, InvalidEnvelope, TooLarge
from handoffs.contracts.strictjson import DEFAULT_LIMITS, Limits

RUN = "6f9a3b0e-5d0b-5a37-9a54-3b0f6e0a1c42"
AROUND: dict[str, Any] = {
    "specversion": "1.0", "id": "m", "source": "/agents/a", "type": "t.t", "dataschema": "urn:contract:t.t:1",
    "time": "2026-01-01T00:00:00Z", "correlationid": RUN, "idempotencykey": "k",
    "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def envelope(data: Any = None, **others: Any) -> str:
    given = {**AROUND, **others}
    return json.dumps(given if data is None else {**given, "data": data})


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), JSON, max_size=5))
def test_what_is_brought_is_what_was_taken_out(data: dict[str, Any]) -> None:
    """Whatever the data is: the envelope is the same as if it had never been elsewhere, and the reference says its size and digest."""
    text = envelope(data)
    light = lightened(text, 0, DEFAULT_LIMITS)
    assert light is not None
    assert is_by_reference(light.envelope)
    assert named_in(light.envelope, DEFAULT_LIMITS) == light.ref.name
    assert light.ref == DataRef(RUN, strictjson.digest(data), len(light.data.encode()))
    brought = Envelope.decode(light.envelope, fetch=lambda ref, _: {light.ref: json.loads(light.data)}[ref])
    assert brought == Envelope.decode(text)


def test_small_data_stays() -> None:
    """What has no more octets than the threshold stays in the message; what has one more does not."""
    data = {"a": "ü" * 100}
    size = len(strictjson.dumps(data).encode())
    assert lightened(envelope(data), size, DEFAULT_LIMITS) is None
    assert lightened(envelope(data), size - 1, DEFAULT_LIMITS) is not None


@pytest.mark.parametrize("run", ["", ".", "..", "../x", "a/b", "a b", "ü", "-", "x" * 121, "a\n"])
def test_a_run_that_means_something_in_a_path_keeps_its_data(run: str) -> None:
    """The data of a run that somebody named otherwise than we do stays in its messages."""
    assert lightened(envelope({"a": 1}, correlationid=run), 0, DEFAULT_LIMITS) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":1,"a":2}', "null", json.dumps({"data": {}})])
def test_what_is_no_envelope_stays_as_it_is(text: str) -> None:
    """Whoever reads it says what is wrong with it."""
    assert lightened(text, 0, DEFAULT_LIMITS) is None


DIGEST = strictjson.digest({})


@pytest.mark.parametrize(
    "given",
    [
        {"dataref": f"other/{DIGEST}", "datarefsize": 2, "datarefdigest": DIGEST},
        {"dataref": f"{RUN}/{DIGEST}", "datarefsize": 2, "datarefdigest": "0" * 64},
        {"dataref": f"{RUN}/{DIGEST}", "datarefsize": -1, "datarefdigest": DIGEST},
        {"dataref": f"{RUN}/{DIGEST}", "datarefsize": True, "datarefdigest": DIGEST},
        {"dataref": f"{RUN}/{DIGEST}", "datarefsize": "2", "datarefdigest": DIGEST},
        {"dataref": f"{RUN}/{DIGEST}"},
        {"dataref": f"{RUN}/..", "datarefsize": 2, "datarefdigest": ".."},
        {"dataref": "../../etc/passwd", "datarefsize": 2, "datarefdigest": DIGEST},
        {"dataref": None},
    ],
)
def test_any_other_reference_is_refused(given: dict[str, Any]) -> None:
    """Nothing is fetched for a reference that names another run, another content or a place."""
    with pytest.raises(InvalidEnvelope, match="no reference of ours"):
        Envelope.decode(envelope(**given), fetch=lambda *_: pytest.fail("it was fetched"))


def test_nothing_is_read_as_empty() -> None:
    """Who knows of no place reads no envelope whose data is elsewhere."""
    light = lightened(envelope({"a": 1}), 0, DEFAULT_LIMITS)
    assert light is not None
    with pytest.raises(DataMissing, match="COORDINATOR_PAYLOADS__URL"):
        Envelope.decode(light.envelope)


def test_a_bare_envelope_says_what_its_data_is() -> None:
    """It is read for what is around its data, which it names by the digest."""
    light = lightened(envelope({"a": 1}), 0, DEFAULT_LIMITS)
    assert light is not None
    bare = Envelope.bare(light.envelope)
    assert (bare.data, bare.original_digest) == ({}, light.ref.digest)
    assert Envelope.bare(envelope({"a": 1})) == Envelope.decode(envelope({"a": 1}))


def test_data_that_is_there_is_read_as_it_came() -> None:
    """Where an envelope has both, as CloudEvents allows, nothing is fetched."""
    both = envelope({"a": 1}, dataref="https://elsewhere/x")
    assert Envelope.decode(both).data == {"a": 1}
    assert lightened(both, 0, DEFAULT_LIMITS) is None


def test_what_would_be_too_large_is_not_fetched() -> None:
    """The limit is on the envelope with its data, wherever that is."""
    light = lightened(envelope({"a": "x" * 2_000}), 0, DEFAULT_LIMITS)
    assert light is not None
    with pytest.raises(TooLarge):
        Envelope.decode(light.envelope, Limits(octets=2_000), lambda *_: pytest.fail("it was fetched"))
