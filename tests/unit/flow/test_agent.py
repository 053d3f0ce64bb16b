"""An agent is a function from one contract to another, and says so by its annotations."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Key
from handoffs.contracts.errors import ContractError
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.agent import Agent, agent
from handoffs.coordinator.flow.context import Context
from handoffs.coordinator.flow.retry import Retry
from tests.store_suite import make_settings


class Order(Contract, name="test.order", version=1):
    order: str = Key()


class Unkeyed(Contract, name="test.unkeyed", version=1):
    text: str = ""


class Part(Contract):
    text: str = ""


def context() -> Context:
    """A context."""
    logger: Any = logging.LoggerAdapter(logging.getLogger("test"), {})
    return Context("run-1", "test.flow", "1", "test.price", "k", 1, None, make_settings(), logger)


@agent("test.price")
def price(order: Order, context: Context) -> Unkeyed:
    return Unkeyed(text=f"{order.order} in {context.run_id}")


def test_declaration() -> None:
    """The annotations say what an agent accepts and emits; it is tried three times by default."""
    assert (price.name, price.accepts, price.emits) == ("test.price", Order, Unkeyed)
    assert (price.retry, price.time_limit, price.takes_context) == (Retry(), None, True)


def test_run() -> None:
    """An agent gets its input, and the context where it takes one."""
    assert price.run(Order(order="o"), context()) == Unkeyed(text="o in run-1")

    @agent("test.plain")
    def plain(order: Order) -> Order:
        return order

    assert plain.run(Order(order="o"), context()) == Order(order="o")


def test_async_agent() -> None:
    """An asynchronous function is an agent too."""

    @agent("test.later")
    async def later(order: Order) -> Order:
        await asyncio.sleep(0)
        return order

    assert asyncio.run(later.run(Order(order="o"), context())) == Order(order="o")


def test_calling_calls_the_function() -> None:
    """In a test of the function alone, the agent is called like the function."""
    assert price(Order(order="o"), context()).text == "o in run-1"


def test_annotations_as_text() -> None:
    """Annotations may be text, and may name contracts that a function declares."""

    class Local(Contract, name="test.local", version=1):
        text: str = ""

    @agent("test.local")
    def local(payload: "Local") -> "Order":
        return Order(order=payload.text)

    assert (local.accepts, local.emits) == (Local, Order)


@pytest.mark.parametrize(
    "name", ["", "Price", "test price", "test_price", ".test", "test..price", "x" * 121, "a\n", None, 3]
)
def test_malformed_name(name: Any) -> None:
    """A malformed name is refused, and the error shows a good one."""
    with pytest.raises(AgentError, match=r"such as shop\.price"):
        agent(name)


@pytest.mark.parametrize("limit", [timedelta(), timedelta(milliseconds=999), timedelta(seconds=-5)])
def test_short_time_limit(limit: timedelta) -> None:
    """A time limit is a second at least."""
    with pytest.raises(AgentError, match="at least one second"):
        agent("test.price", time_limit=limit)


def nothing() -> Order:
    raise NotImplementedError


def three(order: Order, context: Context, more: int) -> Order:
    raise NotImplementedError


def unannotated(order):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def takes_text(order: str) -> Order:
    raise NotImplementedError


def returns_texts(order: Order) -> list[str]:
    raise NotImplementedError


def returns_either(order: Order) -> Order | str:
    raise NotImplementedError


@pytest.mark.parametrize("function", [nothing, three, unannotated, returns_texts, takes_text, returns_either])
def test_wrong_signature(function: Any) -> None:
    """A function that does not take one contract and return one is no agent, and the error says how it should look."""
    with pytest.raises(AgentError, match=r"wrong signature: .*def price"):
        agent("test.price")(function)


@pytest.mark.parametrize("hint", ["Nonsense", "Order.nonsense", "Order[", "3 + None"])
def test_unreadable_annotation(hint: str) -> None:
    """An annotation that cannot be read is said to be so."""

    def function(order: Order) -> Order:
        raise NotImplementedError

    function.__annotations__ = {"order": hint, "return": Order}
    with pytest.raises(AgentError, match=r"annotations of test\.price cannot be read|is annotated as"):
        agent("test.price")(function)


def test_part_cannot_travel() -> None:
    """A contract without name and version is nothing that an agent can take."""

    def function(part: Part) -> Order:
        raise NotImplementedError

    with pytest.raises(ContractError, match="no name and version"):
        agent("test.price")(function)


class TestKey:
    def keyed(self, key: Any) -> Agent:
        def function(order: Order) -> Order:
            return order

        return agent("test.keyed", key=key)(function)

    def test_which_key(self) -> None:
        """The agent's own key goes before the contract's, and that before the message's."""
        assert self.keyed(lambda order: "own").idempotency_key(Order(order="o"), "given") == "own"
        assert self.keyed(None).idempotency_key(Order(order="o"), "given") == "o"
        assert self.keyed(None).idempotency_key(Unkeyed(), "given") == "given"

    @pytest.mark.parametrize("value", ["", 3, b"x", True])
    def test_key_is_text(self, value: Any) -> None:
        """A key function gives a text that is not empty, or nothing."""
        with pytest.raises(AgentError, match=r"key function of test\.keyed"):
            self.keyed(lambda order: value).idempotency_key(Order(order="o"), "given")
        with pytest.raises(AgentError, match="gave an empty text"):
            self.keyed(lambda order: "").idempotency_key(Order(order="o"), "given")
        assert self.keyed(lambda order: None).idempotency_key(Order(order="o"), "given") == "given"
