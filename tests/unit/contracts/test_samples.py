"""Samples: instances at the edges of a schema, the same each time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.errors import InvalidSchema
from handoffs.contracts.reference.payments import PaymentSubmitted
from handoffs.contracts.samples import exampled, samples
from handoffs.contracts.schema import writes
from tests.examples import examples
from tests.unit.contracts.compatibility.schemas import schemas

KINDS = {"enum": ["a", "b", "c"]}


def values(part: dict[str, Any], **options: Any) -> list[Any]:
    """The samples of one field."""
    whole = {"type": "object", "properties": {"x": part}, "required": ["x"], "additionalProperties": False}
    return [sample["x"] for sample in samples(whole, **options)]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (KINDS, ["a", "b", "c"]),
        ({"type": "boolean"}, [True, False]),
        ({"type": "integer", "minimum": 3, "maximum": 9}, [3, 9]),
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 9}, [4, 8]),
        ({"type": "integer"}, [0, 1, -1, 2**53 - 1]),
        ({"type": "number", "minimum": 0}, [0, 0.5]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [None, 0]),
        ({"type": ["string", "null"]}, ["", None]),
        ({"type": "array", "items": KINDS}, [[], ["a"], ["b"], ["c"]]),
        ({"type": "object", "additionalProperties": KINDS}, [{}, {"a": "b"}]),
        ({"anyOf": [{"properties": {"k": {"enum": ["p"]}, "n": KINDS}, "required": ["k", "n"], "type": "object"}, {"type": "null"}]},
         [None, {"k": "p", "n": "c"}]),
    ],
)  # fmt: skip
def test_each_edge_is_among_them(part: dict[str, Any], wanted: list[Any]) -> None:
    """Each member, each end, null and not null, each branch, empty and filled: there is a sample of it."""
    found = values(part)
    for value in wanted:
        assert value in found


def test_texts_of_all_lengths() -> None:
    """The shortest and the longest text are among them, unless it is very long."""
    assert {len(text) for text in values({"type": "string", "minLength": 2, "maxLength": 9})} >= {2, 9}
    assert max(len(text) for text in values({"type": "string", "maxLength": 10**6})) < 10**4


def test_with_and_without_what_is_optional() -> None:
    """An optional property is there in one sample and not in another."""
    found = samples({"type": "object", "properties": {"a": {"type": "null"}}})
    assert {} in found
    assert {"a": None} in found


def test_formats_and_decimals_are_usual_ones() -> None:
    """A formatted text is of its format, and an exact decimal is positive: validators which are seen nowhere accept them."""
    sample = samples(writes(PaymentSubmitted))[0]
    assert sample["submitted_at"] == "2024-02-29T12:30:00Z"
    assert float(sample["amount"]) > 0


def test_they_are_the_same_each_time() -> None:
    """The same schema gives the same samples in the same order, and no two alike."""
    found = samples(writes(PaymentSubmitted))
    assert found == samples(writes(PaymentSubmitted))
    assert len({strictjson.canonical(sample) for sample in found}) == len(found) > 10


def test_examples_come_first() -> None:
    """A field with examples has one of them where that can be, and only then something else."""

    class Seat(Contract, name="test.seat", version=1):
        row: str = Key(max_length=3, examples=["A", "B"])
        number: int

    usual = exampled(Seat.model_json_schema(mode="validation"))
    rows = [sample["row"] for sample in samples(writes(Seat), beside=[usual])]
    assert rows[0] in ("A", "B")
    assert "aaa" in rows
    assert {sample["row"] for sample in samples(writes(Seat), beside=[usual], usual=True)} == {"A", "B"}


def test_at_most_so_many_in_a_bounded_time() -> None:
    """Trees that contain themselves and very wide contracts end soon, with no more samples than asked for."""
    node = {"type": "object", "properties": {name: {"$ref": "#/$defs/d1"} for name in "abcdef"}}
    wide = {f"f{number}": KINDS for number in range(300)}
    begun = time.monotonic()
    assert samples({"$ref": "#/$defs/d1", "$defs": {"d1": node}})
    assert len(samples({"type": "object", "properties": wide, "required": list(wide)}, most=20)) <= 20
    assert time.monotonic() - begun < 30


def test_nothing_of_nothing() -> None:
    """What no instance fits has no sample, and what is no schema is refused."""
    assert samples({"type": "object", "required": ["a"], "properties": {"a": {"enum": []}}}) == ()
    with pytest.raises(InvalidSchema):
        samples({"type": "text"})


@examples(60)
@given(schemas())
def test_they_are_instances(schema: dict[str, Any]) -> None:
    """Whatever the schema, each sample is valid for it."""
    validator = Draft202012Validator(schema)
    for sample in samples(schema, most=12):
        assert validator.is_valid(sample)
