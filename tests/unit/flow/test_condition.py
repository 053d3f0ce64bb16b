"""Conditions: what a flow may ask of a payload, how it is answered, and how it travels."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from handoffs import Contract
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.condition import Condition, condition_from, field

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
n, amount, rate, name, ok, at, day, note = map(
    field, ("n", "amount", "rate", "name", "ok", "at", "day", "note")
)


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


class Parcel(BaseModel):
    weight: float = 1.0
    size: Literal["s", "l"] = "s"


class Order(Contract, name="unit.condition-order", version=1):
    n: int = 3
    amount: Decimal = Decimal("10.50")
    rate: float = 0.1
    name: str = "b"
    ok: bool = True
    at: datetime = NOON
    day: date = date(2026, 11, 21)
    note: str | None = None
    level: Level = Level.LOW
    parcel: Parcel = Parcel()
    returned: Parcel | None = None
    renamed: int = Field(default=7, alias="was")
    pin: SecretStr = SecretStr("1234")
    lines: list[Parcel] = Field(default_factory=list)


DATA = Order().to_data()

HOLDS = [
    n == 3, n != 4, n < 4, n <= 3, n > 2, n >= 3, n == 3.0, n > Decimal("2.9"), n < 3.5,
    amount == Decimal("10.5"), amount > 10, amount < 10.6, amount == 10.5, amount != Decimal(10), amount >= Decimal("1e1"),
    rate == 0.1, rate == Decimal("0.1"), rate < 1,
    name == "b", name > "a", name < "ba", name != "B", name.is_in("a", "b"),
    ok == True, ok != False,  # noqa: E712 - it is no truth that is asked here
    at == NOON, at > datetime(2026, 11, 21, 11, 59, 59, 999999, tzinfo=UTC), at <= NOON,
    day == date(2026, 11, 21), day < date(2026, 11, 22),
    note == None, field("returned") == None,  # noqa: E711
    note != "x",
    n.exists(), field("parcel.weight").exists(), field("parcel.weight") == 1, field("parcel.size") == "s",
    field("level") == "low", field("was") == 7,
    (n == 3) & (name == "b"), (n == 4) | (name == "b"), ~(n == 4), ~note.exists(), n.is_in(1, 2, 3),
    ~field("returned.weight").exists(), n.is_in(None, 3),
]  # fmt: skip
FAILS = [
    n == 4, n != 3, n < 3, n <= 2, n > 3, n >= 4,
    amount == Decimal("10.51"), amount < 10, amount >= 10.51,
    rate > 0.1, rate > Decimal("0.1"), rate == 1,
    name == "B", name < "b", name.is_in("a", "c"), name.is_in(),
    ok == False, ok != True,  # noqa: E712
    at < NOON, at != NOON, day > date(2026, 11, 21), day == date(2026, 11, 20),
    note != None, note == "x", note.exists(), field("returned").exists(),  # noqa: E711
    (n == 3) & (name == "c"), (n == 4) | (name == "c"), ~(n == 3), n.is_in(None, 4),
    field("returned.weight") == 1, field("returned.weight") != 1,
]  # fmt: skip


@pytest.mark.parametrize("condition", HOLDS, ids=str)
def test_holds(condition: Condition) -> None:
    """It holds for the payload as it travels, its opposite does not, and the contract has what it asks for."""
    condition.check(Order)
    assert condition.holds(DATA)
    assert not (~condition).holds(DATA)
    assert condition_from(json.loads(json.dumps(condition.to_json()))).holds(DATA)


@pytest.mark.parametrize("condition", FAILS, ids=str)
def test_does_not_hold(condition: Condition) -> None:
    """It does not hold for the payload as it travels, its opposite does."""
    condition.check(Order)
    assert not condition.holds(DATA)
    assert (~condition).holds(DATA)
    assert not condition_from(json.loads(json.dumps(condition.to_json()))).holds(DATA)


@pytest.mark.parametrize("word", ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"])
@pytest.mark.parametrize("value", [3, "b", Decimal(1), NOON, date(2026, 1, 1), True])
def test_a_missing_field_compares_as_nothing_does(word: str, value: Any) -> None:
    """Whatever a field that is not there is compared with, by whatever word, it does not hold."""
    assert not getattr(n, word)(value).holds({})
    assert not getattr(field("n.deep"), word)(value).holds({"n": 3})
    assert not n.is_in(value, None).holds({})


@pytest.mark.parametrize("value", [3, "b", Decimal(1), NOON, date(2026, 1, 1), True])
def test_null_is_other_than_each_value(value: Any) -> None:
    """Null is not equal to a value and not in order with it; it is other than it."""
    null = {"n": None}
    assert (n != value).holds(null)
    assert not any(found.holds(null) for found in (n == value, n < value, n <= value, n > value, n >= value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["NaN", "sNaN", "Infinity", "1e999999", "2026-11-21", "2026-11-21T12:00:00Z", "9" * 5000, 10**400]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["n", "deep"]), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip
CONSTANTS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.dates(), st.datetimes().map(lambda time: time.replace(fold=0)),
    st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(fold=0)), st.decimals(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
WORDS = st.sampled_from(["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"])
ASKED = st.one_of(
    st.builds(lambda path, word, value: getattr(field(path), word)(value), st.sampled_from(["n", "n.deep"]), WORDS, CONSTANTS),
    st.builds(lambda values: n.is_in(*values), st.lists(CONSTANTS, max_size=3)),
    st.just(n.exists()),
)  # fmt: skip
CONDITIONS = st.recursive(
    ASKED,
    lambda inner: st.one_of(
        st.builds(lambda one, two: one & two, inner, inner),
        st.builds(lambda one, two: one | two, inner, inner),
        st.builds(lambda one: ~one, inner),
    ),
    max_leaves=5,
)


@given(condition=CONDITIONS)
def test_travels_as_json(condition: Condition) -> None:
    """As JSON and back it is the same condition, types of its constants included."""
    text = json.dumps(condition.to_json(), allow_nan=False)
    again = condition_from(json.loads(text))
    assert repr(again) == repr(condition)
    assert json.dumps(again.to_json()) == text


@given(condition=CONDITIONS, data=st.dictionaries(st.sampled_from(["n", "x"]), JSON, max_size=2))
def test_every_payload_gets_an_answer(condition: Condition, data: dict[str, Any]) -> None:
    """Whatever a payload holds, asking it gives yes or no, and the opposite for the opposite."""
    assert condition.holds(data) is not (~condition).holds(data)


@given(number=st.decimals(allow_nan=False, allow_infinity=False), limit=st.integers(-1000, 1000))
def test_decimals_are_compared_as_numbers(number: Decimal, limit: int) -> None:
    """A decimal travels as text, and is compared as a number with every kind of number."""
    data = {"amount": str(number)}
    for constant in (limit, float(limit), Decimal(limit)):
        assert (amount >= constant).holds(data) is (number >= limit)
        assert (amount == constant).holds(data) is (number == limit)


HOSTILE: list[Any] = [
    None, 3, "n", [], {}, {"all": "n"}, {"all": ["n"]}, {"any": [{}]}, {"any": None}, {"not": []}, {"not": {}}, {"field": "n"},
    {"field": "n", "is": "==", }, {"field": "n", "is": "===", "value": 3}, {"field": 3, "is": "==", "value": 3},
    {"field": "n", "is": ["=="], "value": 3}, {"field": "n", "is": "==", "value": [3]}, {"field": "n", "is": "==", "value": {}},
    {"field": "n", "is": "==", "value": {"decimal": "ten"}}, {"field": "n", "is": "==", "value": {"decimal": 10}},
    {"field": "n", "is": "<", "value": {"decimal": "NaN"}}, {"field": "n", "is": "<", "value": {"decimal": "Infinity"}},
    {"field": "n", "is": "<", "value": float("nan")}, {"field": "n", "is": "<", "value": float("inf")},
    {"field": "n", "is": "==", "value": {"time": "noon"}}, {"field": "n", "is": "==", "value": {"date": "2026-13-01"}},
    {"field": "n", "is": "==", "value": {"eval": "1"}}, {"field": "n", "in": 3}, {"field": "n", "in": [[]]},
    {"field": "n", "exists": False}, {"field": "n", "exists": 1}, {"field": "__class__.__init__()", "is": "call", "value": 1},
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_json_that_is_no_condition(value: Any) -> None:
    """What is no condition is refused with a ValueError, and with no other."""
    with pytest.raises(ValueError, match=r"it is no|Invalid isoformat|must be in"):
        condition_from(value)


@given(value=JSON)
def test_any_json_is_a_condition_or_refused(value: Any) -> None:
    """Any JSON is a condition, or a ValueError."""
    try:
        condition_from(value).holds(DATA)
    except ValueError:
        return


REFUSED = [
    (field("nothing") == 1, "has no field 'nothing'"),
    (field("parcel.nothing") == 1, "has no field 'parcel.nothing'"),
    (field("n.deep").exists(), "has no field 'n.deep'"),
    (field("lines.weight") == 1, "has no field 'lines.weight'"),
    (field("renamed") == 7, "has no field 'renamed'"),  # it travels by its alias
    (n == "3", "is int, and is compared with a str"),
    (n == True, "is int, and is compared with a bool"),  # noqa: E712
    (ok == 1, "is bool, and is compared with a int"),
    (name > 3, "is str, and is compared with a int"),
    (amount == "10.50", "is Decimal, and is compared with a str"),
    (at > date(2026, 11, 21), "is datetime, and is compared with a date"),
    (day > NOON, "is date, and is compared with a datetime"),
    (at == "2026-11-21", "is datetime, and is compared with a str"),
    (field("pin") == "1234", "is SecretStr"),
    (field("parcel") == "x", "is Parcel"),
    (n < None, "is compared with None by <"),
    (ok >= True, "is compared with True by >="),
    (n.is_in(1, "2"), "is int, and is compared with a str"),
    ((n == 3) & ((name == "b") | ~(field("nothing") == 1)), "has no field 'nothing'"),
]


@pytest.mark.parametrize(("condition", "text"), REFUSED, ids=lambda value: str(value)[:40])
def test_refused_by_the_contract(condition: Condition, text: str) -> None:
    """A field that the contract does not have, or of another type, is refused before the flow runs, and named."""
    with pytest.raises(FlowError, match=text):
        condition.check(Order)


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a b", "a-b", "1", "a..b", "a()", "a[0]", "\x1b[31m"])
def test_a_path_is_made_of_names(path: str) -> None:
    """A field is named by identifiers joined by dots, and nothing else."""
    with pytest.raises(FlowError, match="names no field"):
        field(path)


@pytest.mark.parametrize(
    "value", [[], {}, object(), b"x", 1j, n, float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")]
)
def test_constants(value: Any) -> None:
    """A field is compared with a text, a finite number, a date, true, false or null, and with no other field."""
    with pytest.raises(FlowError, match="is compared with"):
        _ = n == value
    with pytest.raises(FlowError, match="is compared with"):
        n.is_in(1, value)


def test_python_must_not_decide() -> None:
    """What would ask for a condition's truth while the flow is built is refused: and, or, not, chained comparisons."""
    few = n == 3
    for decide in (lambda: few and few, lambda: few or few, lambda: not few, lambda: 1 < n < 3):
        with pytest.raises(FlowError, match="asked for its truth"):
            decide()
    for other in (True, "n > 3", None, lambda data: True):
        with pytest.raises(FlowError, match="is no condition"):
            _ = (n == 3) & other  # type: ignore[operator]
        with pytest.raises(FlowError, match="is no condition"):
            _ = (n == 3) | other  # type: ignore[operator]


def test_reads_as_a_sentence() -> None:
    """People see a condition as text."""
    asked = (amount > Decimal(5000)) & ~field("name").is_in("DE", "FR") | (note == None) | note.exists()  # noqa: E711
    assert str(asked) == '(((amount > 5000 and not name in ("DE", "FR")) or note == null) or note is there)'
