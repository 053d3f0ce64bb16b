"""Agent: one phase of the work, as a function from one contract to another."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import UnionType
from typing import Any

from handoffs.config.intake import Intake
from handoffs.contracts.contract import Contract, valid_name
from handoffs.contracts.event import Nothing
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.step import Step
from handoffs.coordinator.flow.subscription import Subscription

if typing.TYPE_CHECKING:
    from handoffs.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What an agent may know besides its input.

    idempotency_key
        Hand this to outside systems: it is the same in every attempt and every replay of the same work.
    attempt
        From 1.
    deadline
        When the work is no longer wanted; None: always wanted.
    fallback
        Which fallback the input is, ``cache age=1.2s``, or by branch which parts of it are one, ``eta: constant``; empty:
        none of it.
    given_up
        Whether the budget of this step is spent by now, and a fallback has taken its place: what it makes counts for
        nothing. Ask it after an effect that would have to be undone then. Raises
        :class:`~handoffs.coordinator.errors.ServerError`.
    event
        The message id of the event that it was called by; empty in a flow.
    emit
        Emit an event besides what is returned: one that the agent declares. It is sent once the step has its outcome, so
        an attempt that fails emits nothing. Raises :class:`AgentError` for any other.
    """

    run_id: str
    flow: str
    step: str
    agent: str
    idempotency_key: str
    attempt: int
    deadline: datetime | None
    settings: Settings
    logger: logging.LoggerAdapter[logging.Logger]
    fallback: str = ""
    given_up: Callable[[], bool] = lambda: False
    event: str = ""
    emit: Callable[[Contract], None] = lambda event: None  # noqa: ARG005 - a test of the function alone hears nothing


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
    events: tuple[type[Contract], ...] = ()
    """What it may emit as events, besides what it returns in a flow."""
    subscriptions: tuple[Subscription, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def takes(self) -> type[Contract]:
        return self.accepts

    def title(self) -> str:
        return self.name

    def run(self, payload: Contract, context: Context) -> Any:
        """Call the function with ``payload``, and with ``context`` where it takes one; await it where it is async."""
        arguments = (payload, context) if self.takes_context else (payload,)
        result = self.function(*arguments)
        if inspect.iscoroutine(result):
            return asyncio.run(result)
        return result

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
            raise AgentError(
                f"the key function of {self.name} gave {type(key).__name__}", remedy="give a text"
            )
        return given if key is None else str(key)


def agent(
    name: str,
    *,
    retry: Retry | None = None,
    time_limit: timedelta | None = None,
    key: KeyFunction | None = None,
    events: tuple[type[Contract], ...] = (),
) -> Callable[[Function], Agent]:
    """Declare an agent.

    ::

        @agent("shop.price", retry=Retry(attempts=5, backoff=timedelta(seconds=1)))
        def price(order: OrderPlaced, context: Context) -> OrderPriced: ...

    The annotations say what it accepts and emits. ``name`` is also the name of its queue. ``retry`` is by default
    three attempts. ``time_limit`` kills the attempt's process (prefork pool only) and parks the step. ``key`` derives
    the idempotency key from the input, where the contract's key fields are not it. ``async def`` works too.

    An agent that is called by events (:func:`~handoffs.coordinator.flow.subscribe.on`) may also return nothing (``-> None``), several
    events (``-> list[A]``, ``list[A | B]``) or one of them or none (``A | B``, ``A | None``). ``events`` are those that it
    emits by ``context.emit`` besides.

    Raises :class:`AgentError` for a malformed name, or a signature that does not take one contract and return one.
    """
    if not valid_name(name):
        raise AgentError(
            f"an agent is called {name!r}",
            remedy="a name is lower case words joined by dots and dashes, such as shop.price",
        )
    if time_limit is not None and time_limit < timedelta(seconds=1):
        raise AgentError(
            f"{name} has a time limit of {time_limit}", remedy="a time limit is at least one second"
        )
    names = sys._getframe(1).f_locals  # annotations may name contracts that a function declares

    def declare(function: Function) -> Agent:
        accepts, emits, returned, takes_context = _signature(name, function, names)
        for event in events:
            _contract(name, "one of events", event)
        every = tuple(dict.fromkeys((*returned, *events)))
        return Agent(name, function, accepts, emits, retry or Retry(), time_limit, key, takes_context, every)

    return declare


def _signature(
    name: str, function: Function, names: dict[str, Any]
) -> tuple[type[Contract], type[Contract], tuple[type[Contract], ...], bool]:
    try:
        hints = typing.get_type_hints(function, localns=dict(names))
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise AgentError(f"the annotations of {name} cannot be read: {error}") from None
    parameters = list(inspect.signature(function).parameters.values())
    if not 1 <= len(parameters) <= 2:
        raise _wrong(name, f"it takes {len(parameters)} parameters")
    accepts = _contract(name, f"parameter {parameters[0].name!r}", hints.get(parameters[0].name))
    returned = hints.get("return")
    events = _events(name, returned)
    emits = Nothing if events is not None else _contract(name, "the return value", returned)
    return accepts, emits, events or (), len(parameters) == 2


def _events(name: str, hint: Any) -> tuple[type[Contract], ...] | None:
    """The events in a return annotation; none for ``None``, and None where it is one contract, or something else."""
    if hint is type(None):
        return ()
    if typing.get_origin(hint) is list:
        [hint] = typing.get_args(hint)
    elif typing.get_origin(hint) not in {typing.Union, UnionType}:
        return None
    union = typing.get_origin(hint) in {typing.Union, UnionType}
    members = typing.get_args(hint) if union else (hint,)
    return tuple(_contract(name, "the return value", one) for one in members if one is not type(None))


def _contract(name: str, place: str, hint: Any) -> type[Contract]:
    if not (isinstance(hint, type) and issubclass(hint, Contract)):
        raise _wrong(name, f"{place} is annotated as {getattr(hint, '__name__', hint)}, which is no contract")
    hint.ref()
    return hint


def _wrong(name: str, why: str) -> AgentError:
    return AgentError(
        f"agent {name} has the wrong signature: {why}",
        "it cannot be part of a flow",
        "an agent takes one contract, and a context if it likes, and returns one contract: "
        "def price(order: OrderPlaced, context: Context) -> OrderPriced",
    )
