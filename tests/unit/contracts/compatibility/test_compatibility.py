"""Compatibility of two schemas: every row of the rules' table in both directions, and the known faults of others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import BaseModel, Field

from handoffs.contracts.compatibility import compare
from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.errors import CoordinationError, InvalidSchema

STRING, INTEGER, NUMBER, NULL = ({"type": name} for name in ("string", "integer", "number", "null"))
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DISCRIMINATOR = {"discriminator": {"propertyName": "kind"}}
OK, BREAKS, UNKNOWN = "compatible", "incompatible", "unknown"


def obj(required: str = "", /, **properties: Any) -> dict[str, Any]:
    """An object schema; ``required`` are names, separated by blanks."""
    return {"type": "object", "properties": properties, "required": required.split()}


def array(**keywords: Any) -> dict[str, Any]:
    return {"type": "array", **keywords}


def tree(value: Any) -> dict[str, Any]:
    children = array(items={"$ref": "#/$defs/tree"})
    return {"$ref": "#/$defs/tree", "$defs": {"tree": obj("value", value=value, children=children)}}


def seven(**keywords: Any) -> dict[str, Any]:
    return {"$schema": DRAFT_7, **keywords}


def tagged(*cases: tuple[str, Any], union: str = "oneOf") -> dict[str, Any]:
    return {union: [obj("kind value", kind={"const": tag}, value=value) for tag, value in cases]}


def judged(writer: Any, reader: Any, *, containment: bool = False) -> str:
    """The verdict, its witness confirmed by `jsonschema`, its differences readable."""
    verdict = compare(writer, reader, containment=containment, budget=Budget(seconds=60))
    if verdict.verdict == BREAKS:
        assert _judge(writer).is_valid(verdict.witness)
        assert not _judge(reader).is_valid(verdict.witness)
    assert bool(verdict.differences) == (verdict.verdict != OK)
    for difference in verdict.differences:
        assert "\n" not in str(difference)
        assert difference.path == "" or difference.path.startswith("/")
    return verdict.verdict


def _judge(schema: Any) -> Any:
    draft_7 = isinstance(schema, dict) and schema.get("$schema") == DRAFT_7
    return Draft7Validator(schema) if draft_7 else Draft202012Validator(schema)


ROWS: list[tuple[str, Any, Any, str, str]] = [
    ("optional property", obj(a=STRING, b=STRING), obj(a=STRING), OK, OK),
    ("required property", obj("a b", a=STRING, b=STRING), obj("a", a=STRING), OK, BREAKS),
    ("required -> optional", obj("a", a=STRING), obj(a=STRING), OK, BREAKS),
    ("a default is not filled in", obj(a={**STRING, "default": "x"}), obj("a", a={**STRING, "default": "x"}), BREAKS, OK),
    ("a renamed field", obj("a", a=STRING), obj("b", b=STRING), BREAKS, BREAKS),
    ("required, not declared", {"type": "object", "required": ["a"]}, {"type": "object"}, OK, BREAKS),
    ("integer -> number", INTEGER, NUMBER, OK, BREAKS),
    ("list of types", STRING, {"type": ["string", "null"]}, OK, BREAKS),
    ("enum", {"enum": ["a", "b"]}, {"enum": ["a", "b", "c"]}, OK, BREAKS),
    ("const and enum", {"const": "a"}, {"enum": ["a"]}, OK, OK),
    ("const and more members", {"const": "a"}, {"enum": ["a", "b"]}, OK, BREAKS),
    ("1 and 1.0", {"const": 1}, {"enum": [1.0]}, OK, OK),
    ("1 and true", {"const": 1}, {"const": True}, BREAKS, BREAKS),
    ("minimum", {"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 0}, OK, BREAKS),
    ("exclusiveMinimum", {"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0}, OK, BREAKS),
    ("integers between", {"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}, OK, OK),
    ("maximum", {"type": "number", "exclusiveMaximum": 5}, {"type": "number", "maximum": 5}, OK, BREAKS),
    ("multipleOf", {"type": "number", "multipleOf": 4}, {"type": "number", "multipleOf": 2}, OK, BREAKS),
    ("multipleOf, fractions", {"type": "number", "multipleOf": 0.5}, {"type": "number", "multipleOf": 0.25}, OK, BREAKS),
    ("multipleOf of both", {"allOf": [{"multipleOf": 4}, {"multipleOf": 6}]}, {"multipleOf": 12}, OK, OK),
    ("minLength", {"type": "string", "minLength": 2}, {"type": "string", "minLength": 1}, OK, BREAKS),
    ("maxLength", {"type": "string", "maxLength": 2}, {"type": "string", "maxLength": 3}, OK, BREAKS),
    ("minItems", array(minItems=2), array(minItems=1), OK, BREAKS),
    ("maxItems", array(maxItems=2), array(maxItems=3), OK, BREAKS),
    ("pattern removed", {"type": "string", "pattern": "^a+$"}, STRING, OK, BREAKS),
    ("pattern widened", {"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^[ab]*$"}, OK, BREAKS),
    ("pattern changed", {"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^b+$"}, BREAKS, BREAKS),
    ("pattern and enum", {"enum": ["ab", "b"]}, {"type": "string", "pattern": "b$"}, OK, BREAKS),
    ("format removed", {"type": "string", "format": "date"}, STRING, OK, UNKNOWN),
    ("format changed", {"type": "string", "format": "date"}, {"type": "string", "format": "time"}, UNKNOWN, UNKNOWN),
    ("union", {"anyOf": [STRING, INTEGER]}, {"anyOf": [STRING, INTEGER, NULL]}, OK, BREAKS),
    ("oneOf", {"oneOf": [STRING, INTEGER]}, {"oneOf": [STRING, INTEGER, NULL]}, OK, BREAKS),
    ("tagged union", tagged(("a", STRING)), tagged(("a", STRING), ("b", STRING)), OK, BREAKS),
    ("discriminator", {**tagged(("a", STRING)), **DISCRIMINATOR}, {**tagged(("a", STRING), ("b", STRING)), **DISCRIMINATOR}, OK, BREAKS),
    ("one branch of a union", tagged(("a", INTEGER), ("b", STRING)), tagged(("a", NUMBER), ("b", STRING)), OK, BREAKS),
    ("overlapping oneOf", INTEGER, {"oneOf": [INTEGER, NUMBER]}, BREAKS, BREAKS),
    ("overlapping anyOf", {"anyOf": [INTEGER, NUMBER]}, NUMBER, OK, OK),
    ("union behind allOf", {"allOf": [{"anyOf": [STRING, INTEGER]}, {"anyOf": [STRING, NULL]}]}, STRING, OK, OK),
    ("closed reader", obj(a=STRING), {**obj(a=STRING), "additionalProperties": False}, OK, OK),
    ("closed reader, more", obj(a=STRING, b=STRING), {**obj(a=STRING), "additionalProperties": False}, BREAKS, OK),
    ("open as it says", {**obj(a=STRING), "additionalProperties": True}, {**obj(a=STRING), "additionalProperties": False}, BREAKS, OK),
    ("map", {"additionalProperties": INTEGER}, {"additionalProperties": NUMBER}, OK, BREAKS),
    ("patternProperties", {"patternProperties": {"^a": INTEGER}}, {"patternProperties": {"^a": NUMBER}}, OK, BREAKS),
    ("narrower names", {"patternProperties": {"^a": INTEGER}}, {"patternProperties": {"^ab": INTEGER}}, OK, BREAKS),
    ("propertyNames", {"propertyNames": {"maxLength": 2}}, {"propertyNames": {"maxLength": 3}}, OK, BREAKS),
    ("propertyNames, pattern", {"propertyNames": {"pattern": "^ab"}}, {"propertyNames": {"pattern": "^a"}}, OK, BREAKS),
    ("minProperties", {"minProperties": 2}, {"minProperties": 1}, OK, BREAKS),
    ("maxProperties", {"maxProperties": 1}, {"maxProperties": 2}, OK, BREAKS),
    ("required and minProperties", {"required": ["a", "b"]}, {"minProperties": 2}, OK, BREAKS),
    ("prefixItems", array(prefixItems=[INTEGER]), array(prefixItems=[NUMBER]), OK, BREAKS),
    ("one more of prefixItems", array(prefixItems=[STRING, INTEGER]), array(prefixItems=[STRING]), OK, BREAKS),
    ("items behind prefixItems", array(prefixItems=[STRING], items=False), array(maxItems=1), OK, BREAKS),
    ("contains", array(contains={"const": 1}), array(contains=INTEGER), OK, BREAKS),
    ("contains and minItems", array(contains=INTEGER), array(minItems=1), OK, BREAKS),
    ("minContains", array(contains=INTEGER, minContains=2), array(contains=INTEGER), OK, BREAKS),
    ("maxContains", array(contains=INTEGER, maxContains=2), array(contains=INTEGER, maxContains=3), OK, BREAKS),
    ("uniqueItems", array(uniqueItems=True), array(), OK, BREAKS),
    ("unique of few", array(items={"type": "boolean"}, uniqueItems=True), array(maxItems=2), OK, BREAKS),
    ("if", {"if": STRING, "then": {"minLength": 2}, "else": INTEGER}, {"type": ["string", "integer"]}, OK, BREAKS),
    ("then", {"if": STRING, "then": {"minLength": 2}}, {"if": STRING, "then": {"minLength": 1}}, OK, BREAKS),
    ("else", {"if": STRING, "else": {"type": "integer", "minimum": 2}}, {"if": STRING, "else": {"minimum": 1}}, OK, BREAKS),
    ("not", {"not": STRING}, {"not": {"type": "string", "minLength": 2}}, OK, BREAKS),
    ("not, with more", {"not": {"enum": ["a", "b"]}}, {"not": {"const": "a"}}, OK, BREAKS),
    ("dependentRequired", {"required": ["b"]}, {"dependentRequired": {"a": ["b"]}}, OK, BREAKS),
    ("dependentRequired removed", {**obj(a=STRING, b=STRING), "dependentRequired": {"a": ["b"]}}, obj(a=STRING, b=STRING), OK, BREAKS),
    ("dependentSchemas", {"properties": {"a": False}}, {"dependentSchemas": {"a": {"required": ["b"]}}}, OK, BREAKS),
    ("recursion", tree(INTEGER), tree(NUMBER), OK, BREAKS),
    ("a reference", {"$ref": "#/$defs/n", "$defs": {"n": INTEGER}}, {"$ref": "#/$defs/n", "$defs": {"n": NUMBER}}, OK, BREAKS),
    ("true", STRING, True, OK, BREAKS),
    ("false", False, STRING, OK, BREAKS),
    ("what cannot be written", {"type": "integer", "exclusiveMinimum": 0, "maximum": 0}, False, OK, OK),
    ("unevaluatedProperties", {**obj(a=STRING), "unevaluatedProperties": False}, obj(a=STRING), OK, OK),
    ("unevaluatedProperties, more", obj(a=STRING, b=STRING), {**obj(a=STRING), "unevaluatedProperties": False}, BREAKS, OK),
    ("unevaluatedItems", array(prefixItems=[STRING], unevaluatedItems=False), array(prefixItems=[STRING]), OK, BREAKS),
    ("draft-07 items", seven(**array(items=[INTEGER], additionalItems=False)), array(prefixItems=[NUMBER], maxItems=1), OK, BREAKS),
    ("draft-07 dependencies", seven(dependencies={"a": ["b"]}), {"dependentRequired": {"a": ["b"]}}, OK, OK),
    ("annotations", {**STRING, "title": "a", "default": 1, "examples": [2], "x-key": 3}, {**STRING, "deprecated": True}, OK, OK),
    ("allOf around a reference", {"allOf": [{"$ref": "#/$defs/s"}], "$defs": {"s": STRING}}, STRING, OK, OK),
]  # fmt: skip


@pytest.mark.parametrize(
    ("writer", "reader", "there", "back"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_rules(writer: Any, reader: Any, there: str, back: str) -> None:
    """Each change has the verdict of the rules' table, in both directions."""
    assert (judged(writer, reader), judged(reader, writer)) == (there, back)


