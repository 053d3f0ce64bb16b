"""What a function says of itself is read: it can be an agent's, or is refused where it is declared, in one line."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NewType, Optional

import pytest

from handoffs import Context, Contract, Flow, Retry, agent
from handoffs.coordinator.errors import AgentError, LoadError
from handoffs.coordinator.flow.loading import Definitions, load_modules
from handoffs.coordinator.flow.subscribe import on

if TYPE_CHECKING:
    from nowhere import CheckedOrder  # type: ignore[import-not-found]

    from handoffs import Context as CheckedContext

# ruff: noqa: UP045 - how people write it


class Order(Contract, name="function.order", version=1):
    number: str = ""


class Other(Contract, name="function.other", version=1):
    number: str = ""


Named = NewType("Named", Order)


def _context() -> Context:
    logger: Any = logging.LoggerAdapter(logging.getLogger("test"), {})
    settings: Any = None
    return Context("run-1", "flow", "1", "agent", "k", 1, None, settings, logger)


def plain(order: Order) -> Order:
    return order


def second(order: Order, context: Context) -> Order:
    return order.model_copy(update={"number": context.run_id})


def keyword_only(order: Order, *, context: Context) -> Order:
    return second(order, context)


def keyword_only_by_another_name(order: Order, *, told: Context) -> Order:
    return second(order, told)


def optional(order: Order, context: Optional[Context] = None) -> Order:
    assert context is not None
    return second(order, context)


def third(order: Order, limit: int = 5, context: Context | None = None) -> Order:
    assert limit == 5
    return optional(order, context)


def unannotated_context(order: Order, context) -> Order:  # type: ignore[no-untyped-def]
    return second(order, context)


def checked_context(order: Order, context: CheckedContext) -> Order:
    return second(order, context)


def checked_keyword(order: Order, *, ctx: CheckedContext | None) -> Order:
    return optional(order, ctx)


def default(order: Order, rate: float = 0.5) -> Order:
    assert rate == 0.5
    return order


def default_keyword(order: Order, *, rate: float = 0.5, **more: object) -> Order:
    assert (rate, more) == (0.5, {})
    return order


def variable(order: Order, *more: Any, **named: Any) -> Order:
    assert (more, named) == ((), {})
    return order


def positional_only(order: Order, context: Context, /) -> Order:
    return second(order, context)


def annotated(order: Annotated[Order, "the order"]) -> Annotated[Order, "it"]:
    return order


def new_type(order: Named) -> Order:
    return order


async def later(order: Order, *, context: Context) -> Order:
    await asyncio.sleep(0)
    return second(order, context)


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return around


class Pricing:
    rate: float = 0.5

    def __call__(self, order: Order, context: Context) -> Order:
        return second(order, context)

    def price(self, order: Order, *, context: Context) -> Order:
        return second(order, context)

    @staticmethod
    def static(order: Order) -> Order:
        return order

    @classmethod
    def of_class(cls, order: Order) -> Order:
        return order


WORKS: list[Any] = [
    plain, second, keyword_only, keyword_only_by_another_name, optional, third, unannotated_context, checked_context,
    checked_keyword, default, default_keyword, variable, positional_only, annotated, new_type, later, traced(second),
    traced(traced(keyword_only)), functools.partial(third, limit=5), functools.partial(default, rate=0.5),
    functools.partial(traced(keyword_only)), Pricing(), Pricing().price, Pricing.static, Pricing.of_class,
    staticmethod(plain), traced(later),
]  # fmt: skip


@pytest.mark.parametrize("function", WORKS, ids=range(len(WORKS)))
def test_works(function: Any) -> None:
    """It is called with its contract, with the context by whichever parameter is for that, and with its own defaults."""
    declared = agent("function.works")(function)
    assert (declared.accepts, declared.emits) == (Order, Order)
    made = declared.run(Order(), _context())
    if inspect.isawaitable(made):
        made = asyncio.run(_awaited(made))
    assert made == Order(number="run-1" if declared.takes_context else "")


async def _awaited(made: Any) -> Any:
    return await made


def two_contracts(order: Order, other: Other) -> Order:
    raise NotImplementedError


def two_contexts(order: Order, context: Context, again: Context) -> Order:
    raise NotImplementedError


def context_first(context: Context, order: Order) -> Order:
    raise NotImplementedError


def needs_more(order: Order, limit: int) -> Order:
    raise NotImplementedError


def needs_keyword(order: Order, *, limit: int) -> Order:
    raise NotImplementedError


def only_keyword(*, order: Order) -> Order:
    raise NotImplementedError


def only_variable(*args: Any, **kwargs: Any) -> Order:
    raise NotImplementedError


def nothing() -> Order:
    raise NotImplementedError


def returns_nothing_said(order: Order):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def either(order: Order | Other) -> Order:
    raise NotImplementedError


def maybe(order: Optional[Order]) -> Order:
    raise NotImplementedError


def many(order: list[Order]) -> Order:
    raise NotImplementedError


def checked_contract(order: CheckedOrder) -> Order:
    raise NotImplementedError


def generator(order: Order) -> Order:  # type: ignore[misc]
    yield order


async def async_generator(order: Order) -> Order:  # type: ignore[misc]
    yield order


def iterates(order: Order) -> Iterator[Order]:
    yield order


async def iterates_later(order: Order) -> AsyncIterator[Order]:
    yield order


def returns_iterator(order: Order) -> Iterator[Order]:
    return iter([order])


def unmarked(function: Callable[..., Any]) -> Callable[..., Any]:
    def around(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return around


def narrowed(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def around(order: Order) -> Any:
        return function(order, None)

    return around


class Yields:
    def __call__(self, order: Order) -> Order:  # type: ignore[misc]
        yield order


class Taking:
    def __init__(self, order: Order) -> None: ...


REFUSED: list[tuple[Any, str]] = [
    (two_contracts, "it takes Order and Other; join them in one contract"),
    (two_contexts, "'context' and 'again' are both for the context"),
    (context_first, "the context comes first"),
    (needs_more, "parameter 'limit' is no context, and has no default"),
    (needs_keyword, "parameter 'limit' is no context, and has no default"),
    (only_keyword, "it takes no contract in the first place"),
    (only_variable, "functools.wraps"),
    (nothing, "it takes no contract"),
    (returns_nothing_said, "it does not say what it returns"),
    (lambda order: order, "parameter 'order' has no annotation"),
    (either, "which is no contract"),
    (maybe, "which is no contract"),
    (many, "which is no contract"),
    (checked_contract, "not for type checkers alone"),
    (generator, "it yields"),
    (async_generator, "it yields"),
    (iterates, "it yields"),
    (iterates_later, "it yields"),
    (traced(generator), "it yields"),
    (functools.partial(generator), "it yields"),
    (Yields(), "it yields"),
    (returns_iterator, "which is no contract"),
    (unmarked(plain), "functools.wraps"),
    (narrowed(second), "what is around it takes other arguments"),
    (Pricing.price, "declare the bound one"),
    (Pricing.__dict__["of_class"], "is no function"),
    (Taking, "Taking is a class"),
    (Order, "Order is a class"),
    (None, "is no function"),
    (5, "is no function"),
    ("order", "is no function"),
    (print, "wrong signature|does not say what it takes"),
    (agent("function.first")(plain), "which is an agent already"),
]


@pytest.mark.parametrize(("function", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_refused(function: Any, why: str) -> None:
    """What cannot be called so is refused where it is declared, in one line that says what to write instead."""
    with pytest.raises(AgentError, match=why) as caught:
        agent("function.refused")(function)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"time_limit": 5}, "a time limit of 5"),
    ({"time_limit": "1s"}, "a time limit"),
    ({"retry": 3}, "int as its retry policy"),
    ({"events": Order}, "events="),
    ({"events": "function.order"}, "events="),
    ({"events": (5,)}, "is annotated as 5"),
    ({"key": "number"}, "key function"),
    ({"key": lambda: "x"}, "key function"),
    ({"key": lambda one, two: "x"}, "key function"),
    ({"key": later}, "key function"),
]


@pytest.mark.parametrize(("options", "why"), OPTIONS, ids=[why for _, why in OPTIONS])
def test_options(options: dict[str, Any], why: str) -> None:
    """What an agent is declared with is of its kind, or is refused."""
    with pytest.raises(AgentError, match=why):
        agent("function.options", **options)(plain)


def test_options_that_work() -> None:
    """Events may be a list; a key function may have defaults."""

    def key(order: Order, way: str = "x") -> str:
        return way

    events: Any = [Other]
    declare = agent(
        "function.options", events=events, key=key, retry=Retry(), time_limit=timedelta(seconds=1)
    )
    assert declare(plain).events == (Other,)


@pytest.mark.parametrize(
    "name",
    [
        "celery.chord",
        "coordinator.event",
        "handoff.dead-letters",
        "handoff",
        "ä",
        "a/b",
        "a b",
        "A",
        "a..b",
        "a\n",
        "a\x00",
        "{a}",
        "#",
        "a.*",
        "\u0661",
    ],
)
def test_names(name: str) -> None:
    """An agent's name is its queue's: odd characters, and the names of queues and tasks that are there already, are refused."""
    with pytest.raises(AgentError, match="an agent is called"):
        agent(name)


class TestSubscribing:
    def test_without_a_contract(self) -> None:
        """@on above an agent, without what to hear, is refused at once: the agent would be lost. So is what is no contract."""
        declared = agent("function.hears")(plain)
        odd: list[Any] = [5, None, Order(), [Order], Pricing]
        for what in (declared, plain):
            with pytest.raises(AgentError, match="which is no contract"):
                on(what)  # type: ignore[arg-type]
        for one in odd:
            with pytest.raises(AgentError, match="which is no contract"):
                on(one)(declared)

    def test_twice(self) -> None:
        """The same subscription twice is refused; of one contract with two conditions, each counts."""
        declared = agent("function.hears")(plain)
        with pytest.raises(AgentError, match=r"subscribes twice to function\.order"):
            on(Order)(on(Order)(declared))


class TestTwice:
    MODULE = """
