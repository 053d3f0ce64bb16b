"""Patterns of a contract: each is judged in bounded time, or refused in one line where it is declared."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field

from handoffs import Contract
from handoffs.contracts.conformity import Conformity
from handoffs.contracts.errors import ContractError, InvalidData
from handoffs.contracts.patternsize import MOST_STEPS, size


def declared(hint: Any, **config: Any) -> type[Contract]:
    """A contract with one field, ``x``."""
    body: dict[str, Any] = {"__annotations__": {"x": hint}, "__module__": __name__}
    if config:
        body["model_config"] = ConfigDict(**config)  # type: ignore[typeddict-item]
    made: type[Contract] = type("Declared", (Contract,), body, name="patterns.declared", version=1)
    return made


def patterned(pattern: Any, **field: Any) -> Any:
    return Annotated[str, Field(pattern=pattern, **field)]


REFUSED: dict[str, Any] = {
    "a count of counts": patterned("(a{1000}){1000}"),
    "counts four deep": patterned("^(((a{20}){20}){20}){20}$"),
    "a large count": patterned("[a-z]{1,20000}x"),
    "a large count of what may be nothing": patterned("(?:a?){5000}a{5000}"),
    "much of a large class": patterned(r"\w{3000}"),
    "a large count, with a longest text": patterned("[a-z]{1,5000}x", max_length=200_000),
    "looking ahead": patterned("(?=a)b"),
    "looking back": patterned("(?<!a)b"),
    "referring back": patterned(r"(a+)\1"),
    "an atomic group": patterned("(?>a+)b"),
    "no pattern": patterned("("),
    "nested without end": patterned("(" * 3_000 + ")" * 3_000),
    "compiled": patterned(re.compile("(a+)+$")),
    "compiled, in a union": patterned(re.compile("(a+)+$")) | int,
    "compiled, as a key": dict[patterned(re.compile("(?i)(a+)+$")), int],  # type: ignore[misc]
    "one that comes with the data": re.Pattern,
    "many that come with the data": dict[str, list[re.Pattern[str]]],
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_refused(which: str) -> None:
    """What an engine that never goes back does not take, or would be busy with for long, and what Python's own would judge, is
    refused in one line, in a moment, when the class is made."""
    begin = time.process_time()
    with pytest.raises(ContractError) as refused:
        declared(REFUSED[which])
    assert time.process_time() - begin < 5
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 800
    assert refused.value.remedy


@pytest.mark.parametrize("flags", ["", "(?i)", "(?m)", "(?x)", "(?P<whole>", r"\b"])
@pytest.mark.parametrize(
    "pattern",
    ["^([a-z]+)+$", "^(a|a)*$", "^(a|aa)+$", r"(\w+\s?)+$", "(.*)*c", "^(([a-z])+.)+[A-Z]([a-z])+$"],
)
def test_what_is_taken_takes_linear_time(flags: str, pattern: str) -> None:
    """What keeps an engine that goes back busy for years is judged in a moment, whatever stands before it."""
    contract = declared(patterned(f"{flags}{pattern}{')' if flags.endswith('>') else ''}"))
    older = Conformity("patterns.declared/1", *(2 * [contract.model_json_schema()]))
    begin = time.process_time()
    for text in ("a" * 50_000 + "!", "ab " * 20_000 + "!", "\n" * 50_000):
        for read in (contract.from_data, older.checked):
            try:
                read({"x": text})
            except InvalidData as error:
                assert "pattern" in str(error)  # noqa: PT017 - either is right
    assert time.process_time() - begin < 8


@pytest.mark.parametrize(
    "pattern",
    ["^[A-Za-z0-9 ]{1,4000}$", "^.{0,5000}$", r"^\d{4}-\d{2}-\d{2}$", r"^[^@\s]{1,64}@[^@\s]{1,255}$", "^(?:" + "|".join(map(str, range(2_000))) + ")$",
     "[a-z]{1,1000}", "^#(?:[0-9a-f]{3}){1,2}$", r"^\p{L}{1,80}$"],
)  # fmt: skip
def test_usual_patterns_are_taken(pattern: str) -> None:
    """Also those with counts of thousands, where a match begins with the text."""
    assert declared(patterned(pattern)).ref()
    assert declared(patterned("[a-z]{1,5000}x", max_length=10_000)).ref()


def test_a_published_file_by_hand() -> None:
    """A pattern that nobody would have taken is not asked of a long text: what cannot be judged in time does not fit."""
    schema = {"properties": {"x": {"type": "string", "pattern": "[a-z]{1,20000}x"}}}
    judged = Conformity("patterns.declared/1", schema, schema)
    assert judged.checked({"x": "abx"}) == {"x": "abx"}
    begin = time.process_time()
    with pytest.raises(InvalidData, match="does not fit pattern"):
        judged.checked({"x": "a" * 262_144})
    assert time.process_time() - begin < 3


Sized = tuple[str, int]

_atoms: st.SearchStrategy[Sized] = st.sampled_from(
    [
        ("a", 1),
        (r"\.", 1),
        (r"\d", 1),
        (r"\p{L}", 1),
        ("[a-z]", 1),
        (r"[^\]a]", 1),
        ("[]a]", 1),
        ("[[:alpha:]]", 1),
        (".", 1),
        ("", 0),
    ]
)


def _larger(inner: st.SearchStrategy[Sized]) -> st.SearchStrategy[Sized]:
    count = st.integers(1, 9)
    return st.one_of(
        st.tuples(inner, inner).map(lambda two: (two[0][0] + two[1][0], two[0][1] + two[1][1])),
        st.tuples(inner, count).map(lambda it: (f"(?:{it[0][0]}){{{it[1]}}}", it[0][1] * it[1])),
        st.tuples(inner, count).map(lambda it: (f"({it[0][0]}){{1,{it[1]}}}", it[0][1] * it[1])),
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}|{two[1][0]})", two[0][1] + two[1][1] + 1)),
        inner.map(lambda one: (f"({one[0]})+", one[1])),
        inner.map(lambda one: (f"(?i)(?P<name>{one[0]})?", one[1])),
    )


@given(st.recursive(_atoms, _larger, max_leaves=8))
def test_size(sized: Sized) -> None:
    """The places of a pattern are those of its parts, as often as they are counted."""
    pattern, places = sized
    assert size(pattern).places == places
    assert size(pattern).steps(1_000) == size(pattern).places * 1_000
    assert size(f"^{pattern}").steps(MOST_STEPS) >= size(pattern).places


@given(st.text(max_size=40) | st.text(alphabet="()[]{}|*+?\\^,0123456789a:P<>", max_size=40))
def test_anything_has_a_size(text: str) -> None:
    """What is no pattern at all, too: the engine is asked about that."""
    assert size(text).places >= 0