def test_containment_is_as_written() -> None:
    """With containment an open writer may emit anything under a name that it does not declare."""
    writer, reader = obj(a=STRING), obj(a=STRING, b=INTEGER)
    assert judged(writer, reader) == OK
    assert judged(writer, reader, containment=True) == BREAKS
    assert judged(reader, writer, containment=True) == OK


def test_a_closed_writer_declares_through_what_is_around() -> None:
    """What allOf, a reference or the chosen branch of a union declares is emitted; more is not."""
    base, extra = obj("a", a=STRING), obj(b=INTEGER)
    both = {"allOf": [{"$ref": "#/$defs/base"}, extra], "$defs": {"base": base}}
    assert judged(both, {**obj(a=STRING, b=INTEGER), "additionalProperties": False}) == OK
    assert judged(both, {**obj(a=STRING), "additionalProperties": False}) == BREAKS
    union = {"anyOf": [obj("a", a=STRING), obj("b", b=STRING)]}
    assert judged(union, {"maxProperties": 1}) == OK


def test_a_closed_writer_declares_in_a_branch_not_yet_chosen() -> None:
    """A name that only one branch of a union declares is emitted with it."""
    for branches in (
        {"anyOf": [obj(b=STRING), {"required": ["a"]}]},
        {"if": {"required": ["a"]}, "else": obj(b=STRING)},
    ):
        writer = {**obj(a=STRING), **branches}
        assert judged(writer, obj(b=INTEGER, c=INTEGER)) == BREAKS
        assert judged(writer, obj(b=STRING, c=INTEGER)) == OK


