"""Content: equal values are one content, in every process, of every build; other values are another."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from handoffs import Contract, ExactDecimal, Key
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.strictjson import digest
from handoffs.contracts.versions import Versions, known
from tests.examples import examples


class Colour(Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    tags: frozenset[str] = frozenset()
    weight: float = 1.0


class Parcel(Contract, name="test.parcel", version=1):
    """One of everything that has several spellings."""

    number: str = Key()
    price: ExactDecimal = Decimal(1)
    sent: datetime | None = None
    opens: time | None = None
    day: date | None = None
    weight: float = 0.0
    tags: frozenset[str] = frozenset()
    colours: set[Colour] = Field(default=set())
    parts: frozenset[Part] = frozenset()
    sizes: dict[str, set[int]] = Field(default={})
    prices: frozenset[ExactDecimal] = frozenset()
    seen: dict[datetime, int] = Field(default={})
    either: set[str] | int | None = None
    whatever: Any = None
    owner: UUID | None = None


class Sent(Contract, name="test.content-sent", version=1):
    parcel: Parcel = Key()


class Posted(Contract, name="test.content-posted", version=1):
    parcel: Parcel = Key()
    post: str = Key()


REF = Parcel.ref()
_zones = st.integers(-12 * 60, 12 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_moments = st.datetimes(datetime(1990, 1, 3), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_decimals = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=3)
_texts = st.text(max_size=3)
_parts = st.builds(Part, name=_texts, tags=st.frozensets(_texts, max_size=3), weight=st.floats(0, 9))
_parcels = st.fixed_dictionaries(
    {"number": st.just("1")},
    optional={
        "price": _decimals,
        "sent": _moments,
        "opens": st.times(timezones=st.just(UTC)),
        "day": st.dates(),
        "weight": st.floats(allow_nan=False, allow_infinity=False),
        "tags": st.frozensets(_texts, max_size=4),
        "colours": st.sets(st.sampled_from(Colour)),
        "parts": st.frozensets(_parts, max_size=3),
        "sizes": st.dictionaries(_texts, st.sets(st.integers(), max_size=3), max_size=2),
        "prices": st.frozensets(_decimals, max_size=3),
        "seen": st.dictionaries(_moments, st.integers(), max_size=2),
        "either": st.sets(_texts, max_size=3) | st.integers(),
        "whatever": st.dictionaries(_texts, st.integers(-(2**53), 2**53) | _texts, max_size=2),
        "owner": st.uuids(),
    },
)


def _respelt(value: Any, draw: st.DataObject) -> Any:  # noqa: PLR0911 - one for each type
    """An equal value, made in another way."""
    if isinstance(value, Decimal):
        return Decimal(f"{value}0" if "." in f"{value}" else f"{value}.0")
    if isinstance(value, datetime):
        return value.astimezone(draw.draw(_zones))
    if isinstance(value, time):
        return value.replace(tzinfo=timezone.utc)  # noqa: UP017
    if isinstance(value, float):
        return -0.0 if value == 0 else value
    if isinstance(value, (set, frozenset)):
        return type(value)(_respelt(item, draw) for item in draw.draw(st.permutations(list(value))))
    if isinstance(value, dict):
        pairs = draw.draw(st.permutations(list(value.items())))
        return {_respelt(key, draw): _respelt(inner, draw) for key, inner in pairs}
    return value


@examples(30)
@given(fields=_parcels, data=st.data())
def test_equal_values_are_one_content(fields: dict[str, Any], data: st.DataObject) -> None:
    """However equal values are spelt, held or written, whether they are read by the class or by the schema of their version alone:
    their contents have one name. Reading what was written changes nothing."""
    versions = Versions([known(Parcel)])
    one, other = Parcel(**fields), Parcel(**{name: _respelt(value, data) for name, value in fields.items()})
    assert one == other
    names = {
        versions.content(REF, made.to_data(), payload)
        for made in (one, other)
        for payload in (made, Parcel.from_data(json.loads(json.dumps(made.to_data()))), None)
    }
    assert len(names) == 1
    assert names == {digest(one.to_comparable())}
    assert Sent(parcel=one).key() == Sent(parcel=other).key()
    assert Posted(parcel=one, post="a").key() == Posted(parcel=other, post="a").key()


@examples(30)
@given(fields=_parcels, data=st.data())
def test_other_values_are_another_content(fields: dict[str, Any], data: st.DataObject) -> None:
    """A contract that is not equal has another content, read in either way."""
    versions = Versions([known(Parcel)])
    one, other = Parcel(**fields), Parcel(**{**fields, **data.draw(_parcels)})
    for payloads in ((one, other), (None, None)):
        names = [
            versions.content(REF, made.to_data(), payload)
            for made, payload in zip((one, other), payloads, strict=True)
        ]
        assert (names[0] == names[1]) == (one == other)


def test_a_usual_spelling_is_what_the_release_before_called_it() -> None:
    """Content without sets, zeros that say nothing and other zones has the name that it had: nothing of an upgrade is seen."""
    parcel = Parcel(
        number="1",
        price=Decimal("1.5"),
        sent=datetime(2026, 1, 1, tzinfo=UTC),
        weight=2.0,
        whatever={"a": [1, "b"]},
    )
    versions = Versions([known(Parcel)])
    assert versions.content(REF, parcel.to_data(), parcel) == digest(parcel.to_data())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"price": Decimal("1E+2")}, {"price": Decimal(100)}),
        ({"price": Decimal("-0.00")}, {"price": Decimal(0)}),
        ({"whatever": 1}, {"whatever": 1.0}),
        ({"whatever": [{"a": 2.0}]}, {"whatever": [{"a": 2}]}),
        ({"opens": time(1, tzinfo=timezone(timedelta(hours=2)))}, {"opens": time(0, 30, tzinfo=timezone(timedelta(hours=1.5)))}),
        ({"seen": {datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))): 1}}, {"seen": {datetime(2026, 1, 1, tzinfo=UTC): 1}}),
    ],
)  # fmt: skip
def test_the_same_in_other_words(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Values that Python takes for equal are one content."""
    first, second = Parcel(number="1", **one), Parcel(number="1", **other)
    assert first == second
    assert digest(first.to_comparable()) == digest(second.to_comparable())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"whatever": ["a", "b"]}, {"whatever": ["b", "a"]}),
        ({"whatever": True}, {"whatever": 1}),
        ({"whatever": "1.0"}, {"whatever": "1.00"}),
        ({"tags": frozenset({"1.0"})}, {"tags": frozenset({"1.00"})}),
        ({"number": "é"}, {"number": "e\u0301"}),
    ],
)
def test_what_only_looks_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The order of a list, true and 1, texts that look like numbers or alike: these are other contents."""
    first, second = Parcel(**{"number": "1", **one}), Parcel(**{"number": "1", **other})
    assert digest(first.to_comparable()) != digest(second.to_comparable())


_PROGRAM = """
from tests.unit.contracts.test_content import *
words = [str(number) for number in range(20)]
parts = frozenset(Part(name=word, tags=frozenset(words)) for word in words)
parcel = Parcel(number="1", tags=frozenset(words), parts=parts, either=set(words), colours={*Colour}, whatever={"a": set(words)})
class Place(Contract, name="test.place", version=1):
    rooms: frozenset[str] = Key()
