"""The envelope: CloudEvents 1.0 in structured JSON, on the wire exactly and in Python by its own names."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from handoffs import ContractRef, Envelope
from handoffs.contracts.envelope import message_id, run_id, trace_parent
from handoffs.contracts.errors import InvalidEnvelope, InvalidInput, InvalidJson
from handoffs.contracts.strictjson import Limits

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WIRE = {
    "specversion": "1.0",
    "id": "m-1",
    "source": "/agents/test.one",
    "type": "test.order",
    "dataschema": "urn:contract:test.order:2",
    "datacontenttype": "application/json",
    "subject": "o-1",
    "time": "2026-01-02T03:04:05Z",
    "correlationid": "run-1",
    "causationid": "m-0",
    "idempotencykey": "o-1",
    "expirytime": "2026-01-02T04:04:05Z",
    "traceparent": TRACE,
    "tracestate": "a=b",
    "joinschemas": "a=urn:contract:test.part:1",
    "data": {"order": "o-1"},
}
OPTIONAL = {
    "subject",
    "causationid",
    "expirytime",
    "tracestate",
    "joinschemas",
    "specversion",
    "datacontenttype",
}

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
attributes = st.fixed_dictionaries(
    {
        "id": words,
        "source": words,
        "data_schema": st.integers(1, 99).map(lambda version: ContractRef("test.order", version).uri),
        "time": moments,
        "correlation_id": words,
        "idempotency_key": words,
        "data": st.dictionaries(words, st.none() | st.booleans() | st.integers() | words | st.lists(words)),
    },
    optional={
        "subject": words,
        "causation_id": words,
        "expiry_time": moments,
        "trace_state": words,
        "join_schemas": words,
    },
)


def _written(values: dict[str, Any]) -> Envelope:
    return Envelope(type="test.order", trace_parent=TRACE, **values)


envelopes = attributes.map(_written)


def envelope(**values: Any) -> Envelope:
    return Envelope.decode(json.dumps({**WIRE, **values}))


@given(envelopes)
def test_round_trip(sent: Envelope) -> None:
    """What is written is read back equal, from text and from bytes."""
    assert Envelope.decode(sent.encode()) == sent
    assert Envelope.decode(sent.encode().encode()) == sent


def test_names_on_the_wire() -> None:
    """The attributes on the wire are CloudEvents' names exactly; those without a value are left out."""
    read = envelope()
    assert json.loads(read.encode()) == WIRE
    bare = Envelope.decode(json.dumps({name: value for name, value in WIRE.items() if name not in OPTIONAL}))
    assert json.loads(bare.encode()).keys() == WIRE.keys() - OPTIONAL | {"specversion", "datacontenttype"}
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in json.loads(read.encode()))


def test_names_in_python() -> None:
    """In Python the attributes are words."""
    read = envelope()
    assert (read.correlation_id, read.causation_id, read.idempotency_key) == ("run-1", "m-0", "o-1")
    assert read.contract == ContractRef("test.order", 2)
    assert read.time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@given(envelopes)
def test_cloudevents_reads_ours(sent: Envelope) -> None:
    """The cloudevents package reads what we write."""
    event = JSONFormat().read(CloudEvent, sent.encode())
    assert (event.get_id(), event.get_source(), event.get_type()) == (sent.id, sent.source, sent.type)
    assert (event.get_subject(), event.get_time(), event.get_dataschema()) == (
        sent.subject,
        sent.time,
        sent.data_schema,
    )
    assert event.get_data() == sent.data
    assert event.get_extension("correlationid") == sent.correlation_id
    assert event.get_extension("idempotencykey") == sent.idempotency_key


def test_we_read_cloudevents() -> None:
    """What the cloudevents package writes, we read."""
    attributes = {name: value for name, value in WIRE.items() if name != "data"}
    moments = {name: datetime.fromisoformat(str(attributes[name])) for name in ("time", "expirytime")}
    event = CloudEvent({**attributes, "time": moments["time"]}, WIRE["data"])  # type: ignore[arg-type]
    assert Envelope.decode(JSONFormat().write(event)) == envelope()


