"""What the documents tell of contracts and their fields, in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from handoffs import Contract, Flow, Key, Sensitive, UntrustedText, agent, parallel
from handoffs.config.settings import Settings
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.migration import downcast, upcast
from handoffs.contracts.numbers import ExactDecimal
from handoffs.contracts.reference.payments import FraudScored
from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.files import documents
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.model import CHANGED, PUBLISHED, UNPUBLISHED, Landscape
from handoffs.coordinator.docs.schema_words import bounds, kind
from handoffs.coordinator.flow.loading import load_modules
from tests.unit.docs.described import (
    SECRET,
    PublishedRow,
    entry,
    faults,
    landscape,
)


def test_a_registry_adds_versions_owners_and_modes(payments: Landscape) -> None:
    """With a registry, older versions are told without a class, and so is who owns a contract."""
    scored = next(found for found in payments.contracts if found.name == "payments.fraud-scored")
    assert [version.ref.version for version in scored.versions] == [2, 1]
    assert (scored.owner, scored.mode) == ("risk team", "FULL_TRANSITIVE")
    assert [version.state for version in scored.versions] == [PUBLISHED, PUBLISHED]
    assert scored.versions[1].description == ("A published text.",)
    assert [(field.name, field.key) for field in scored.versions[1].fields] == [
        ("payment_id", True),
        ("risk_level", False),
    ]
    text = documents(payments)["catalogue.md"]
    assert max(map(len, documents(payments)["catalogue.html"].splitlines())) < 2000
    assert "downcast 2 to 1, loses: the score within its level" in text
    assert "upcast 1 to 2" in text
    assert {
        version.state for found in payments.contracts if found is not scored for version in found.versions
    } == {UNPUBLISHED}


def test_what_is_not_as_published_says_so() -> None:
    """A class that differs from what is published under its version is marked."""
    catalogue = load_modules(["handoffs.tasks.payments"])
    other = PublishedRow(FraudScored.ref(), "sha256:0", {"type": "object"}, {"type": "object"})
    found = gather(catalogue, Settings(), [other])
    states = {version.ref: version.state for contract in found.contracts for version in contract.versions}
    assert states[FraudScored.ref()] == CHANGED
    assert CHANGED in documents(found)["catalogue.html"]


def test_producers_and_consumers_name_their_versions() -> None:
    """Who writes and reads which versions is what their migrations allow; a join's parts have their readers too."""

    class Old(Contract, name="x.note", version=1):
        text: str

    class New(Contract, name="x.note", version=2):
        body: str

    @upcast(New, 1, 2)
    def up(data: dict[str, Any]) -> dict[str, Any]:
        return {"body": data["text"]}

    @downcast(New, 2, 1)
    def down(data: dict[str, Any]) -> dict[str, Any]:
        return {"text": data["body"]}

    class Both(Contract, name="x.both", version=1):
        one: New
        two: New

    @agent("x.write")
    def write_it(note: New) -> New:
        return note

    @agent("x.join")
    def join_it(both: Both) -> New:
        return both.one

    flow = Flow("x.flow", parallel(one=write_it, two=write_it) >> join_it)
    found = {
        contract.name: contract for contract in landscape(flow, published=(entry(Old), entry(New))).contracts
    }
    note = found["x.note"]
    assert [(party.agent, party.versions, str(party.within or "")) for party in note.consumers] == [
        ("x.join", (2, 1), "x.both/1"),
        ("x.write", (2, 1), ""),
    ]
    assert [(party.agent, party.versions) for party in note.producers] == [
        ("x.join", (2, 1)),
        ("x.write", (2, 1)),
    ]
    assert [step.word for step in note.versions[0].migrations] == ["upcast", "downcast"]
    assert found["x.both"].joins == ("x.flow",)
    assert (note.starts, note.ends) == (("x.flow",), ("x.flow",))


class Line(BaseModel):
    """A part without a name of its own."""

    code: str = Field(pattern="^[A-Z]+$")
    pin: Sensitive = Field(examples=[SECRET])