def test_what_is_not_followed_is_not_taken_for_the_same() -> None:
    """Two documents of one foreign dialect, or with one dynamic reference, are still two documents."""
    for opaque in ({"$schema": "https://example.com/dialect"}, {"$dynamicRef": "#node"}):
        one, other = {**opaque, **STRING}, {**opaque, **STRING, "$defs": {"a": {"$dynamicAnchor": "node"}}}
        assert compare(one, one).verdict == OK
        assert compare(one, other).verdict == UNKNOWN


def test_draft_7_ignores_what_stands_beside_a_reference() -> None:
    """Beside $ref, a keyword counts in 2020-12 and does not in draft-07."""
    beside = {"$ref": "#/definitions/s", "maxLength": 2, "definitions": {"s": STRING}}
    assert judged(beside, {"type": "string", "maxLength": 2}) == OK
    assert judged(seven(**beside), {"type": "string", "maxLength": 2}) == BREAKS


def test_references_within_a_document() -> None:
    """An anchor, an identifier and a pointer all lead to their schema."""
    parts = {"one": {"$anchor": "one", **INTEGER}, "two": {"$id": "https://example.com/two", **INTEGER}}
    for reference in ("#one", "#/$defs/one", "two", "https://example.com/two"):
        schema = {"$id": "https://example.com/root", "$ref": reference, "$defs": parts}
        assert compare(schema, NUMBER).verdict == OK
        assert compare(NUMBER, schema).verdict == BREAKS


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/elsewhere"},
        {"$dynamicRef": "#node"},
        {"$schema": "https://example.com/dialect", **STRING},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, STRING]}}},
    ],
)
def test_what_is_not_followed_is_unknown(schema: Any) -> None:
    """Remote, dynamic and circular references and foreign dialects are not decided, and the reason is given."""
    verdict = compare(STRING, schema)
    assert verdict.verdict == UNKNOWN
    assert verdict.differences


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "text"}, "/type"),
        ({"properties": {"a": {"minLength": -1}}}, "/properties/a/minLength"),
        ({"properties": {"a/b": {"enum": 1}}}, "/properties/a~1b/enum"),
        ({"multipleOf": 0}, "/multipleOf"),
        ({"anyOf": []}, "/anyOf"),
        ({"items": [STRING]}, "/items"),
        ({"$defs": {"a": 1}}, "/$defs/a"),
        ({"$ref": "#/nowhere"}, "#/nowhere"),
        ({"minimum": float("nan")}, "/minimum"),
        (1, "schema"),
    ],
)
def test_a_malformed_schema_is_named(schema: Any, place: str) -> None:
    """What is no schema raises an error that names the place."""
    with pytest.raises(InvalidSchema, match=place.replace("$", r"\$")) as caught:
        compare(STRING, schema)
    assert isinstance(caught.value, CoordinationError)


