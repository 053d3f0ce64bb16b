"""Conditions: what a flow may ask of a payload, how it is answered, and how it travels."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    NaiveDatetime,
    PastDatetime,
    SecretStr,
    field_serializer,
    field_validator,
)

from handoffs import Contract
from handoffs.coordinator.errors import FlowError, Unanswerable
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


def unanswerable(condition: Condition, data: dict[str, Any]) -> None:
    """Neither it nor its opposite holds, here and where it has travelled: that cannot be said."""
    for one in (condition, ~condition, condition_from(json.loads(json.dumps(condition.to_json())))):
        with pytest.raises(Unanswerable, match="cannot be answered") as caught:
            one.holds(data)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("word", ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"])
@pytest.mark.parametrize("value", [3, "b", Decimal(1), NOON, date(2026, 1, 1), True])
def test_what_is_not_there_is_not_compared(word: str, value: Any) -> None:
    """Whatever a field that is not there, or whose part is null, is compared with, by whatever word: there is no answer."""
    payloads: list[dict[str, Any]] = [{}, {"n": None}, {"n": 3}, {"n": {}}, {"n": {"deeper": 1}}]
    for data in payloads:
        unanswerable(getattr(field("n.deep"), word)(value), data)
    unanswerable(getattr(n, word)(value), {"x": 1})
    unanswerable(n.is_in(value, None), {})


@pytest.mark.parametrize("value", [3, "b", Decimal(1), NOON, date(2026, 1, 1), True])
def test_null_is_other_than_each_value(value: Any) -> None:
    """Null is not equal to a value, and other than it; whether it comes before it cannot be said."""
    null = {"n": None}
    assert (n != value).holds(null)
    assert not (n == value).holds(null)
    for ordered in (n < value, n <= value, n > value, n >= value):
        unanswerable(ordered, null)


KINDS: dict[
    str, tuple[list[Any], list[Any]]
] = {  # what is compared within a kind: constants, and values as they travel
    "number": ([3, 2.5, Decimal("1.5")], [3, 2.5, -1, "1.50"]),
    "text": (["b"], ["secret", "b", ""]),
    "flag": ([True], [True, False]),
    "with a zone": ([NOON], ["2026-11-21T12:00:00Z", "2026-11-21T14:00:00+02:00"]),
    "without a zone": ([NOON.replace(tzinfo=None)], ["2026-11-21T12:00:00", "2026-11-21T12:00:00.000001"]),
    "date": ([date(2026, 11, 21)], ["2026-11-21"]),
}


@pytest.mark.parametrize("word", ["__eq__", "__ne__", "__lt__", "__ge__"])
def test_kinds_are_not_mixed(word: str) -> None:
    """What is of one kind is compared, and nothing with another kind: no text with a number, no truth with a number, no time
    without a zone with one that has it, no date with a time, and nothing with a list or an object."""
    for kind, (constants, _) in KINDS.items():
        for constant in constants:
            asked = getattr(n, word)(constant)
            for other, (_, values) in KINDS.items():
                for value in values:
                    if kind == other:
                        assert asked.holds({"n": value}) is not (~asked).holds({"n": value})
                    elif kind != "text" or not isinstance(value, str):  # all of these are texts to a text
                        unanswerable(asked, {"n": value})
            for value in (
                [constant] if isinstance(constant, int) else [],
                {},
                "NaN" if kind != "text" else 1,
            ):
                unanswerable(asked, {"n": value})


def test_of_several_kinds() -> None:
    """Among constants of several kinds those count that a value can be compared with; where none can, there is no answer."""
    mixed = n.is_in("a", 7)
    assert [mixed.holds({"n": value}) for value in ("a", "b", 7, 8, None)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    unanswerable(mixed, {"n": True})
    unanswerable(n.is_in(1, 2), {"n": "1x"})


def test_guarded() -> None:
    """Where one part decides, the others need no answer, in whichever order they are written."""
    returned, heavy = field("parcel"), field("parcel.weight") > 1
    for guarded in (returned.exists() & heavy, heavy & returned.exists()):
        assert not guarded.holds({"parcel": None})
        assert guarded.holds({"parcel": {"weight": 2}})
    for opened in (~returned.exists() | heavy, heavy | ~returned.exists()):
        assert opened.holds({"parcel": None})
        assert not opened.holds({"parcel": {"weight": 1}})
    unanswerable(returned.exists() | heavy, {"parcel": None})
    unanswerable(~returned.exists() & heavy, {"parcel": None})


def test_members_and_uuids() -> None:
    """A member of an enumeration is compared as its value, a UUID as its text."""
    known = UUID("6f9a3b0e-5d0b-5a37-9a54-3b0f6e0a1c42")
    assert (field("level") == Level.LOW).holds(DATA)
    assert field("level").is_in(Level.HIGH, Level.LOW).holds(DATA)
    assert (n == known).holds({"n": str(known)})
    assert json.dumps((n == Level.LOW).to_json()) == json.dumps((n == "low").to_json())


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
    """Whatever a payload holds, asking it gives yes or no, and the opposite for the opposite; or both say that they cannot be
    answered."""
    try:
        answer = condition.holds(data)
    except Unanswerable:
        unanswerable(condition, data)
    else:
        assert answer is not (~condition).holds(data)


@given(one=CONDITIONS, other=CONDITIONS, data=st.dictionaries(st.sampled_from(["n", "x"]), JSON, max_size=2))
def test_the_order_of_parts_does_not_matter(one: Condition, other: Condition, data: dict[str, Any]) -> None:
    """What is combined gives the same answer, or none, in whichever order, and as its opposite says it."""
    answers: list[bool | None] = []
    for condition in (one & other, other & one, ~(~one | ~other)):
        try:
            answers.append(condition.holds(data))
        except Unanswerable:
            answers.append(None)
    assert len(set(answers)) == 1


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


class Several(Contract, name="unit.condition-several", version=1):
    """Fields of several types, and of types that say more than Python's own."""

    code: int | str = 1
    price: Decimal | str = Decimal(1)
    due: datetime | str = "never"
    when: date | datetime = date(2026, 1, 1)
    aware: AwareDatetime = NOON
    naive: NaiveDatetime | None = None
    past: PastDatetime = datetime(2020, 1, 1, tzinfo=UTC)
    number: UUID = UUID(int=1)
    level: Level | None = None
    size: Literal["s", 5] = 5
    count: NewType("Count", int) = 1  # type: ignore[valid-type]
    anything: Any = None


