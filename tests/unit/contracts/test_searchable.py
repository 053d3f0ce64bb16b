"""What is marked as searchable: which fields may be, what is kept of their values, and that a contract says the same with and without."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from handoffs import Contract, ExactDecimal, Key, Searchable, Sensitive, UntrustedText
from handoffs.contracts.errors import ContractError
from handoffs.contracts.schema import fingerprint, generated
from handoffs.contracts.searchable import LONGEST, MOST, beginning, fitting, kept, marks, value_text


class Country(Enum):
    DE = "de"


class Level(IntEnum):
    HIGH = 3


class Customer(BaseModel):
    number: Annotated[str, Searchable]
    name: str = ""


class Order(Contract, name="found.order", version=1):
    order: Annotated[str, Searchable] = Key()
    count: Annotated[int, Searchable]
    paid: Annotated[bool, Searchable()] = True
    price: Annotated[Decimal, Searchable] = Decimal("1.50")
    exact: Annotated[ExactDecimal, Searchable] = Decimal("2.0")
    day: Annotated[date, Searchable] = date(2026, 12, 1)
    country: Annotated[Country, Searchable] = Country.DE
    level: Annotated[Level, Searchable] = Level.HIGH
    way: Annotated[Literal["post", "hand"], Searchable] = "post"
    of: Annotated[UUID, Searchable] = UUID(int=7)
    said: Annotated[UntrustedText, Searchable] = UntrustedText("hello")
    maybe: Annotated[str, Searchable] | None = None
    renamed: Annotated[str, Searchable, Field(alias="asItIsWritten")] = "alias"
    customer: Customer | None = None
    plain: str = "not this"


def test_what_is_marked_is_told_by_the_names_of_its_fields() -> None:
    """As JSON has it, also of a model that is a field; what is None is not told, nor what is not marked."""
    order = Order(order="o-17", count=2, customer=Customer(number="c-9", name="Ann"))
    assert marks((Order, order.redacted())) == {
        "order": ["o-17"], "count": ["2"], "paid": ["true"], "price": ["1.50"], "exact": ["2.0"], "day": ["2026-12-01"],
        "country": ["de"], "level": ["3"], "way": ["post"], "of": [str(UUID(int=7))], "said": ["hello"], "renamed": ["alias"],
        "customer.number": ["c-9"],
    }  # fmt: skip


def test_what_was_given_and_what_was_made_is_told_once() -> None:
    """A value that both have is one, and one that differs is another; of what cannot be read nothing is told."""
    told = marks(
        (Order, Order(order="a", count=1).redacted()),
        (Order, Order(order="b", count=1).redacted()),
        (Order, None),
    )
    assert told["order"] == ["a", "b"]
    assert told["count"] == ["1"]


def _of(hint: Any) -> Callable[[], type[Contract]]:
    return lambda: type("Odd", (Contract,), {"__annotations__": {"field": hint}, "__module__": __name__})


class _Nested(BaseModel):
    secret: Annotated[SecretStr, Searchable]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_of(Annotated[Sensitive, Searchable]), "field 'field' is searchable, and sensitive"),
        (_of(Annotated[SecretStr | None, Searchable]), "sensitive"),
        (_of(_Nested), "field 'field.secret' is searchable, and sensitive"),
        (_of(Annotated[list[str], Searchable]), "no single text"),
        (_of(list[Annotated[str, Searchable]]), "no single text"),
        (_of(dict[str, Annotated[str, Searchable]]), "no single text"),
        (_of(Annotated[float, Searchable]), "no single text"),
        (_of(Annotated[Any, Searchable]), "no single text"),
        (_of(Annotated[Customer, Searchable]), "no single text"),
        (_of(Annotated[str | float, Searchable]), "no single text"),
    ],
)
def test_what_cannot_be_searchable_is_refused_where_it_is_declared(
    make: Callable[[], type[Contract]], why: str
) -> None:
    """A secret, and what is no single value."""
    with pytest.raises(ContractError, match=why):
        make()


def test_no_more_fields_are_searchable_than_an_entry_has_room_for() -> None:
    """And none with a name that no column takes."""
    many = {f"f{number}": Annotated[str, Searchable] for number in range(MOST + 1)}
    with pytest.raises(ContractError, match=f"{MOST + 1} fields are searchable, and {MOST} may be"):
        type("Many", (Contract,), {"__annotations__": many, "__module__": __name__})
    with pytest.raises(ContractError, match="a name of more than 120 characters"):
        type(
            "Long",
            (Contract,),
            {"__annotations__": {"f" * 121: Annotated[str, Searchable]}, "__module__": __name__},
        )


def test_a_mark_is_no_part_of_what_is_published() -> None:
    """The contract with and without it has one schema and one fingerprint: no new version is needed."""

    def declared(hint: Any) -> type[Contract]:
        class Same(Contract, name="found.same", version=1):
            order: hint

        return Same

    marked, plain = declared(Annotated[str, Searchable]), declared(str)
    assert generated(marked) == generated(plain)
    assert fingerprint(marked) == fingerprint(plain)


TEXTS = st.text(st.characters(), max_size=300)


@given(TEXTS, TEXTS)
def test_two_values_are_kept_as_the_same_only_where_they_are(one: str, two: str) -> None:
    """Whatever their length and characters; what is kept has a form that every database takes."""
    assert (kept(one) == kept(two)) == (one == two)
    assert len(kept(one)) <= LONGEST
    assert "\x00" not in kept(one)
    kept(one).encode()


@given(st.text(st.characters(), max_size=250), TEXTS)
def test_a_value_is_kept_as_it_begins(begin: str, rest: str) -> None:
    """So that it is found by that."""
    assert kept(begin + rest).startswith(beginning(begin)[: LONGEST - 64])


@pytest.mark.parametrize(
    "found",
    [
        None, 17, [], {"order": "o-17"}, {"order": [17]}, {"": ["x"]}, {"order": [""]}, {17: ["x"]},
    ],
)  # fmt: skip
def test_marks_that_are_none_are_passed_over(found: Any) -> None:
    """Whoever has written them."""
    assert list(fitting(found)) == []


def test_marks_that_do_not_fit_are_made_to() -> None:
    """A value that is too long is kept as its own writer would have; and no entry has more than some."""
    long = "x" * 500
    assert list(fitting({"order": [long, "a\x00", kept(long)]})) == [
        ("order", kept(long)), ("order", kept("a\x00")), ("order", kept(long)),
    ]  # fmt: skip
    assert len(list(fitting({"order": [str(number) for number in range(1_000)]}))) == 4 * MOST


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"), (17, "17"), (True, "true"), (Decimal("1.50"), "1.50"), (date(2026, 12, 1), "2026-12-01"), (Country.DE, "de"),
        (Level.HIGH, "3"), (UUID(int=7), str(UUID(int=7))), (None, ""), (1.5, ""), ([], ""),
        (datetime(2026, 12, 1, tzinfo=UTC), "2026-12-01T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_values_are_looked_for_as_they_are_told(value: Any, text: str) -> None:
    """By a program that has them as Python does."""
    assert value_text(value) == text