def test_hostile_depth_is_unknown() -> None:
    """A schema nested very deeply gives a verdict, not a crash."""
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"not": deep}
    assert compare(deep, STRING).verdict == UNKNOWN
    references = {f"d{number}": {"items": {"$ref": f"#/$defs/d{number + 1}"}} for number in range(3000)}
    chain = {"$ref": "#/$defs/d0", "$defs": {**references, "d3000": STRING}}
    assert compare(chain, STRING).verdict in (UNKNOWN, BREAKS)


def test_unions_end_within_the_budget() -> None:
    """Unions that could multiply cost no more than the budget of steps."""

    def branch(number: int, value: Any) -> dict[str, Any]:
        return obj(f"p{number}", **{f"p{number}": value, "shared": {"enum": [number, number + 1]}})

    for union in ("anyOf", "oneOf"):
        writer = {union: [branch(number, INTEGER) for number in range(25)]}
        reader = {"anyOf": [branch(number, NUMBER) for number in range(25)]}
        budget = Budget(steps=20_000, seconds=60)
        compare(writer, reader, budget=budget)
        compare(reader, writer, budget=Budget(steps=20_000, seconds=60))
        assert budget.spent <= 20_000 + 1000
    crossed = {"allOf": [{"anyOf": [{"required": [f"a{n}"]}, {"required": [f"b{n}"]}]} for n in range(30)]}
    assert compare(crossed, {"not": {"required": ["a0", "b0"]}}, budget=Budget(5000)).verdict in (
        BREAKS,
        UNKNOWN,
    )


