"""What is cached by some fields of an input is the outcome of another input: it must be known to say the same of this one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, create_model

from handoffs import Contract, Flow, Key, agent, budget, cached, constant
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.step import Step
from tests.examples import examples

_SOON = timedelta(seconds=1)


class Order(Contract, name="cached.order", version=1):
    number: str = Key()
    sku: str
    customer: str
    pieces: int = Field(default=1, alias="count")


class Price(Contract, name="cached.price", version=1):
    """What depends on the sku alone."""

    cents: int


class Quote(Contract, name="cached.quote", version=1):
    number: str = Key()
    cents: int


class Two(Contract, name="cached.two", version=1):
    number: str = Key()
    sku: str = Key()


class Echo(Contract, name="cached.echo", version=1):
    customer: str
    count: int


class Slip(Contract, name="cached.slip", version=1):
    class Of(Contract):
        number: str

    of: list[Of] = Field(default_factory=list)


class Label(Contract, name="cached.label", version=1):
    """What the sku says, and for whom."""

    sku: str = Key()
    number: str


class Tray(Contract, name="cached.tray", version=1):
    sku: str = Key()
    slip: Slip


def _flow(gives: type[Contract], *by: str, shared: bool = False, takes: type[Contract] = Order) -> Flow:
    def work(order: Any) -> Any: ...

    work.__annotations__ = {"order": takes, "return": gives}
    step: Step = agent("cached.work")(work)
    other = agent("cached.other")(work)
    kept = cached(*by, max_age=_SOON, otherwise=other, shared=shared)
    return Flow("cached.flow", budget(step, within=_SOON, fallback=kept))


class TestWhatItSays:
    @pytest.mark.parametrize(
        ("gives", "by", "left_out"),
        [
            (Quote, ["sku"], "number"),
            (Order, ["sku", "customer"], "number"),
            (Two, ["sku"], "number"),
            (Two, ["number"], "sku"),
            (Echo, ["customer"], "count"),
            (Echo, ["sku"], "customer, count"),
            (Slip, ["sku"], "of.number"),
            (Label, ["sku"], "number"),
            (Label, ["number"], "sku"),
            (Tray, ["sku"], "slip.of.number"),
        ],
    )
    def test_refused(self, gives: type[Contract], by: list[str], left_out: str) -> None:
        """A key field of the outcome that the cache leaves out is refused where the flow is built; so is, where it has none, a
        field of the input that it says back, and the input's key wherever it is in it. The error names them."""
        with pytest.raises(FlowError, match=f"says {left_out}, which these do not determine") as caught:
            _flow(gives, *by)
        assert "shared=True" in caught.value.remedy

    @pytest.mark.parametrize(
        ("gives", "by"),
        [
            (Price, ["sku"]),
            (Quote, ["number"]),
            (Quote, ["sku", "number"]),
            (Order, ["number"]),
            (Two, ["number", "sku"]),
            (Echo, ["customer", "count"]),
            (Slip, ["number"]),
            (Label, ["sku", "number"]),
            (Tray, ["sku", "number"]),
        ],
    )
    def test_accepted(self, gives: type[Contract], by: list[str]) -> None:
        """What these fields determine may be kept."""
        _flow(gives, *by)

    def test_shared(self) -> None:
        """Whoever writes the flow may say that another's outcome will do."""
        _flow(Quote, "sku", shared=True)

    @examples(40)
    @given(
        st.sets(st.sampled_from("abcd"), min_size=1),
        st.sets(st.sampled_from("abcd")),
        st.sets(st.sampled_from("abcd"), min_size=1),
    )
    def test_whatever_the_fields(self, has: set[str], keys: set[str], by: set[str]) -> None:
        """An outcome with key fields is kept by fields that include them, and by no others."""
        every: dict[str, Any] = dict.fromkeys("abcd", (str, ...))
        inputs = create_model(
            "Inputs", __base__=Contract, __cls_kwargs__={"name": "cached.in", "version": 1}, **every
        )
        fields: dict[str, Any] = {name: (str, Key() if name in keys else ...) for name in has | keys}
        outcome = create_model(
            "Outcome", __base__=Contract, __cls_kwargs__={"name": "cached.out", "version": 1}, **fields
        )
        wanted = keys or has
        if wanted <= by:
            _flow(outcome, *sorted(by), takes=inputs)
        else:
            with pytest.raises(FlowError, match="do not determine"):
                _flow(outcome, *sorted(by), takes=inputs)


def test_a_constant_takes_its_place() -> None:
    """What is kept may end with a constant too."""

    @agent("cached.work")
    def work(order: Order) -> Price:
        return Price(cents=len(order.sku))

    kept = cached("sku", max_age=_SOON, otherwise=constant(Price(cents=1)))
    Flow("cached.flow", budget(work, within=_SOON, fallback=kept))
