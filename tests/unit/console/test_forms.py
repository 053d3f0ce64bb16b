"""Forms of contracts: what is shown is what comes back, and what is wrong is told at its field."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from handoffs import Contract, Key
from handoffs.contracts.text import MASK
from handoffs.coordinator.console.forms.form import Form, filled, form_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str
    number: int | None = None


class Order(Contract, name="forms.order", version=1):
    order: str = Key()
    cents: Annotated[int, Field(ge=1)]
    price: Decimal = Decimal(1)
    paid: bool = False
    gift: bool | None = None
    colour: Colour = Colour.RED
    note: str = ""
    remark: str | None = None
    due: date | None = None
    address: Address
    second: Address | None = None
    tags: tuple[str, ...] = ()
    card: SecretStr | None = None


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cf", "Co", "Cn", "Zl", "Zp"]), max_size=20
)
addresses = st.builds(Address, street=texts, number=st.none() | st.integers(-5, 10**6))
orders = st.builds(
    Order,
    order=texts,
    cents=st.integers(1, 10**9),
    price=st.decimals(0, 10**6, places=2),
    paid=st.booleans(),
    gift=st.none() | st.booleans(),
    colour=st.sampled_from(Colour),
    note=texts,
    remark=st.none() | texts,
    due=st.none() | st.dates(),
    address=addresses,
    second=st.none() | addresses,
    tags=st.lists(texts, max_size=3).map(tuple),
    card=st.none() | texts.map(SecretStr),
)


def _typed(form: Form) -> dict[str, str]:
    """What a browser sends of a form in which nobody has typed anything."""
    return {one.name: one.value for one in form.fields if not one.locked}


@given(orders)
def test_what_nobody_changed_comes_back_as_it_was(order: Order) -> None:
    """A form that is sent as it was shown says what it was made of: every field, secrets still masked."""
    shown = order.redacted()
    found = filled(Order, _typed(form_of(Order, shown, locked=["order"])), shown, locked=["order"])
    assert found.form.is_sound, found.form.wrong
    assert found.data == shown


def test_a_key_stays_and_a_secret_is_not_shown() -> None:
    """A locked field is not taken from what was sent, and a secret is a mask; another may be given in its place."""
    shown = Order(order="o-1", cents=5, address=Address(street="a"), card=SecretStr("4111")).redacted()
    form = form_of(Order, shown, locked=["order"])
    assert "4111" not in repr(form)
    found = filled(Order, {**_typed(form), "data.order": "o-2", "data.card": "4222"}, shown, locked=["order"])
    assert found.data is not None
    assert (found.data["order"], found.data["card"]) == ("o-1", "4222")
    assert all(one.value in ("", MASK) for one in found.form.fields if one.kind == "secret")


@pytest.mark.parametrize(
    ("field", "typed", "path"),
    [
        ("data.cents", "0", "cents"),
        ("data.cents", "", "cents"),
        ("data.cents", "five", "cents"),
        ("data.tags", "[1", "tags"),
        ("data.colour", "green", "colour"),
        ("data.due", "tomorrow", "due"),
        ("data.address.number", "1.5", "address.number"),
        ("data.second", '{"number": 1}', "second.street"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(field: str, typed: str, path: str) -> None:
    """Each thing that a contract does not take is told where it was typed, or by its path where that is no field of the form."""
    shown = Order(
        order="o-1", cents=5, address=Address(street="a", number=1), due=date(2026, 1, 1)
    ).redacted()
    found = filled(Order, {**_typed(form_of(Order, shown)), field: typed}, shown)
    assert not found.form.is_sound
    assert path in found.form.wrong
    typed_in = [one for one in found.form.fields if one.name == field]
    assert [one.value for one in typed_in] == [typed]


@given(
    st.dictionaries(
        st.sampled_from([f"data.{name}" for name in Order.model_fields] + ["other"]), st.text(max_size=30)
    )
)
def test_whatever_is_sent_is_answered(sent: dict[str, str]) -> None:
    """Anything at all in any field is data of the contract, or told as wrong."""
    found = filled(Order, sent)
    assert found.form.is_sound == (found.data is not None and not found.form.wrong)