REFUSED_OF_SEVERAL = [
    (field("code") == 7, "int, str, which are written alike"),
    (field("price") > 7, "written alike"),
    (field("due") < NOON, "written alike"),
    (field("due") == "never", "written alike"),
    (field("when") == date(2026, 1, 1), "written alike"),
    (field("when") < NOON, "written alike"),
    (field("aware") < NOON.replace(tzinfo=None), "compared with a datetime without a zone"),
    (field("naive") < NOON, "compared with a datetime with a zone"),
    (field("past") < date(2026, 1, 1), "compared with a date"),
    (field("past") < NOON.replace(tzinfo=None), "compared with a datetime without a zone"),
    (field("number") == "6F9A", "is UUID, and is compared with a str"),
    (field("level") == 1, "compared with a int"),
    (field("count") == "1", "compared with a str"),
]


@pytest.mark.parametrize(("condition", "text"), REFUSED_OF_SEVERAL, ids=lambda value: str(value)[:40])
def test_refused_by_what_the_types_say(condition: Condition, text: str) -> None:
    """What cannot be told apart in a message, or never fits, is refused before the flow runs."""
    with pytest.raises(FlowError, match=text):
        condition.check(Several)


@pytest.mark.parametrize(
    "condition",
    [
        field("code") == "7", field("aware") < NOON, field("naive") < NOON.replace(tzinfo=None), field("past") < NOON,
        field("number") == UUID(int=2), field("number") == str(UUID(int=2)), field("level") == Level.HIGH,
        field("size") == "s", field("count") > 0, field("anything") == 5, field("anything") < NOON,
    ],
    ids=str,
)  # fmt: skip
def test_accepted_by_what_the_types_say(condition: Condition) -> None:
    """What fits one of a field's types, and is not mistaken for another, may be asked."""
    condition.check(Several)


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


