"""Annotations: a plain Decimal is found wherever it hides."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, NewType, Optional, Union

import pytest
from pydantic import BaseModel, Field, RootModel, SecretStr, create_model
from typing_extensions import TypedDict

from handoffs.contracts.annotations import plain_decimals
from handoffs.contracts.contract import Contract
from handoffs.contracts.fields import masked, sensitive_of
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


@pytest.mark.parametrize("secret", [False, True])
def test_models_that_lead_to_one_another(secret: bool) -> None:
    """Many models that all hold one another, as a syntax tree does, are looked through in no time, with a secret in one of them too."""
    names = [f"Node{number}" for number in range(14)]
    namespace: dict[str, Any] = {"BaseModel": BaseModel, "Optional": Optional, "SecretStr": SecretStr}
    for name in names:
        fields = [f'{one}: Optional["{one}"] = None' for one in names]
        fields += ["token: Optional[SecretStr] = None"] if secret and name == names[-1] else []
        exec(f"class {name}(BaseModel):\n    " + "\n    ".join(fields), namespace)
    for name in names:
        namespace[name].model_rebuild(_types_namespace=namespace)
    began, first, last = time.perf_counter(), namespace[names[0]], namespace[names[-1]]
    whole: Any = type(
        "Whole", (Contract,), {"__annotations__": {"tree": first}, "__module__": __name__}, name="test.whole-tree", version=1
    )  # fmt: skip
    made = whole(tree=first(Node13=last(token=SecretStr("hush")))) if secret else whole(tree=first())
    shown = [made.redacted(), masked(made.to_data(), sensitive_of(whole))]
    assert "hush" not in repr(shown)
    assert ("hush" in repr(made.to_data())) is secret
    assert time.perf_counter() - began < 10