class Everything(Contract, name="x.everything", version=1):
    """All that a field can be."""

    order: str = Key(min_length=1, max_length=8, description="Whose ``order`` it is.")
    amount: Decimal = Field(gt=0, max_digits=9, decimal_places=2)
    lines: list[Line] = Field(min_length=1, max_length=3)
    best: Line | None = None
    scores: dict[str, Annotated[int, Field(ge=0)]] = Field(default={})
    pair: tuple[int, str] = (1, "a")
    pin: Sensitive = SecretStr(SECRET)
    password: Annotated[str, Field(json_schema_extra={"x-sensitive": True})] = SECRET
    choice: Annotated[Literal["hunter2-hunter2", "b"], Field(json_schema_extra={"x-sensitive": True})] = "b"
    mail: UntrustedText
    currency: Literal["EUR", "USD"] = "EUR"
    again: Everything | None = None


@agent("x.all")
def all_of_it(value: Everything) -> Everything:
    """Take ``everything``."""
    return value


def test_fields_are_told_in_words() -> None:
    """Type, bounds, whether required, default, key, sensitive, untrusted: each as a person would say it."""
    [contract] = landscape(all_of_it).contracts
    fields = {field.name: field for field in contract.versions[0].fields}
    assert fields["order"].key
    assert fields["order"].bounds == ("1 to 8 characters",)
    assert fields["order"].description == "Whose ``order`` it is."
    assert fields["amount"].bounds
    assert (fields["lines"].kind, fields["lines"].bounds) == ("list of object", ("1 to 3 entries",))
    assert fields["lines[].code"].bounds == ("matches ^[A-Z]+$",)
    assert fields["best"].kind == "object or nothing"
    assert fields["best.pin"].sensitive
    assert fields["scores"].kind == "object: by name, whole number"
    assert fields["pair"].kind == "list of 2 given places"
    assert (fields["currency"].kind, fields["currency"].default) == ('"EUR" or "USD"', '"EUR"')
    assert not fields["currency"].required
    assert fields["mail"].untrusted
    assert fields["again"].contract == Everything.ref()
    assert fields["choice"].kind == "one of a few values"


class Node(BaseModel):
    """A tree."""

    name: str
    children: list[Node] = Field(default=[])


def test_a_tree_is_told_once(official: Draft7Validator) -> None:
    """What holds itself is told to the place where it begins again."""

    class Tree(Contract, name="x.tree", version=1):
        root: Node

    @agent("x.climb")
    def climb(tree: Tree) -> Tree:
        return tree

    found = landscape(climb)
    assert [field.name for field in found.contracts[0].versions[0].fields] == [
        "root",
        "root.name",
        "root.children",
    ]
    assert faults(official, asyncapi(found)) == []


def test_sensitive_values_are_shown_nowhere(official: Draft7Validator) -> None:
    """No default, example or constant of a sensitive field is in any document, and all the same they are valid."""
    found = landscape(all_of_it)
    for name, text in documents(found).items():
        assert SECRET not in text, name
        assert "sensitive" in text
    document = asyncapi(found)
    assert faults(official, document) == []
    for schema in document["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_a_registry_says_what_is_sensitive() -> None:
    """For a version without a class, the registry's pointers mark the fields, within lists too."""
    schema = {
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": {"type": "object", "properties": {"pin": {"enum": [SECRET]}}}}
        },
    }
    old = PublishedRow(ContractRef("x.old", 1), "sha256:0", schema, schema, sensitive=("/lines/*/pin",))
    [contract] = landscape(published=(old,)).contracts
    assert [field.name for field in contract.versions[0].fields if field.sensitive] == ["lines[].pin"]
    for name, text in documents(landscape(published=(old,))).items():
        assert SECRET not in text, name


@pytest.mark.parametrize(
    ("schema", "words", "limits"),
    [
        ({"type": "integer", "minimum": 0}, "whole number", ("at least 0",)),
        (
            {"type": "number", "exclusiveMinimum": 0, "multipleOf": 5},
            "number",
            ("more than 0", "a multiple of 5"),
        ),
        ({"type": ["string", "null"], "maxLength": 1}, "text or nothing", ("at most 1 character",)),
        ({"type": "string", "format": "date-time"}, "date and time", ()),
        ({"const": 3}, "3", ()),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "true or false or nothing", ()),
        (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "list of text",
            ("no two alike",),
        ),
        (TypeAdapter(ExactDecimal).json_schema(), "decimal number, as text", ()),
        ({"$ref": "#/$defs/none"}, "any value", ()),
        (True, "any value", ()),
    ],
)
def test_words(schema: Any, words: str, limits: tuple[str, ...]) -> None:
    """A schema's type and bounds, in words."""
    assert (kind(schema, {}), bounds(schema, {})) == (words, limits)