class Urgency(IntEnum):
    NOW = 1
    LATER = 2


class Price(Enum):
    LOW = Decimal("1.50")
    HIGH = Decimal(9)


class Counted(Contract, name="unit.condition-counted", version=1):
    """Fields whose declaration counts what they can be, some of which code of the contract's own makes into something else."""

    level: Level = Level.LOW
    state: Literal["approved", "refused"] | None = None
    urgency: Urgency = Urgency.NOW
    price: Price = Price.LOW
    some: Annotated[Literal["a", "b"] | Level, Field(description="several")] = "a"
    mixed: Literal["a"] | int = 1
    parcel: Parcel | None = None
    only: Literal[Level.HIGH] = Level.HIGH
    yes: Literal[True] = True
    loud: Annotated[Literal["a"], AfterValidator(str.upper)] = "a"
    read: Annotated[Literal["a"], BeforeValidator(str.lower)] = "a"
    told: Literal["a"] = "a"
    checked: Literal["a"] = "a"

    @field_serializer("told")
    def _told(self, value: str) -> str:
        return value * 2

    @field_validator("checked")
    @classmethod
    def _checked(cls, value: str) -> str:
        return value * 2


NEVER = [
    (
        field("state") == "aproved",
        '\'state\' of Counted is never "aproved".*what it may be: "approved", "refused"',
    ),
    (field("state") != "aproved", "is never"),
    (field("state").is_in("approved", "denied"), 'is never "denied"'),
    (~(field("state") == "aproved") & field("state").exists(), 'is never "aproved"'),
    (field("level") == "middle", 'what it may be: "low", "high"'),
    (field("urgency") == 3, "is never 3.*what it may be: 1, 2"),
    (field("price") == 2, 'is never 2.*what it may be: "1.50", "9"'),
    (field("some") == "c", 'what it may be: "a", "b", "low", "high"'),
    (field("mixed") == "b", 'is never "b".*what it may be: "a"'),
    (field("parcel.size") == "m", 'what it may be: "s", "l"'),
    (field("only") == Level.LOW, 'what it may be: "high"'),
    (field("yes") == False, "is never False"),  # noqa: E712
    (field("read") == "A", 'what it may be: "a"'),
]


@pytest.mark.parametrize(("condition", "text"), NEVER, ids=lambda value: str(value)[:40])
def test_what_a_field_can_never_be_is_not_asked(condition: Condition, text: str) -> None:
    """Where a Literal or an Enum counts the values of a field, another is refused in one line that names them."""
    with pytest.raises(FlowError, match=text) as caught:
        condition.check(Counted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "condition",
    [
        field("state") == "approved", field("state") == None, field("level") == Level.HIGH,  # noqa: E711
        field("urgency") == 2.0, field("urgency") > 7, field("urgency") < Decimal("0.5"), field("price") == Decimal("1.5"),
        field("price") == 9, field("some").is_in("a", "high"), field("mixed") == "a", field("level") > "m",
        field("parcel.size") == "l", field("yes") == True, field("loud") == "A", field("told") == "aa",  # noqa: E712
        field("checked") == "aa", field("read") == "a",
    ],
    ids=str,
)  # fmt: skip
def test_what_a_field_may_be_is_asked(condition: Condition) -> None:
    """Its members are compared as they are written; what code of the contract makes of them is not known, and not refused; an
    order is one with any value."""
    condition.check(Counted)


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