def test_a_large_tagged_union_is_decided() -> None:
    """Thirty tagged branches of objects are decided, and the difference names the branch's field."""
    many = [(f"case-{number}", INTEGER) for number in range(30)]
    assert judged(tagged(*many), tagged(*many)) == OK
    assert judged(tagged(*many), tagged(*many, ("new", STRING))) == OK
    changed = [*many[:-1], ("case-29", STRING)]
    verdict = compare(tagged(*many), tagged(*changed), budget=Budget(seconds=60))
    assert [difference.path for difference in verdict.differences] == ["/value"]


def test_what_an_expired_budget_says() -> None:
    """A comparison beyond its budget is unknown, and says so."""
    verdict = compare(tree(INTEGER), tree(NUMBER), budget=Budget(steps=3))
    assert verdict.verdict == UNKNOWN
    assert "3 steps" in str(verdict)


def test_differences_name_each_place() -> None:
    """Every field that breaks is listed with its path, what may be written and what is wanted."""
    writer = obj("id lines", id=STRING, level=STRING, lines=array(items=obj(count=NUMBER)))
    reader = obj(
        "id lines score",
        id={"type": "string", "maxLength": 3},
        lines=array(items=obj(count=INTEGER)),
        score=NUMBER,
    )
    verdict = compare(writer, reader)
    found = {difference.path: difference for difference in verdict.differences}
    assert set(found) == {"/id", "/lines/*/count", "/score"}
    assert found["/id"].kind == "maxLength"
    assert str(found["/lines/*/count"]) == "/lines/*/count: the writer may emit 0.5, the reader wants integer"


class Line(BaseModel):
    sku: str
    price: Decimal
    note: str | None = None


class Card(BaseModel):
    kind: Literal["card"]
    number: str = Field(max_length=19)


class Cash(BaseModel):
    kind: Literal["cash"]


class Order(BaseModel):
    lines: list[Line]
    parent: Order | None = None
    payment: Card | Cash = Field(discriminator="kind")


class OrderWithoutCash(BaseModel):
    lines: list[Line]
    payment: Card


def test_pydantic_writes_what_it_reads() -> None:
    """A model's validation schema reads what its serialization schema writes; one branch fewer does not."""
    written = Order.model_json_schema(mode="serialization")
    assert judged(written, Order.model_json_schema()) == OK
    verdict = compare(written, OrderWithoutCash.model_json_schema())
    assert verdict.verdict == BREAKS
    assert verdict.witness["payment"]["kind"] == "cash"
    assert judged(OrderWithoutCash.model_json_schema(mode="serialization"), Order.model_json_schema()) == OK


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ({"type": "string", "pattern": "^(a|b)*$"}, {"enum": ["x" * 5000, "y"]}),
        ({"type": "string", "pattern": "^a*$", "minLength": 3000}, {"type": "string", "pattern": "^a{5,}$"}),
        ({"type": "string", "pattern": "^(a+)+$"}, {"type": "string", "pattern": "^(a|aa)+b$"}),
        (
            {"type": "string", "pattern": "(a?){900}(b?){900}"},
            {"type": "string", "pattern": "^((a{1,900}){1,900})$"},
        ),
        ({"type": "string", "pattern": "(?<=a)\\bb"}, {"type": "string", "pattern": "^\\p{L}$"}),
        ({"type": "number", "multipleOf": 1e-300}, {"multipleOf": 1e300}),
        ({"type": "integer", "minimum": -(10**400)}, {"type": "integer", "minimum": 10**400}),
        (array(minItems=10**9), array(uniqueItems=True)),
        (array(prefixItems=[{}] * 300, minItems=300), array(contains=INTEGER, minContains=200)),
        ({"minProperties": 10**9}, {"propertyNames": {"pattern": "^a"}}),
        ({"enum": [{"a": [number]} for number in range(3000)]}, {"not": {"const": {"a": [2999.0]}}}),
        (
            {"patternProperties": {f"^{name}": {} for name in "abcdefgh"}},
            {"patternProperties": {"z$": False}},
        ),
    ],
)
def test_hostile_schemas_get_a_verdict(writer: Any, reader: Any) -> None:
    """Large numbers, long texts, unsupported and explosive patterns end in a verdict within the budget."""
    for given, wanted in ((writer, reader), (reader, writer)):
        budget = Budget(seconds=5)
        assert compare(given, wanted, budget=budget).verdict in (OK, BREAKS, UNKNOWN)
        assert budget.spent <= budget.steps + 5000
