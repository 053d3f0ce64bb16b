"""Strategies of JSON Schemas, of small edits of them, and of instances."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "x_d")
DRAFT_7 = "http://json-schema.org/draft-07/schema#"

scalars = st.sampled_from(
    [None, True, False, 0, 1, 2, 3, -1, 1.0, 0.5, 2.5, "", "a", "b", "ab", "abc", "x_d"]
)
instances = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((*NAMES, "z")), inner, max_size=3)
    ),
    max_leaves=6,
)


def _some(keywords: dict[str, st.SearchStrategy[Any]], kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """An object schema with up to three of the keywords, with or without their type."""
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True)
    picked = chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))
    return st.tuples(picked, st.sampled_from([{"type": kind}, {"type": kind}, {}])).map(
        lambda pair: pair[0] | pair[1]
    )


_small = st.integers(0, 3)
_numbers = {
    "minimum": st.sampled_from([-1, 0, 0.5, 2]),
    "exclusiveMinimum": st.sampled_from([-1, 0, 2]),
    "maximum": st.sampled_from([1, 2, 2.5, 5]),
    "exclusiveMaximum": st.sampled_from([1, 3, 5]),
    "multipleOf": st.sampled_from([1, 2, 3, 4, 0.5]),
}
_texts = {
    "minLength": _small,
    "maxLength": _small,
    "pattern": st.sampled_from(["^a", "b$", "^a*$", "^[a-c]+$", "a|b", "^x_", "^ab?$"]),
}
_leaves: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.just({}),
    st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"]).map(
        lambda name: {"type": name}
    ),
    st.just({"type": ["string", "null"]}),
    st.just({"$ref": "#/definitions/tree"}),
    st.lists(scalars, min_size=1, max_size=4).map(lambda members: {"enum": members}),
    instances.map(lambda value: {"const": value}),
    _some(_numbers, "number"),
    _some(_numbers, "integer"),
    _some(_texts, "string"),
)


def _no_boolean(schema: Any) -> dict[str, Any]:
    """The schema as an object: `jsonschema` stumbles over boolean `items` beside `additionalItems` in draft-07."""
    return schema if isinstance(schema, dict) else {} if schema else {"not": {}}


def _nested(draft: int) -> Any:
    def made(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        items = inner.map(_no_boolean)
        names = st.sampled_from(NAMES)
        some_names = st.lists(names, min_size=1, max_size=2, unique=True)
        arrays: dict[str, st.SearchStrategy[Any]] = {
            "items": items,
            "minItems": _small,
            "maxItems": _small,
            "uniqueItems": st.booleans(),
            "contains": inner,
        }
        objects: dict[str, st.SearchStrategy[Any]] = {
            "properties": st.dictionaries(names, inner, max_size=3),
            "required": some_names,
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(
                st.sampled_from(["^x_", "^a", "b$"]), inner, min_size=1, max_size=1
            ),
            "propertyNames": inner,
            "minProperties": _small,
            "maxProperties": _small,
        }
        if draft == 7:
            either = st.one_of(some_names, inner)
            arrays |= {
                "items": st.one_of(items, st.lists(inner, min_size=1, max_size=2)),
                "additionalItems": inner,
            }
            objects["dependencies"] = st.dictionaries(names, either, min_size=1, max_size=1)
        else:
            arrays |= {
                "prefixItems": st.lists(inner, min_size=1, max_size=2),
                "minContains": _small,
                "maxContains": _small,
            }
            arrays["unevaluatedItems"] = inner
            objects["dependentRequired"] = st.dictionaries(names, some_names, min_size=1, max_size=1)
            objects["dependentSchemas"] = st.dictionaries(names, inner, min_size=1, max_size=1)
            objects["unevaluatedProperties"] = inner
        branches = st.lists(inner, min_size=1, max_size=3)
        combined: dict[str, st.SearchStrategy[Any]] = {
            "allOf": branches, "anyOf": branches, "oneOf": branches, "not": inner, "if": inner, "then": inner, "else": inner,
        }  # fmt: skip
        mixed = st.lists(st.sampled_from(sorted(combined)), min_size=1, max_size=3, unique=True).flatmap(
            lambda chosen: st.fixed_dictionaries({name: combined[name] for name in chosen})
        )
        structured = st.one_of(_some(arrays, "array"), _some(objects, "object"))
        merged = st.tuples(structured, mixed).map(lambda pair: pair[0] | pair[1])
        return st.one_of(structured, structured, mixed, merged)

    return made


def schemas(draft: int = 2020) -> st.SearchStrategy[dict[str, Any]]:
    """Documents of a draft, over every keyword that is decided; some refer to a recursive definition."""
    inner = st.recursive(_leaves, _nested(draft), max_leaves=6)
    tree = st.sampled_from(
        [
            {"type": "object", "properties": {"a": {"$ref": "#/definitions/tree"}, "b": {"type": "integer"}}},
            {"type": "array", "items": {"$ref": "#/definitions/tree"}},
            {
                "anyOf": [
                    {"type": "integer"},
                    {"properties": {"c": {"$ref": "#/definitions/tree"}}, "required": ["c"]},
                ]
            },
        ]
    )

    def document(parts: tuple[Any, Any]) -> dict[str, Any]:
        schema, definition = parts
        body = dict(schema) if isinstance(schema, dict) else {"allOf": [schema]}
        head = {"$schema": DRAFT_7} if draft == 7 else {}
        return {**head, **body, "definitions": {"tree": definition}}

    return st.tuples(inner, tree).map(document)


@st.composite
def pairs(draw: st.DrawFn, draft: int = 2020) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two documents, in most cases one of them an edit of the other: keywords put in, taken out or set anew."""
    first = draw(schemas(draft))
    if draw(st.integers(0, 4)) == 0:
        return first, draw(schemas(draft))
    second = copy.deepcopy(first)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(second))
        place = places[draw(st.integers(0, len(places) - 1))]
        known = [name for name in place if name not in ("$schema", "definitions")]
        if draw(st.booleans()) and known:
            name = draw(st.sampled_from(known))
            if type(place[name]) is int and name not in ("const", "multipleOf"):
                place[name] = max(0, place[name] + draw(st.sampled_from([-1, 1])))
            else:
                del place[name]
        else:
            extra = draw(st.one_of(_leaves, _some(_texts, "string"), schemas(draft)))
            if isinstance(extra, dict):
                place.update(
                    {name: value for name, value in extra.items() if name not in ("$schema", "definitions")}
                )
    return (first, second) if draw(st.booleans()) else (second, first)


def _places(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return
    yield schema
    for name, inner in schema.items():
        if name in ("properties", "patternProperties", "definitions", "dependentSchemas"):
            for child in inner.values():
                yield from _places(child)
        elif name in ("allOf", "anyOf", "oneOf", "prefixItems") or (
            name == "items" and isinstance(inner, list)
        ):
            for child in inner:
                yield from _places(child)
        elif name in ("items", "additionalProperties", "contains", "not", "if", "then", "else"):
            yield from _places(inner)
