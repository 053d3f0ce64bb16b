"""Annotations: a plain Decimal is found wherever it hides."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, NewType, Optional, Union

import pytest
from pydantic import BaseModel, Field, RootModel, create_model
from typing_extensions import TypedDict

from handoffs.contracts.annotations import plain_decimals
from handoffs.contracts.numbers import ExactDecimal

Price = NewType("Price", Decimal)


class Inner(BaseModel):
    price: Decimal
    exact: ExactDecimal


class Tree(BaseModel):
    price: Decimal
    inner: list[Tree] = []


class Typed(TypedDict):
    price: Decimal


class Named(NamedTuple):
    price: Decimal


@dataclass
class Data:
    price: Decimal


class Rooted(RootModel[list[Decimal]]):
    pass


@pytest.mark.parametrize(
    ("hint", "paths"),
    [
        (Decimal, ["/x"]),
        (Price, ["/x"]),
        (Optional[Decimal], ["/x"]),  # noqa: UP045 - as it may be written
        (Decimal | None, ["/x"]),
        (Union[int, Decimal], ["/x"]),  # noqa: UP007
        (Annotated[Decimal, Field(gt=0)], ["/x"]),
        (Annotated[Decimal | None, Field(gt=0)], ["/x"]),
        (list[Decimal], ["/x/*"]),
        (tuple[int, Decimal], ["/x/*"]),
        (dict[str, list[Annotated[Decimal, "money"]]], ["/x/*/*"]),
        (Inner, ["/x/price"]),
        (list[Inner | None], ["/x/*/price"]),
        (Tree, ["/x/price"]),
        (Typed, ["/x/price"]),
        (Named, ["/x/price"]),
        (Data, ["/x/price"]),
        (Rooted, ["/x/root/*"]),
        (ExactDecimal, []),
        (ExactDecimal | None, []),
        (list[ExactDecimal], []),
        (Annotated[ExactDecimal, Field(gt=0)], []),
        (Annotated[ExactDecimal | None, Field(gt=0)], []),
        (int | float | str | Any, []),
    ],
)
def test_found(hint: Any, paths: list[str]) -> None:
    """Its path is given; an ExactDecimal is none."""
    model = create_model("Model", x=(hint, ...))
    assert [*plain_decimals(model)] == paths


def test_alias() -> None:
    """A field is called as it is on the wire."""
    model = create_model("Model", x=(Decimal, Field(alias="amount")))
    assert plain_decimals(model) == ("/amount",)
