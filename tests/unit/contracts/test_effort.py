"""Effort: small data that would keep a worker busy is refused at once, and no other."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Discriminator, Field

from handoffs import Contract
from handoffs.contracts.effort import effort
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.unions import Ambiguity, ambiguity

_MODULUS = 2**61 - 1
"""Integers that differ by a multiple of it have one hash."""


class Point(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: int
    y: int = 0


class Pair(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class Place:
    x: int


class Held(Contract, name="effort.held", version=1):
    numbers: set[int] = Field(default_factory=set)
    frozen: frozenset[int] = Field(default_factory=frozenset)
    decimals: set[Decimal] = Field(default_factory=set)
    ids: set[UUID] = Field(default_factory=set)
    either: set[int | str] = Field(default_factory=set)
    bare: set = Field(default_factory=set)  # type: ignore[type-arg]
    tuples: set[tuple[int, ...]] = Field(default_factory=set)
    pairs: set[Pair] = Field(default_factory=set)
    points: set[Point] = Field(default_factory=set)
    places: set[Place] = Field(default_factory=set)
    sets: set[frozenset[int]] = Field(default_factory=set)
    by_number: dict[int, int] = Field(default_factory=dict)
    by_decimal: dict[Decimal, int] = Field(default_factory=dict)
    by_id: dict[UUID, int] = Field(default_factory=dict)
    deep: dict[str, list[set[int]]] = Field(default_factory=dict)
    texts: set[str] = Field(default_factory=set)
    by_text: dict[str, Any] = Field(default_factory=dict)
    plain: list[int] = Field(default_factory=list)


def congruent(count: int) -> list[int]:
    return [number * _MODULUS for number in range(1, count + 1)]


def signs(number: int, length: int) -> list[int]:
    """Of -1 and -2, which have one hash."""
    return [-1 - (number >> place & 1) for place in range(length)]


COUNT = 20_000
COLLIDING: dict[str, Any] = {
    "numbers": congruent(COUNT),
    "frozen": [-number for number in congruent(COUNT)],
    "decimals": list(map(str, congruent(COUNT))),
    "ids": [str(UUID(int=number)) for number in congruent(COUNT)],
    "either": congruent(COUNT),
    "bare": congruent(COUNT),
    "tuples": [signs(number, 15) for number in range(COUNT)],
    "pairs": [[number, 1] for number in congruent(COUNT)],
    "points": [{"x": number, "ignored": f"{number:x}"} for number in congruent(COUNT)],
    "places": [{"x": number} for number in congruent(COUNT)],
    "sets": [[number] for number in congruent(COUNT)],
    "by_number": {str(number): 1 for number in congruent(COUNT)},
    "by_decimal": {f"{number}.0": 1 for number in congruent(COUNT)},
    "by_id": {UUID(int=number).hex: 1 for number in congruent(COUNT)},
    "deep": {"a": [[1], congruent(COUNT)]},
}


@pytest.mark.parametrize("field", COLLIDING)
def test_one_hash_of_many_is_refused(field: str) -> None:
    """Numbers, and whatever is made of them, that were chosen to have one hash are refused in a moment, in a set and as keys."""
    begin = time.process_time()
    with pytest.raises(InvalidData, match="differ and have one hash"):
        Held.from_data({field: COLLIDING[field]})
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("field", ["texts", "by_text", "plain"])
def test_what_is_not_hashed_is_not_asked(field: str) -> None:
    """Texts have random hashes, and lists none; numbers that come again are one."""
    values = congruent(50)
    data = {"texts": list(map(str, values)), "by_text": dict.fromkeys(map(str, values), 1), "plain": values}
    assert len(Held.from_data({field: data[field], "numbers": [_MODULUS] * 5_000}).numbers) == 1


@given(
    st.lists(st.integers(), max_size=300),
    st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), max_size=60),
)
def test_other_data_is_read(numbers: list[int], pairs: list[tuple[int, int]]) -> None:
    """Whatever else is in sets and keys is read as before."""
    data = {"numbers": numbers, "tuples": [*map(list, pairs)], "by_number": {str(one): 1 for one in numbers}}
    held = Held.from_data(data)
    assert (held.numbers, held.tuples, set(held.by_number)) == (set(numbers), set(pairs), set(numbers))


class Left(Contract, name="effort.left", version=1):
    kind: Literal["left"] = "left"
    of: Left | Right | None = None
    all: list[Left | Right] = Field(default_factory=list)


class Right(Contract, name="effort.right", version=1):
    kind: Literal["right"] = "right"
    of: Left | Right | None = None


class Told(BaseModel):
    kind: Literal["told"] = "told"
    of: Annotated[Told | Other, Discriminator("kind")] | None = None


class Other(BaseModel):
    kind: Literal["other"] = "other"
    of: Annotated[Told | Other, Discriminator("kind")] | None = None


class Plain(BaseModel):
    of: Plain | None = None
    all: list[Plain] = Field(default_factory=list)


class ToldContract(Contract, name="effort.told", version=1):
    of: Annotated[Told | Other, Discriminator("kind")]


Left.model_rebuild()
Right.model_rebuild()


class Rows(BaseModel):
    of: list[Rows] | tuple[Rows, ...] | dict[str, Rows] | int = 0


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (Left, Ambiguity(2, 1)), (Right, Ambiguity(2, 1)), (Plain, Ambiguity()), (Told, Ambiguity()), (Rows, Ambiguity(1, 2)),
        (Held, Ambiguity()), (Point, Ambiguity()),
    ],
)  # fmt: skip
def test_ambiguity(model: type[BaseModel], found: Ambiguity) -> None:
    """What is counted are the members of one union that lead back to it and can be of one JSON type; a discriminator chooses one."""
    assert ambiguity(model.__pydantic_core_schema__) == found


def nested(depth: int, leaf: Any, kind: str = "left") -> dict[str, Any]:
    made: Any = leaf
    for _ in range(depth):
        made = {"kind": kind, "of": made}
    return dict(made)


@pytest.mark.parametrize("leaf", [None, 5, {"kind": "x"}])
@pytest.mark.parametrize("depth", [20, 30, 60])
def test_a_union_that_is_tried_at_each_level_is_refused(depth: int, leaf: Any) -> None:
    """A kilobyte, nested deep, would be tried 2 ** depth times."""
    begin = time.process_time()
    with pytest.raises(InvalidData, match="discriminator"):
        Left.from_data(nested(depth, leaf))
    with pytest.raises(InvalidData, match="discriminator"):
        Left.from_data({"kind": "left", "all": [nested(depth, leaf)] * 100})
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("depth", [1, 5, 15])
def test_what_is_nested_less_deep_is_read(depth: int) -> None:
    """Also where it is wide, and where a discriminator tells which member is meant at any depth."""
    assert Left.from_data(nested(depth, None)).to_data()
    assert len(Left.from_data({"all": [nested(2, None)] * 5_000}).all) == 5_000
    assert ToldContract.from_data({"of": nested(depth * 4, None, "told")}).to_data()


@pytest.mark.parametrize("depth", [300, 600, 5_000, 100_000])
def test_what_is_nested_too_deep_is_a_typed_error(depth: int) -> None:
    """Wherever it is met: when a contract is made, checked, copied, written, shown or compared."""

    class Anything(Contract, name="effort.any", version=1):
        what: Any = None

    made: Any = 1
    for _ in range(depth):
        made = [made]
    bare = Anything.model_construct(what=made)
    for act in (
        lambda: Anything(what=made),
        lambda: Anything.model_validate({"what": made}),
        lambda: Anything.from_data({"what": made}),
        bare.model_copy, bare.to_data, bare.redacted, bare.to_comparable,
    ):  # fmt: skip
        with suppress(InvalidInput):
            act()
    with pytest.raises(InvalidInput):
        bare.to_data()


def test_what_costs_nothing_is_not_looked_at() -> None:
    """Of a contract without sets, keys of numbers or unions that lead back nothing is asked."""

    class Usual(Contract, name="effort.usual", version=1):
        number: int
        by_name: dict[str, set[str]] = Field(default_factory=dict)
        inner: Plain | int | None = None

    assert effort(Usual) is None
