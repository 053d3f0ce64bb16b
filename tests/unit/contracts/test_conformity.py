"""Conformity: data of older versions is judged in time that grows as the data does, whatever the schema says and whatever comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Discriminator, Field

from handoffs import Contract
from handoffs.contracts.compatibility.values import freeze
from handoffs.contracts.conformity import Conformity
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.versions import known


class Left(BaseModel):
    kind: Literal["left"] = "left"
    of: Left | Right | None = None


class Right(BaseModel):
    kind: Literal["right"] = "right"
    of: Left | Right | None = None


class Told(BaseModel):
    kind: Literal["told"] = "told"
    of: Annotated[Told | Other, Discriminator("kind")] | None = None


class Other(BaseModel):
    kind: Literal["other"] = "other"
    of: Annotated[Told | Other, Discriminator("kind")] | None = None


class Address(BaseModel):
    street: str = ""


class Tree(Contract, name="conformity.tree", version=1):
    either: Left | Right | None = None
    told: Annotated[Told | Other, Discriminator("kind")] | None = None
    numbers: set[int] = Field(default_factory=set)
    addresses: list[Address] = Field(default_factory=list)
    here: Address | None = None
    home: Address = Address()


VERSION = known(Tree)
TREE = Conformity("conformity.tree/1", VERSION.writes, VERSION.reads)


def conformity(reads: dict[str, Any]) -> Conformity:
    return Conformity("test.any/1", reads, reads)


@pytest.fixture(autouse=True)
def in_a_moment() -> Iterator[None]:
    begin = time.process_time()
    yield
    assert time.process_time() - begin < 15


def nested(depth: int, leaf: Any, kind: str) -> Any:
    for _ in range(depth):
        leaf = {"kind": kind, "of": leaf, "unknown": 1}
    return leaf


@pytest.mark.parametrize("depth", [1, 10, 60])
@pytest.mark.parametrize(
    ("field", "kind"), [("either", "left"), ("either", "right"), ("told", "told"), ("told", "other")]
)
def test_unions(field: str, kind: str, depth: int) -> None:
    """What several members of a union lead to is judged once for each, at each level, and not for each way that leads there; fields
    that nobody knows change nothing."""
    TREE.checked({field: nested(depth, None, kind)})
    TREE.content({field: nested(depth, None, kind)})
    for leaf in (5, {"kind": "none"}, {"kind": kind, "of": []}):
        with pytest.raises(InvalidData, match=r"is not a valid conformity\.tree/1"):
            TREE.checked({field: nested(depth, leaf, kind)})


def test_two_ways_to_one_definition() -> None:
    """Nor does it matter by which keyword it comes there."""
    twice = {
        "type": ["object", "null"],
        "properties": {"of": {"allOf": [{"$ref": "#/$defs/d1"}, {"$ref": "#/$defs/d1"}]}},
    }
    judged = conformity({"$ref": "#/$defs/d1", "$defs": {"d1": twice}})
    judged.checked(nested(60, None, "x"))
    with pytest.raises(InvalidData):
        judged.checked(nested(60, 5, "x"))


def test_a_reference_to_itself() -> None:
    """A schema by hand that says nothing but to look there is refused with that reason."""
    with pytest.raises(InvalidData, match="refers to itself without end"):
        conformity({"$ref": "#/$defs/d1", "$defs": {"d1": {"allOf": [{"$ref": "#/$defs/d1"}]}}}).checked({})


@pytest.mark.parametrize("numbers", [[number * (2**61 - 1) for number in range(20_000)], [*range(20_000)]])
def test_many_items_that_are_to_be_unique(numbers: list[int]) -> None:
    """Also where all have one hash."""
    TREE.checked({"numbers": numbers})
    TREE.content({"numbers": numbers})
    with pytest.raises(InvalidData, match="does not fit uniqueItems"):
        TREE.checked({"numbers": [*numbers, numbers[7]]})


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e300, 10**300, 2**53, "", "1", "true"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.lists(_values, max_size=6))
def test_what_is_equal(items: list[Any]) -> None:
    """Two items are alike as JSON values are: 1 is 1.0, and is neither true nor a text."""
    alike = len(set(map(freeze, items))) < len(items)
    judged = conformity({"properties": {"x": {"type": "array", "uniqueItems": True}}})
    try:
        judged.checked({"x": items})
    except InvalidData:
        assert alike
    else:
        assert not alike


def test_many_fields_that_nobody_knows() -> None:
    """They are taken out of each item, and of each place in which one object is; what was given stays as it was."""
    one = {"street": "a", "unknown": 1}
    data = {
        "addresses": [{"street": "a", "unknown": number} for number in range(10_000)],
        "here": one,
        "home": one,
        "x": 1,
    }
    kept = TREE.checked(data)
    assert kept["addresses"] == [{"street": "a"}] * 10_000
    assert (kept["home"], "x" in kept) == ({"street": "a"}, False)
    assert one == {"street": "a", "unknown": 1}


def test_many_faults() -> None:
    """A thousand are as good as all."""
    with pytest.raises(InvalidData, match=r"addresses\.0\.street") as refused:
        TREE.checked({"addresses": [{"street": number} for number in range(20_000)]})
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize(
    "pattern", [r"^(?!.*(?:a.{18}b)).*$", r"^(?=.*a)(?:[ab]?){60}[ab]{60}$", r"(?=a)(a|b)*a(a|b){14}$"]
)
def test_a_pattern_of_another_engine(pattern: str) -> None:
    """What Pydantic's engine does not take is judged by an automaton, or not at all: then the data is refused."""
    judged = conformity({"properties": {"x": {"type": "string", "pattern": pattern}}})
    for text in ("ab" * 100_000, "aab" * 80_000, "a" * 200_000 + "c"):
        try:
            judged.checked({"x": text})
        except InvalidData as error:
            assert "does not fit pattern" in str(error)  # noqa: PT017 - either is right
