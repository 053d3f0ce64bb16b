"""Contracts: strict, frozen, closed to writers and open to readers; keys, redaction, and errors without values."""

import json
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, ValidationError, computed_field, field_validator

from handoffs import Contract, ContractRef, ExactDecimal, Key, Sensitive
from handoffs.contracts.errors import ContractError, CoordinationError, InvalidData
from handoffs.contracts.text import MASK, is_plain

SECRET = "correct horse battery staple"


class Line(Contract):
    """A part of other contracts."""

    article: str
    note: Sensitive = Field(default="")  # type: ignore[assignment]


class Order(Contract, name="test.order", version=3):
    order: str = Key(min_length=1, max_length=300)
    amount: ExactDecimal = Decimal("1.00")
    count: int = 1
    pin: Sensitive | None = None
    lines: tuple[Line, ...] = ()
    kind: Literal["new", "old"] = "new"
    other_name: str = Field(default="", alias="otherName")


class Two(Contract, name="test.two", version=1):
    a: str = Key()
    b: int = Key()
    c: str = ""


def order(**values: Any) -> Order:
    return Order(**{"order": "o-1", **values})


def _line(text: str) -> Line:
    return Line(article="a", note=SecretStr(text))


class TestValues:
    @pytest.mark.parametrize(
        "values",
        [
            {"order": 1},
            {"count": "5"},
            {"count": 1.0},
            {"count": True},
            {"amount": 1.5},
            {"kind": "other"},
            {"lines": 3},
        ],
    )
    def test_strict(self, values: dict[str, Any]) -> None:
        """A value of another type is refused, by writers and by readers, though it could be converted."""
        with pytest.raises(ValidationError):
            order(**values)
        with pytest.raises(InvalidData):
            Order.from_data({"order": "o-1", **values})

    def test_frozen(self) -> None:
        """A contract cannot be changed."""
        with pytest.raises(ValidationError):
            order().count = 2  # type: ignore[misc]

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
    def test_finite(self, value: str) -> None:
        """A number is a number, and finite."""
        with pytest.raises(InvalidData):
            Order.from_data({"order": "o-1", "amount": value})

    def test_writers_are_closed(self) -> None:
        """A writer cannot set a field that is not declared."""
        with pytest.raises(TypeError, match="has no field 'colour'"):
            order(colour="red")

    def test_readers_are_open(self) -> None:
        """A reader ignores what it does not know, inside parts too."""
        read = Order.from_data({"order": "o-1", "colour": "red", "lines": [{"article": "a", "size": 3}]})
        assert read == order(lines=(Line(article="a"),))
        assert "colour" not in read.to_data()

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=5), st.text(max_size=10), st.integers())
    def test_round_trip(self, amount: Decimal, text: str, count: int) -> None:
        """What is written is read back equal, and is JSON; decimals travel as text."""
        written = order(amount=amount, count=count, pin=text, lines=(_line(text),), otherName=text)
        data = json.loads(json.dumps(written.to_data()))
        assert Order.from_data(data) == written
        assert isinstance(data["amount"], str)
        assert data["otherName"] == text

    def test_defaults_are_checked(self) -> None:
        """A default that the field does not take is refused."""

        class Wrong(Contract, name="test.wrong", version=1):
            count: int = Field(default="x")  # type: ignore[assignment]

        with pytest.raises(ValidationError):
            Wrong()


class TestKey:
    def test_one_field_is_the_key(self) -> None:
        """One key field gives its own text; several give all of them, in a form of their own; none give no key."""
        assert order().key() == "o-1"
        assert Two(a="x", b=1).key() == '{"a":"x","b":1}'
        assert Line(article="a").key() is None

    @given(st.text(max_size=4), st.integers(0, 9), st.text(max_size=4), st.integers(0, 9))
    def test_other_values_other_key(self, a: str, b: int, c: str, d: int) -> None:
        """Keys are equal where the key fields are, and only there."""
        assert (Two(a=a, b=b, c="1").key() == Two(a=c, b=d, c="2").key()) == ((a, b) == (c, d))

    @given(st.text(min_size=1, max_size=300))
    def test_always_usable(self, text: str) -> None:
        """A key is 1 to 200 printable characters, whatever the field holds, and the same each time."""
        key = order(order=text).key()
        assert key is not None
        assert 0 < len(key) <= 200
        assert is_plain(key)
        assert key == order(order=text, count=2).key()

    def test_empty_field_has_a_key(self) -> None:
        """An empty key field gives a key that is not empty."""

        class Empty(Contract, name="test.empty", version=1):
            text: str = Key()

        assert Empty(text="").key()

    def test_long_key_is_a_digest(self) -> None:
        """A key field that is too long, or not printable, gives a digest."""
        for text in ("x" * 201, "a\nb"):
            assert str(order(order=text).key()).startswith("sha256:")