print(json.dumps(parcel.to_data()), json.dumps(parcel.redacted()), digest(parcel.to_comparable()), Place(rooms=frozenset(words)).key())
"""


def test_every_process_writes_the_same() -> None:
    """On another hash seed a set is written, shown and named in the same order, at any depth, as a key too."""
    said = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("Infinity")])
def test_no_number_that_is_none(number: Any) -> None:
    """NaN and infinities are refused by name wherever Pydantic would write null, or nothing would stop them: it is not sent."""
    for value in (number, [number], {"a": {"b": number}}, {number}):
        parcel = Parcel(number="1", whatever=value)
        for way in (parcel.to_data, parcel.to_comparable):
            with pytest.raises(InvalidData, match="whatever: a number is NaN or infinite"):
                way()
        parcel.redacted()  # for people it is shown as well as can be
    if isinstance(number, float):
        with pytest.raises(InvalidData, match=r"parts\.weight: a number is NaN"):
            Parcel(number="1", parts=frozenset({Part.model_construct(name="a", weight=number)})).to_data()


def test_what_a_default_makes_up() -> None:
    """A field that a message leaves out, and that is made up anew each time it is read, is no part of its content; a default that is
    always the same is."""

    class Made(Contract, name="test.made", version=1):
        number: str = Key()
        at: float = Field(default_factory=iter(range(100)).__next__)
        note: str = "none"

    versions = Versions([known(Made)])
    data = {"number": "1"}
    names = {versions.content(Made.ref(), data, Made.from_data(data)) for _ in range(3)}
    names.add(versions.content(Made.ref(), data, Made.from_data({**data, "note": "none"})))
    assert len(names) == 1
    assert (
        Made(number="1").to_comparable() != Made(number="1").to_comparable()
    )  # whoever starts it has said so


def test_a_version_that_is_not_known() -> None:
    """Of a version that nobody knows here, the same text is the same content."""
    assert Versions().content(REF, {"a": [2, 1]}) == digest({"a": [2, 1]})
