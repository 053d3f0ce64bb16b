"""Patterns of older versions: judged as Pydantic judged them when they were written, and never by an engine that backtracks."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import SchemaError

from handoffs import Contract, Key
from handoffs.contracts.compatibility import compare
from handoffs.contracts.compatibility.engine import matches
from handoffs.contracts.compatibility.patterns import found_in
from handoffs.contracts.compatibility.tables import table
from handoffs.contracts.conformity import Conformity
from handoffs.contracts.errors import ContractError, InvalidData
from handoffs.contracts.registry.publishing import decide, publish
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.schema import reads, writes
from handoffs.contracts.versions import Versions, known
from tests.examples import examples

_atoms = st.sampled_from(
    [r"\w", r"\d", r"\s", r"\W", r"\D", r"\S", r"\b", r"\p{L}", r"\p{Lu}", r"\P{N}", "[[:alpha:]]", "[[:digit:]]", "[^a]", ".",
     "a", "Ł", "日", "ß", "[à-ž]", "(?i:straße)", "(?i:k)", r"[\w--a]", r"\x{142}", "(?:ab|a)", r"[\s-]", "(?s:.)", "(?-u:a)"]
)  # fmt: skip
_patterns = st.builds(
    lambda parts, start, end, flags: flags + start + "".join(parts) + end,
    st.lists(
        st.tuples(_atoms, st.sampled_from(["", "+", "*", "?", "{1,3}"])).map("".join), min_size=1, max_size=4
    ),
    st.sampled_from(["", "^"]),
    st.sampled_from(["", "$", r"\z"]),
    st.sampled_from(["", "(?i)", "(?x)"]),
)
_letters = st.sampled_from(
    "aAbkKzZ019_ -\nŁłßẞ日本éÉ\u0301\u0142\u0660²½Ⅷ\u200d\u0130\u212a\u0421я\x85\u2028\U0001d7d8\U00010400"
)
_texts = st.text(_letters, max_size=6) | st.text(max_size=4)


@examples(200)
@given(pattern=_patterns, texts=st.lists(_texts, min_size=1, max_size=8))
def test_as_pydantic_judges_it(pattern: str, texts: list[str]) -> None:
    """Whatever a pattern says of letters, digits, spaces, words, scripts and cases of any writing: data that Pydantic accepts is
    accepted, what it refuses is refused, as a value and as a name of a mapping."""
    try:
        adapter = TypeAdapter(Annotated[str, Field(pattern=pattern)])
    except SchemaError:  # it is no pattern of Pydantic's
        return
    schema = {
        "type": "object",
        "properties": {"x": {"type": "string", "pattern": pattern}},
        "required": ["x"],
    }
    names = {"type": "object", "patternProperties": {pattern: {"type": "integer"}}}
    conformity, of_names = Conformity("x", schema, schema), Conformity("x", names, names)
    for text in texts:
        assert _takes(conformity, {"x": text}) == _adapts(adapter, text), (pattern, text)
        assert _takes(of_names, {text: "no number"}) != _adapts(adapter, text), (pattern, text)


def _takes(conformity: Conformity, data: dict[str, Any]) -> bool:
    try:
        return conformity.checked(data) == data
    except InvalidData:
        return False


def _adapts(adapter: TypeAdapter[Any], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True


class Old(Contract, name="test.names", version=1):
    number: str = Key()
    name: str = Field(pattern=r"^\w[\w \d-]*$", examples=["Łukasz", "日本 太郎"])
    spelt: str = Field(default="e", pattern=r"^[[:alpha:]]+$")
    letters: dict[Annotated[str, Field(pattern=r"^\p{L}+$")], int] = Field(default={})


class New(Contract, name="test.names", version=2):
    number: str = Key()
    name: str
    spelt: str = "e"
    letters: dict[Annotated[str, Field(pattern=r"^\p{L}+$")], int] = Field(default={})


@pytest.mark.parametrize("name", ["Łukasz", "日本 太郎", "Müller-Lüdenscheidt", "Ⅷ ٣", "e\u0301", "Ἀθηνᾶ"])
def test_old_data_in_any_script(name: str) -> None:
    """What the class of version 1 accepted is read as version 1 by a build that has version 2 alone."""
    data = Old(number="1", name=name, spelt="Le", letters={"Ł日": 1}).to_data()
    versions = Versions([known(Old)])
    assert versions.read(New, Old.ref(), data).to_data() == data
    assert versions.content(Old.ref(), data) == versions.content(Old.ref(), data, Old.from_data(data))
    with pytest.raises(InvalidData, match="spelt: does not fit pattern"):
        versions.read(New, Old.ref(), {**data, "spelt": "Łe"})


def test_examples_in_any_script_are_kept(tmp_path: Path) -> None:
    """An example that the class accepts is in a golden envelope, whatever letters it has; the next version reads it back."""
    registry = Registry(tmp_path)
    publish(decide(Old, registry, owner="names"), registry)
    assert {"Łukasz", "日本 太郎"} & {envelope.data["name"] for envelope in registry.golden(Old.ref())}
    assert decide(New, registry, owner="names", mode="BACKWARD").state == "new"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?i)^([a-z]+)+$", "a" * 39 + "!"),
        (r"^(\w+\s?)*$", "a" * 5000 + "!"),
        (r"^(a|a)*$", "a" * 5000 + "b"),
        (r"^(?=a)(a+)+$", "a" * 39 + "!"),
        (r"^(a+)+\1$", "a" * 39 + "!"),
        (r"^(?:a?){60}a{60}$", "a" * 59),
        (r"(x+x+)+y", "x" * 5000),
    ],
)
def test_no_pattern_runs_for_ever(pattern: str, text: str) -> None:
    """Patterns on which an engine that backtracks is busy for years are judged at once, as values and as names; what cannot be
    judged is refused."""
    for schema in (
        {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}},
        {"type": "object", "patternProperties": {pattern: {"type": "integer"}}, "additionalProperties": {"type": "integer"}},
        {"type": "object", "propertyNames": {"pattern": pattern}},
    ):  # fmt: skip
        conformity, began = Conformity("x", schema, schema), time.perf_counter()
        for data in ({"x": text}, {text: "x"}):
            _takes(conformity, data)
        assert time.perf_counter() - began < 5
    assert not _takes(
        Conformity(
            "x", {"properties": {"x": {"pattern": pattern}}}, {"properties": {"x": {"pattern": pattern}}}
        ),
        {"x": text},
    )


def test_python_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pattern of a schema reaches Python's own engine, wherever it stands and whatever it is."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("Python's engine was asked")

    pattern = r"^(?:(?=a)|(?!b))\w(?:a|(?=b))\1$"  # more than any of ours can judge
    part = {
        "type": "object",
        "patternProperties": {pattern: {"pattern": pattern}},
        "additionalProperties": {"pattern": pattern},
    }
    whole = {
        **part,
        "propertyNames": {"pattern": pattern},
        "unevaluatedProperties": False,
        "properties": {"y": part},
    }
    conformities = [Conformity("x", schema, schema) for schema in (part, whole)]
    for name in ("search", "match", "fullmatch"):
        monkeypatch.setattr(re, name, refuse)
    for conformity in conformities:
        assert not _takes(conformity, {"x": "a", "y": {"z": "b"}})


def test_the_tables_are_those_of_the_engine() -> None:
    """The tables of letters and digits that proofs go by are those of the engine that is installed, at each of their ends."""
    for kind, pattern in (("w", r"^\w$"), ("d", r"^\d$")):
        ranges = table("rust", kind)
        inside = {point for low, high in ranges for point in (low, high)}
        outside = {point for low, high in ranges for point in (low - 1, high + 1)} - inside
        assert all(matches(pattern, chr(point)) for point in inside)
        assert not any(matches(pattern, chr(point)) for point in outside if not 0xD800 <= point <= 0xDFFF)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the table is that of the oldest Python")
def test_the_tables_are_those_of_the_oldest_python() -> None:
    """Those for readers in Python are Python's."""
    for kind in "wd":
        every = re.compile(rf"\{kind}")
        ranges = table("python", kind)
        for low, high in ranges:
            assert every.match(chr(low))
            assert every.match(chr(high))
            assert not every.match(chr(low - 1))
            assert not every.match(chr(high + 1))