class TestSecrets:
    def test_masked_everywhere_but_in_the_envelope(self) -> None:
        """Sensitive values are masked for people, at every depth, and whole in an envelope's data."""
        written = order(pin=SECRET, lines=(_line(SECRET),))
        assert written.to_data()["pin"] == written.to_data()["lines"][0]["note"] == SECRET
        assert written.redacted()["pin"] == written.redacted()["lines"][0]["note"] == MASK
        shown = repr(written) + str(written) + written.model_dump_json() + str(written.model_dump())
        assert SECRET not in shown

    @pytest.mark.parametrize(
        "data",
        [
            {"order": "o", "pin": [SECRET]},
            {"order": {"deep": SECRET}},
            {"order": "o", "kind": SECRET},
            {"order": "o", "lines": [{"article": 3, "note": {"x": SECRET}}]},
            {"order": "o", "amount": SECRET},
            {"order": "o", "count": SECRET},
        ],
    )
    def test_errors_show_no_value(self, data: dict[str, Any]) -> None:
        """An error names the field, in one line, and shows nothing of what was in it."""
        with pytest.raises(InvalidData) as caught:
            Order.from_data(data)
        text = str(caught.value)
        assert text.startswith("data is not a valid test.order/3: ")
        assert SECRET not in text
        assert "\n" not in text
        assert caught.value.__cause__ is None

    def test_tag_of_a_union_is_not_shown(self) -> None:
        """The tag of a union is a value too."""

        class Card(Contract):
            kind: Literal["card"]

        class Cash(Contract):
            kind: Literal["cash"]

        class Paid(Contract, name="test.paid", version=1):
            by: Card | Cash = Field(discriminator="kind")

        with pytest.raises(InvalidData) as caught:
            Paid.from_data({"by": {"kind": SECRET}})
        assert SECRET not in str(caught.value)

    def test_many_faults_are_counted(self) -> None:
        """Of many faults the first five are told, and how many more there are."""
        lines = [{"article": 1}] * 9
        with pytest.raises(InvalidData, match="and 4 more") as caught:
            Order.from_data({"order": "o", "lines": lines})
        assert str(caught.value).count("lines.") == 5

    @pytest.mark.parametrize("data", [None, [], "text", 3, {"order": object()}])
    def test_data_is_an_object(self, data: Any) -> None:
        """Data that is no JSON object is invalid data, not another error."""
        with pytest.raises(CoordinationError):
            Order.from_data(data)

    def test_raising_validator_is_invalid_data(self) -> None:
        """A validator that fails otherwise than by ValueError refuses the data, without showing it."""

        class Fussy(Contract, name="test.fussy", version=1):
            text: str

            @field_validator("text")
            @classmethod
            def _check(cls, text: str) -> str:
                raise KeyError(text)

        with pytest.raises(InvalidData) as caught:
            Fussy.from_data({"text": SECRET})
        assert SECRET not in str(caught.value)


class TestDeclaration:
    @pytest.mark.parametrize(
        ("name", "version"),
        [
            ("", 1), ("Test", 1), ("test_order", 1), ("1test", 1), ("test.", 1), ("a" * 121, 1), ("test\n", 1), (None, 1),
            ("test", 0), ("test", -1), ("test", True), ("test", "1"), ("test", 1.0), ("test", None), ("test", 10**9),
        ],
    )  # fmt: skip
    def test_malformed_name_or_version(self, name: Any, version: Any) -> None:
        """A malformed name or version is refused where it is declared."""
        with pytest.raises(ContractError):
            type("Wrong", (Contract,), {}, name=name, version=version)

    def test_part_cannot_travel(self) -> None:
        """A contract without a name is a part of others, and says how to name it."""
        with pytest.raises(ContractError, match="has no name and version"):
            Line.ref()

    @pytest.mark.parametrize(
        "hint", [Sensitive, Sensitive | None, tuple[Sensitive, ...], Line, dict[str, Line]]
    )
    def test_sensitive_key(self, hint: Any) -> None:
        """What is or holds a sensitive value cannot be a key."""
        with pytest.raises(ContractError, match="is sensitive"):
            type(
                "Wrong",
                (Contract,),
                {"__annotations__": {"pin": hint}, "pin": Key()},
                name="test.wrong",
                version=1,
            )

    def test_inherited_fields_keep_their_keys(self) -> None:
        """A contract has the fields and keys of its base, under a name of its own."""

        class Base(Contract):
            number: str = Key()

        class Derived(Base, name="test.derived", version=1):
            text: str = ""

        assert Derived(number="7").key() == "7"
        assert Base.__contract__ is None
        assert issubclass(Derived, BaseModel)


class TestRef:
    @given(
        st.from_regex(r"[a-z][a-z0-9]{0,5}([.-][a-z0-9]{1,5}){0,3}", fullmatch=True),
        st.integers(1, 10**9 - 1),
    )
    def test_round_trip(self, name: str, version: int) -> None:
        """A reference is read back from its URI, and shows as name/version."""
        ref = ContractRef(name, version)
        assert ContractRef.from_uri(ref.uri) == ref
        assert str(ref) == f"{name}/{version}"

    @pytest.mark.parametrize(
        "uri",
        ["", "urn:contract:", "urn:contract:a", "urn:contract:a:0", "urn:contract:a:01", "urn:contract:a:-1", "a:1",
         "urn:contract:A:1", "urn:contract:a:1 ", "urn:contract:a:1\n", "urn:contract::1", "URN:CONTRACT:a:1"],
    )  # fmt: skip
    def test_malformed(self, uri: str) -> None:
        """Any other URI is refused."""
        with pytest.raises(InvalidData, match="dataschema"):
            ContractRef.from_uri(uri)


def test_computed_fields_are_refused() -> None:
    """A field that only the writer computes is refused at declaration: no reader would know it."""
    with pytest.raises(ContractError, match="computes 'double'"):

        class Computed(Contract, name="test.computed", version=1):
            number: int

            @computed_field  # type: ignore[prop-decorator]
            @property
            def double(self) -> int:
                return self.number * 2


def test_names_of_the_function_around() -> None:
    """A contract that is declared in a function finds the names that are there, also where its annotations are texts."""

    class Inner(BaseModel):
        x: int

    class Outer(Contract, name="test.around", version=1):
        inner: "Inner"
        token: "SecretStr" = SecretStr("hush")

    made = Outer.from_data({"inner": {"x": 1}})
    assert made == Outer(inner=Inner(x=1), token=SecretStr("hush"))