from handoffs import Contract, Flow, agent

class Order(Contract, name="twice.order", version=1):
    number: str = ""

@agent("twice.work")
def work(order: Order) -> Order:
    return order

flow = Flow("twice.flow", work)
"""

    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        (tmp_path / "twice_agents.py").write_text(self.MODULE)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "twice_agents", raising=False)
        return "twice_agents"

    def test_one_name(self) -> None:
        """Two agents of one name are refused where they meet: when they are loaded, and in a flow."""
        first, other = agent("function.twice")(plain), agent("function.twice")(default)
        definitions = Definitions()
        definitions.add(first)
        definitions.add(first)
        with pytest.raises(LoadError, match=r"two agents are called function\.twice"):
            definitions.add(other)

    def test_one_maker(self) -> None:
        """What a function makes twice under one name is two agents."""

        def make(number: int) -> Any:
            @agent("function.made")
            def made(order: Order) -> Order:
                return order.model_copy(update={"number": str(number)})

            return made

        definitions = Definitions()
        definitions.add(make(1))
        with pytest.raises(LoadError, match="two agents"):
            definitions.add(make(2))

    def test_loaded_again(self, module: str) -> None:
        """A module that is loaded again declares its agents anew: they are the same."""
        definitions = load_modules([module])
        old = definitions.agents["twice.work"]
        again = importlib.reload(sys.modules[module])
        definitions.add(again.work)
        Flow("function.both", old >> again.work)
        load_modules([module])