def test_a_proof_is_right_about_letters() -> None:
    """A letter that is one for some readers and not for others is not decided; one that is a letter for all who go by Unicode is no
    witness against them."""
    assert found_in(r"^\w+$", "Łukasz") is None  # a reader in JavaScript refuses it
    assert found_in(r"^[\wŁ]+$", "Łukasz") is True
    writer = {"type": "object", "properties": {"name": {"enum": ["Łukasz"]}}, "required": ["name"]}
    reader = {"type": "object", "properties": {"name": {"type": "string", "pattern": r"^\w+$"}}}
    assert compare(writer, reader).verdict == "unknown"
    letter = {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[Łł]$"}}}
    nothing = {"type": "object", "properties": {"name": {"type": "string", "pattern": r"^\W$"}}}
    assert compare(letter, nothing).verdict != "compatible"


class Part(BaseModel):
    model_config = ConfigDict(regex_engine="python-re")

    code: str = Field(pattern="^a+$")


@pytest.mark.parametrize(
    ("hint", "config"),
    [
        (Annotated[str, Field(pattern=re.compile("^a+$"))], {}),
        (list[Annotated[str, StringConstraints(pattern=re.compile("(?=a)"))]], {}),
        (dict[Annotated[str, Field(pattern=re.compile("^a$"))], int], {}),
        (Annotated[str, Field(pattern="^(?=a)")], {"regex_engine": "python-re"}),
        (list[Part] | None, {}),
    ],
)
def test_an_engine_that_backtracks_is_refused(hint: Any, config: Any) -> None:
    """A contract whose patterns Pydantic would give to Python's engine is refused where it is declared, at any depth, in a line."""
    namespace = {"__annotations__": {"x": hint}, "__module__": __name__, "model_config": config}
    with pytest.raises(ContractError, match="Python's own engine") as refused:
        type("Made", (Contract,), namespace, name="test.backtracking", version=1)
    assert "\n" not in str(refused.value)


def test_what_cannot_be_judged_is_not_published(tmp_path: Path) -> None:
    """A pattern in a schema of the author's own that no engine of ours can judge is refused before it is published."""

    class Made(Contract, name="test.unjudged", version=1):
        model_config = ConfigDict(json_schema_extra={"examples": [{"x": "a"}]})

        x: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^(?=a)"})]

    decision = decide(Made, Registry(tmp_path), owner="names")
    assert [problem.rule for problem in decision.problems] == ["schema"]
    assert "/properties/x/pattern" in decision.problems[0].text
    assert writes(Made)["properties"] == reads(Made)["properties"]
