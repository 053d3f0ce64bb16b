"""Agent: one phase of the work, as a function from one contract to another."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from handoffs.config.intake import Intake
from handoffs.contracts.contract import Contract, valid_name
from handoffs.contracts.event import Nothing
from handoffs.contracts.text import named
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.context import Context
from handoffs.coordinator.flow.duration import is_duration
from handoffs.coordinator.flow.function import contract, declared
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.step import Step
from handoffs.coordinator.flow.subscription import Subscription

_RESERVED = frozenset({"celery", "coordinator", "handoff"})
Function = Callable[..., Any]
KeyFunction = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Agent(Step):
    """An agent: what the decorator :func:`agent` makes. Calling it calls the function, for tests of the function alone."""

    name: str
    function: Function
    accepts: type[Contract]
    emits: type[Contract]
    retry: Retry
    time_limit: timedelta | None = None
    key: KeyFunction | None = None
    takes_context: bool = True
    context_as: str = ""
    """The name of the parameter that the context is given by; empty: it is the second."""
    events: tuple[type[Contract], ...] = ()
    """What it may emit as events, besides what it returns in a flow."""
    subscriptions: tuple[Subscription, ...] = ()
    idle: timedelta | None = None
    """How long an attempt may go without a sign of life; None: as long as it likes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def takes(self) -> type[Contract]:
        return self.accepts

    def title(self) -> str:
        return self.name

    def run(self, payload: Contract, context: Context) -> Any:
        """Call the function with ``payload``, and with ``context`` where it takes one; where it is async, that gives what is to be
        awaited."""
        if self.takes_context and self.context_as:
            return self.function(payload, **{self.context_as: context})
        arguments = (payload, context) if self.takes_context else (payload,)
        return self.function(*arguments)

    @property
    def is_async(self) -> bool:
        """Whether calling the function only gives what is to be awaited, at once."""
        return inspect.iscoroutinefunction(self.function)

    def declared_as(self, other: Agent) -> bool:
        """Whether both come from one place in the code: a module that was loaded again declares its agents anew."""
        place = _place(self.function)
        return self.name == other.name and place is not None and place == _place(other.function)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The names, or patterns of names, of the events that come to it."""
        return tuple(dict.fromkeys(subscription.pattern for subscription in self.subscriptions))

    @property
    def intake(self) -> Intake:
        """What comes into its queue besides the steps of flows."""
        return Intake(self.patterns, any(subscription.ordered for subscription in self.subscriptions))

    def outcome(self, returned: Any) -> tuple[Any, tuple[Any, ...]]:
        """What the function returned as an output, and the events in it."""
        if self.emits is not Nothing:
            return returned, ()
        events = returned if isinstance(returned, (list, tuple)) else () if returned is None else (returned,)
        return Nothing(), tuple(events)

    def idempotency_key(self, payload: Contract, given: str) -> str:
        """The key under which this agent takes its effect once: its own function's, the contract's, or ``given``.

        Raises :class:`AgentError` where its function gives no text.
        """
        key: Any = self.key(payload) if self.key else payload.key()
        if key is not None and (not isinstance(key, str) or not key):
            gave = "an empty text" if key == "" else type(key).__name__
            raise AgentError(f"the key function of {self.name} gave {gave}", remedy="give a text, or None")
        return given if key is None else str(key)


def agent(
    name: str,
    *,
    retry: Retry | None = None,
    time_limit: timedelta | None = None,
    key: KeyFunction | None = None,
    events: tuple[type[Contract], ...] = (),
    idle: timedelta | None = None,
) -> Callable[[Function], Agent]:
    """Declare an agent.

    ::

        @agent("shop.price", retry=Retry(attempts=5, backoff=timedelta(seconds=1)))
        def price(order: OrderPlaced, context: Context) -> OrderPriced: ...

    The annotations say what it accepts and emits. The contract is the first parameter; the context is the second, or any other
    that is annotated so, keyword-only ones too; what else there is has a default, and keeps it. ``name`` is also the name of its queue. ``retry`` is by default
    three attempts. ``time_limit`` kills the attempt's process (prefork pool only) and parks the step. ``key`` derives
    the idempotency key from the input, where the contract's key fields are not it. ``async def`` works too. ``idle`` is how long
    an attempt may go without a sign of life (``context.progress``, ``once``, ``usage``): then it is stalled, is told as that, and fails
    with :class:`~handoffs.coordinator.errors.Stalled`; an async agent at once, any other when it next asks something of its context.

    An agent that is called by events (:func:`~handoffs.coordinator.flow.subscribe.on`) may also return nothing (``-> None``), several
    events (``-> list[A]``, ``list[A | B]``) or one of them or none (``A | B``, ``A | None``). ``events`` are those that it
    emits by ``context.emit`` besides.

    Raises :class:`AgentError` for a malformed name, or a function that cannot be called with one contract, or does not return
    one: a generator, a class, one of two contracts.
    """
    if not valid_name(name):
        raise AgentError(
            f"an agent is called {named(name)}",
            remedy=_bare(name) or "a name is lower case words joined by dots and dashes, such as shop.price",
        )
    if name.split(".", maxsplit=1)[0] in _RESERVED:
        raise AgentError(
            f"an agent is called {name}",
            "there are queues and tasks of that name already",
            f"begin it with another word than {', '.join(sorted(_RESERVED))}",
        )
    _check(name, retry, time_limit, key, events)
    _check_idle(name, idle)
    names = sys._getframe(1).f_locals  # annotations may name contracts that a function declares

    def declare(function: Function) -> Agent:
        if isinstance(function, Agent):
            raise AgentError(
                f"{name} is declared of {function.name}, which is an agent already",
                remedy=f"make another one of its function: agent({name!r})({function.name.split('.')[-1]}.function)",
            )
        found = declared(name, function, names)
        for event in events:
            contract(name, "one of events", event)
        return Agent(
            name,
            function,
            found.accepts,
            found.emits,
            retry or Retry(),
            time_limit,
            key,
            takes_context=bool(found.context),
            context_as="" if found.second else found.context,
            events=tuple(dict.fromkeys((*found.events, *events))),
            idle=idle,
        )

    return declare


def _bare(name: object) -> str:
    """What to write where a decorator that has to be given a name was given the function; empty where it was not."""
    if not callable(name) or isinstance(name, type):
        return ""
    called = getattr(name, "__name__", "price").lower().replace("_", "-").strip("-<>")
    suggested = f"shop.{called}"
    return f'name it in parentheses: @agent("{suggested if valid_name(suggested) else "shop.price"}")'


def _place(function: Any) -> tuple[str, str, int] | None:
    """Where a function of a module is declared; None for what is made in another way, as often as one likes."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or "<" in code.co_qualname:
        return None
    return function.__module__, code.co_qualname, code.co_firstlineno


