"""The normal form of a contract's schema, and its fingerprint."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, create_model

from handoffs.contracts import Contract, Key, strictjson
from handoffs.contracts.reference.payments import FraudScored, PaymentSubmitted
from handoffs.contracts.schema import fingerprint, normal, reads, writes

STORED = sorted((Path(__file__).parent / "pydantic_schemas").glob("*.json"))


def _stored(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))["schema"]
    return schema


def test_an_upgrade_of_pydantic_changes_nothing() -> None:
    """What nine releases of Pydantic, 2.5 to 2.14, wrote for one model is one normal form, though the texts differ."""
    assert len(STORED) == 9
    assert len({strictjson.canonical(_stored(path)) for path in STORED}) > 3
    assert len({strictjson.canonical(normal(_stored(path))) for path in STORED}) == 1


def test_the_normal_form_is_normal() -> None:
    """The normal form of a normal form is itself."""
    for path in STORED:
        form = normal(_stored(path))
        assert normal(form) == form


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 120)
    | st.sampled_from(["", "a", "red", "one", "only", "cat", "2.5"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "size", "kind"]), inner)
    ),
    max_leaves=6,
)


@given(
    changes=st.dictionaries(
        st.sampled_from(
            ["id", "colour", "only", "fixed", "part", "maybe", "many", "pet", "either", "node", "extra"]
        ),
        json_values,
        max_size=4,
    )
)
def test_the_normal_form_refuses_the_same(changes: dict[str, Any]) -> None:
    """An instance is valid for the normal form just when it is valid for what Pydantic wrote."""
    schema = _stored(STORED[-1])
    form = normal(schema)
    instance = {**_GOOD, **changes}
    assert Draft202012Validator(form).is_valid(instance) == Draft202012Validator(schema).is_valid(instance)


_GOOD = {
    "id": "a", "colour": "red", "only": "only", "fixed": "one", "part": {"name": "a"}, "many": [{"name": "a"}],
    "pair": [1, "a"], "names": {}, "pet": {"kind": "cat"}, "either": 1, "node": {"value": 1.5}, "at": "2026-01-01T00:00:00Z",
    "day": "2026-01-01", "number": "7cb942b7-8450-5312-b4dc-8217ec7a22be", "amount": "2.5", "wait": "PT1S", "score": 0.5,
}  # fmt: skip


def test_the_good_instance_is_good() -> None:
    """What the property above begins with is valid."""
    assert Draft202012Validator(_stored(STORED[-1])).is_valid(_GOOD)


class Part(BaseModel):
    """A field called like a keyword is a field."""

    properties: str
    required: int = 1


class Odd(Contract, name="odd.names", version=1):
    id: str = Key()
    type: Literal["a"] = "a"
    properties: Part
    note: str | None = None


def test_a_writer_is_closed_and_complete() -> None:
    """A writer emits each field, defaulted ones too, and nothing else, in its parts as well; a reader is open."""
    written = Odd(id="1", properties=Part(properties="x")).to_data()
    validator = Draft202012Validator(writes(Odd))
    assert validator.is_valid(written)
    for lacking in written:
        assert not validator.is_valid({name: value for name, value in written.items() if name != lacking})
    assert not validator.is_valid({**written, "more": 1})
    assert not validator.is_valid({**written, "properties": {"properties": "x"}})
    reader = Draft202012Validator(reads(Odd))
    assert reader.is_valid({"id": "1", "properties": {"properties": "x", "more": 1}, "more": 1})
    assert not reader.is_valid({"id": "1"})


@pytest.mark.parametrize("contract", [PaymentSubmitted, FraudScored, Odd])
def test_schemas_are_schemas(contract: type[Contract]) -> None:
    """What is made of our contracts is JSON Schema 2020-12."""
    for schema in (reads(contract), writes(contract)):
        Draft202012Validator.check_schema(schema)


def _contract(**fields: Any) -> type[Contract]:
    named = {"name": "made.contract", "version": 1}
    return create_model("Made", __base__=Contract, __cls_kwargs__=named, **fields)


BASE: dict[str, Any] = {"id": (str, Key()), "size": (int, Field(ge=0))}
CHANGES: dict[str, dict[str, Any]] = {
    "a field": {**BASE, "more": (str, ...)},
    "an optional field": {**BASE, "more": (str | None, None)},
    "a bound": {**BASE, "size": (int, Field(ge=1))},
    "a type": {**BASE, "size": (str, ...)},
    "a name": {"id": (str, Key()), "length": (int, Field(ge=0))},
    "a default": {**BASE, "size": (int, Field(default=0, ge=0))},
    "a key field": {"id": (str, Field()), "size": (int, Field(ge=0, json_schema_extra={"x-key": True}))},
}
SAME: dict[str, dict[str, Any]] = {
    "the order of fields": dict(reversed(BASE.items())),
    "a description": {**BASE, "size": (int, Field(ge=0, description="how large"))},
    "a title": {**BASE, "size": (int, Field(ge=0, title="Large"))},
    "an example": {**BASE, "size": (int, Field(ge=0, examples=[1]))},
    "the spelling of a type": {**BASE, "size": (Annotated[int, Field(ge=0)], ...)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_the_fingerprint(change: str) -> None:
    """Whatever decides what is valid, or what the key is, changes the fingerprint."""
    assert fingerprint(_contract(**CHANGES[change])) != fingerprint(_contract(**BASE))


@pytest.mark.parametrize("change", SAME)
def test_what_says_nothing_changes_nothing(change: str) -> None:
    """Order, titles, descriptions, examples and spelling leave the fingerprint as it is."""
    assert fingerprint(_contract(**SAME[change])) == fingerprint(_contract(**BASE))


def test_a_fingerprint_reads_as_one() -> None:
    """A fingerprint is sha256: and 64 hexadecimal digits, and the same for the same contract."""
    assert fingerprint(FraudScored) == fingerprint(FraudScored)
    name, _, digits = fingerprint(FraudScored).partition(":")
    assert (name, len(digits), int(digits, 16) > 0) == ("sha256", 64, True)


def test_decimals_beside_numbers() -> None:
    """A plain Decimal is a number or a text in every release."""
    made = _contract(id=(str, Key()), amount=(Decimal, Field(strict=False)))
    assert reads(made)["properties"]["amount"]["anyOf"] == [{"type": "number"}, {"type": "string"}]