@pytest.mark.parametrize("name", sorted(WIRE.keys() - OPTIONAL))
def test_missing_attribute(name: str) -> None:
    """A message without a required attribute is no envelope, and the error names it."""
    with pytest.raises(InvalidEnvelope, match=f"{name}: Field required"):
        Envelope.decode(json.dumps({other: value for other, value in WIRE.items() if other != name}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"), ("specversion", 1.0), ("id", ""), ("id", 7), ("id", "x" * 201), ("source", ""),
        ("type", ""), ("dataschema", "https://example.com/schema"), ("dataschema", "urn:contract:test.order:0"),
        ("datacontenttype", "text/plain"), ("subject", ""), ("time", "yesterday"), ("time", "2026-01-02T03:04:05"),
        ("time", 1767323045), ("correlationid", ""), ("idempotencykey", ""), ("idempotencykey", "x" * 301),
        ("expirytime", "2026-01-02"), ("traceparent", "00-1-2-3"), ("traceparent", TRACE + "\n"), ("traceparent", TRACE.upper()),
        ("tracestate", "x" * 513), ("data", []), ("data", "text"), ("data", None), ("type", "test.other"),
    ],
)  # fmt: skip
def test_malformed_attribute(name: str, value: Any) -> None:
    """A malformed attribute makes the message no envelope; the error shows no value."""
    with pytest.raises(InvalidEnvelope) as caught:
        envelope(**{name: value})
    assert "x" * 30 not in str(caught.value)
    assert "yesterday" not in str(caught.value)


def test_pythons_names_are_not_read() -> None:
    """Only CloudEvents' names are read from the wire."""
    with pytest.raises(InvalidEnvelope, match="correlationid"):
        Envelope.decode(
            json.dumps(
                {"correlation_id" if name == "correlationid" else name: value for name, value in WIRE.items()}
            )
        )


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"text"', "{}", b"\xff", '{"id":1,"id":2}'])
def test_no_envelope(text: str | bytes) -> None:
    """What is no JSON object, or no strict JSON, is refused as invalid input."""
    with pytest.raises(InvalidInput):
        Envelope.decode(text)


def test_limits_hold() -> None:
    """A message over the limits is refused before it is parsed."""
    with pytest.raises(InvalidJson, match="over the limit"):
        Envelope.decode(json.dumps(WIRE), Limits(octets=100))


def test_unknown_attributes_are_ignored() -> None:
    """Extensions that we do not know do no harm."""
    assert envelope(partitionkey="p", dataref="x") == envelope()


@pytest.mark.parametrize(("hours", "expired"), [(1, True), (0, True), (-1, False)])
def test_expiry(hours: int, expired: bool) -> None:
    """An envelope expires at its expiry time; without one, never."""
    expiry = envelope().expiry_time
    assert expiry is not None
    assert envelope().expired(expiry + timedelta(hours=hours)) is expired
    assert not envelope(expirytime=None).expired(datetime.max.replace(tzinfo=UTC))


ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20)


@given(ids, ids, ids, ids)
def test_derived_ids(run: str, step: str, other_run: str, other_step: str) -> None:
    """The same run and step give the same message id, others another; a run's id is never a message's."""
    same = (run, step) == (other_run, other_step)
    assert (message_id(run, step) == message_id(other_run, other_step)) == same
    assert (run_id(run, step) == run_id(other_run, other_step)) == same
    assert uuid.UUID(message_id(run, step)).version == 5
    assert run_id(run, step) != message_id(run, step)


def test_ids_stay_the_same() -> None:
    """Ids are a promise to messages in flight: they do not change between releases."""
    assert message_id("run-1", "2.a.1") == "2199ce99-7232-5f67-a379-dcfaee94ad2d"
    assert run_id("test.flow", "key") == "cc132a1e-2a29-5b3c-ba90-121c36ce7485"


@given(words, words, words)
def test_trace(run: str, one: str, other: str) -> None:
    """A run is one trace, in W3C's form, and each message another span of it."""
    first, second = trace_parent(run, one), trace_parent(run, other)
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", first)
    assert first.split("-")[1] == second.split("-")[1]
    assert (first == second) == (one == other)


def test_trace_of_a_run_is_its_id() -> None:
    """A run whose id is a UUID has that as its trace id, so that the one is found by the other."""
    run = run_id("test.flow", "key")
    assert trace_parent(run, "m").split("-")[1] == run.replace("-", "")