def _check(name: str, retry: object, time_limit: object, key: object, events: object) -> None:
    """Raises :class:`AgentError` for what no agent can be declared with."""
    if retry is not None and not isinstance(retry, Retry):
        raise AgentError(
            f"{name} has {type(retry).__name__} as its retry policy", remedy="write retry=Retry(attempts=5)"
        )
    if time_limit is not None and not (
        isinstance(time_limit, timedelta) and time_limit >= timedelta(seconds=1)
    ):
        raise AgentError(
            f"{name} has a time limit of {named(time_limit)}",
            remedy="a time limit is at least one second: timedelta(seconds=30)",
        )
    if not isinstance(events, (tuple, list)):
        raise AgentError(
            f"{name} has events={named(events)}", remedy="give a tuple of contracts: events=(Extra,)"
        )
    if key is not None and not _is_key(key):
        raise AgentError(
            f"{name} has {named(key)} as its key function",
            remedy="give a function of the input that returns a text: key=lambda order: order.number",
        )


def _check_idle(name: str, idle: object) -> None:
    """Raises :class:`AgentError` for what is no idle limit."""
    if idle is not None and not is_duration(idle, shortest=timedelta(seconds=1)):
        raise AgentError(
            f"{name} has an idle limit of {named(idle)}",
            remedy="an idle limit is at least one second, and longer than its slowest call: idle=timedelta(minutes=2)",
        )


def _is_key(key: object) -> bool:
    if not callable(key) or inspect.iscoroutinefunction(key) or inspect.isgeneratorfunction(key):
        return False
    try:
        inspect.signature(key).bind(None)
    except TypeError:
        return False
    except ValueError:  # it does not say what it takes
        pass
    return True
