"""Compatibility, judged from outside: by `jsonschema`, on generated pairs of schemas and generated instances."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from handoffs.contracts.compatibility import compare
from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.language import contains
from handoffs.contracts.compatibility.patterns import DIALECTS, language_of
from handoffs.contracts.compatibility.schema import Schemas
from handoffs.contracts.compatibility.validator import Validator
from tests.examples import examples
from tests.unit.contracts.compatibility.schemas import instances, pairs, schemas

JUDGES: dict[int, Any] = {2020: Draft202012Validator, 7: Draft7Validator}
drafts = pytest.mark.parametrize("draft", [2020, 7])


@drafts
@examples(150)
@given(data=st.data())
def test_containment_is_sound(draft: int, data: st.DataObject) -> None:
    """No instance breaks what is called compatible, and each witness is one for `jsonschema` too."""
    writer, reader = data.draw(pairs(draft))
    verdict = compare(writer, reader, containment=True)
    writes, reads = JUDGES[draft](writer), JUDGES[draft](reader)
    if verdict.verdict == "incompatible":
        assert writes.is_valid(verdict.witness)
        assert not reads.is_valid(verdict.witness)
    elif verdict.verdict == "compatible":
        for value in data.draw(st.lists(instances, min_size=10, max_size=10)):
            assert not writes.is_valid(value) or reads.is_valid(value)


@drafts
@examples(100)
@given(data=st.data())
def test_a_closed_writer_is_sound(draft: int, data: st.DataObject) -> None:
    """So it is where the writer emits no more than it declares."""
    writer, reader = data.draw(pairs(draft))
    verdict = compare(writer, reader)
    writes, reads = JUDGES[draft](writer), JUDGES[draft](reader)
    if verdict.verdict == "incompatible":
        assert writes.is_valid(verdict.witness)
        assert not reads.is_valid(verdict.witness)
    elif verdict.verdict == "compatible":
        closed = JUDGES[draft](_closed(writer))
        for value in data.draw(st.lists(instances, min_size=10, max_size=10)):
            assert not (writes.is_valid(value) and closed.is_valid(value)) or reads.is_valid(value)


def _closed(schema: Any) -> Any:
    """The schema with each object that it declares closed."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, inner in schema.items():
        if name in ("properties", "patternProperties", "definitions", "dependentSchemas", "dependencies"):
            made[name] = {key: _closed(child) for key, child in inner.items()}
        elif isinstance(inner, list) and name in ("allOf", "anyOf", "oneOf", "prefixItems", "items"):
            made[name] = [_closed(child) for child in inner]
        elif name in ("items", "additionalItems", "additionalProperties", "then", "else", "unevaluatedItems"):
            made[name] = _closed(inner)
        else:
            made[name] = inner
    if "properties" in schema:
        openers = {"additionalProperties", "patternProperties", "unevaluatedProperties"}
        if not openers & schema.keys():
            made["additionalProperties"] = False
    return made


@drafts
@examples(25)
@given(data=st.data())
def test_a_schema_is_compatible_with_itself(draft: int, data: st.DataObject) -> None:
    """Whatever it says, each schema reads what it writes."""
    schema = data.draw(schemas(draft))
    assert compare(schema, schema).verdict == "compatible"
    assert compare(schema, schema, containment=True).verdict == "compatible"


@drafts
@examples(150)
@given(data=st.data())
def test_the_validator_agrees_with_jsonschema(draft: int, data: st.DataObject) -> None:
    """Where our validator gives an answer, it is that of `jsonschema`."""
    schema = data.draw(schemas(draft))
    node = Schemas().read(schema)
    judge = JUDGES[draft](schema)
    for value in data.draw(st.lists(instances, min_size=5, max_size=5)):
        answer = Validator(Budget()).valid(node, value)
        assert answer is None or answer == judge.is_valid(value), value


PATTERNS = [
    "^[a-z]+$",
    "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$",
    "a|b$",
    "^a{2,3}b?",
    "^(ab|c)*$",
    "",
    "^[^ab]$",
    "\\w+-\\d{2}",
]


@examples(100)
@given(pattern=st.sampled_from(PATTERNS), text=st.text("ab.c-+01 \n", max_size=8))
def test_patterns_are_read_as_python_reads_them(pattern: str, text: str) -> None:
    """In Python's dialect a pattern is found where `re` finds it."""
    judge = Draft202012Validator({"pattern": pattern})
    assert contains(language_of(pattern, DIALECTS[1]), text) == judge.is_valid(text)
