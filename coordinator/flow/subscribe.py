"""Subscribing: an agent is given its subscriptions, checked against what it accepts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import get_args, get_origin

from handoffs.config.delays import LONGEST_WAIT
from handoffs.contracts.contract import Contract, is_contract
from handoffs.contracts.event import Event
from handoffs.contracts.text import named
from handoffs.contracts.versions import meet
from handoffs.coordinator.errors import AgentError, FlowError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.condition import Condition
from handoffs.coordinator.flow.duration import is_duration
from handoffs.coordinator.flow.names import is_name
from handoffs.coordinator.flow.subscription import Complete, Gather, Subscription

_PATTERN = re.compile(r"(?:\*|#|[a-z0-9][a-z0-9-]*)(?:\.(?:\*|#|[a-z0-9][a-z0-9-]*))*\Z")


def on(
    event: type[Contract] | str,
    *,
    where: Condition | None = None,
    gather: Gather | None = None,
    ordered: bool = False,
) -> Callable[[Agent], Agent]:
    """Subscribe an agent to the events of a contract::

        @on(RenditionOrdered, where=field("height") >= 1080)
        @agent("media.transcode")
        def transcode(ordered: RenditionOrdered) -> RenditionReady: ...

    or to all whose names fit a pattern (``media.*``: one more word, ``media.#``: any number): then it accepts
    :class:`~handoffs.contracts.event.Event`. The contract that it returns is emitted as an event when it was called by one, and so
    is each of a list. ``where`` keeps the other events from it. With ``gather`` it waits for a set of them.

    ``ordered`` gives it the events one by one, in the order in which the broker got them: one worker at a time, with one
    process or thread, which waits for a retry before it takes the next. What is parked is passed by. Such an agent is in
    no flow.

    Raises :class:`AgentError` where the agent does not accept such an event.
    """

    if _is_function(event):
        raise AgentError(
            f"on() is given {named(event)}, which is no contract",
            remedy='write @on(TheContract) or @on("shop.*") above @agent(...)',
        )
    if gather is not None and not _is_gather(gather):
        raise AgentError(
            f"on() has gather={named(gather)}",
            remedy='write gather=gather("parts", by="order", until="count", within=...)',
        )

    if not _is_bool(ordered):
        raise AgentError(f"on() has ordered={named(ordered)}", remedy="write ordered=True, or leave it out")

    def subscribe(agent: Agent) -> Agent:
        if not isinstance(agent, Agent):
            raise AgentError(
                "on() is above something that is no agent", remedy="write @on(...) above @agent(...)"
            )
        made = _subscription(agent, event, where, gather)
        made = replace(made, ordered=ordered)
        if made in agent.subscriptions:
            raise AgentError(
                f"{agent.name} subscribes twice to {made.pattern}", remedy="leave one of the two @on(...) out"
            )
        if any(other.ordered is not ordered for other in agent.subscriptions):
            raise AgentError(
                f"{agent.name} hears some events in order and others not",
                remedy="its queue is one: say it of all, or of none",
            )
        if agent.subscriptions and (gather or any(other.gather for other in agent.subscriptions)):
            raise AgentError(
                f"{agent.name} gathers events and has another subscription",
                remedy="give it one, and make another agent of the rest",
            )
        return replace(agent, subscriptions=(*agent.subscriptions, made))

    return subscribe


def gather(
    into: str, *, by: str | tuple[str, ...], until: str | Complete, within: timedelta, partial: bool = False
) -> Gather:
    """Wait for a set of events before the agent begins::

        @on(RenditionReady, gather=gather("renditions", by="title_id", until="count", within=timedelta(hours=2)))
        @agent("media.assemble")
        def assemble(ready: TitleRenditions) -> TranscodingComplete: ...

    Events with the same value in the fields ``by`` are a set. It is the agent's own, kept in Redis, and outlives crashes; an
    event that comes twice is one. ``until`` says when it is complete: the name of an integer field of the event that
    holds how many there are, or a function of the list of them. Then the agent is called once, with a contract whose
    list ``into`` has them, in the order of their idempotency keys. What is not complete ``within`` that time (up to a
    hundred years) is parked; with ``partial`` the agent is called with what has come.

    Raises :class:`AgentError` for what makes no such set.
    """
    fields = by if isinstance(by, tuple) else (by,)
    if not fields or not all(is_name(name, None) for name in (into, *fields)):
        raise AgentError(
            f"gather() has into={named(into)} and by={named(by)}", remedy="name fields, like Python variables"
        )
    if not is_duration(within):
        raise AgentError(
            f"gather() has within={named(within)}",
            remedy=f"give a timedelta of up to {LONGEST_WAIT.days} days: within=timedelta(hours=2)",
        )
    if not isinstance(until, str) and not callable(until):
        raise AgentError(
            f"gather() has until={named(until)}",
            remedy="name the field that holds how many there are, or give a function",
        )
    return Gather(into, fields, until, within, partial)


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


def _is_gather(value: object) -> bool:
    return isinstance(value, Gather)


def _subscription(
    agent: Agent, event: type[Contract] | str, where: Condition | None, gather: Gather | None
) -> Subscription:
    if isinstance(event, str):
        return _of_pattern(agent, event, where, gather)
    if not is_contract(event):
        raise AgentError(
            f"{agent.name} subscribes to {named(event)}, which is no contract",
            remedy="name a contract, or a pattern",
        )
    name = event.ref().name
    if gather is not None:
        read: type[Contract] = _gathered(agent, event, gather)
    else:
        read = agent.accepts
        fault = meet(event, read)
        if fault:
            raise AgentError(
                f"{agent.name} subscribes to {event.ref()} and accepts {read.ref()}: {fault}",
                "it could not read the events",
                "let it accept the event",
            )
    _asked(agent, where, read)
    return Subscription(name, read, where, gather)


def _of_pattern(agent: Agent, pattern: str, where: Condition | None, gather: Gather | None) -> Subscription:
    if not _PATTERN.match(pattern) or len(pattern) > 200:
        raise AgentError(
            f"{agent.name} subscribes to {pattern[:120]!r}",
            remedy="a pattern is words joined by dots, of which some are * (any one word) or # (any number)",
        )
    if agent.accepts is not Event or gather is not None:
        raise AgentError(
            f"{agent.name} subscribes to the pattern {pattern} and accepts {agent.accepts.ref()}",
            "events of several contracts would come to it",
            "let it accept handoffs.Event, and gather nothing",
        )
    _asked(agent, where, None)
    return Subscription(pattern, Event, where)


def _asked(agent: Agent, where: Condition | None, read: type[Contract] | None) -> None:
    if where is None:
        return
    if not isinstance(where, Condition):
        raise AgentError(
            f"{agent.name} has where={named(where)}", remedy='write where=field("height") >= 1080'
        )
    try:
        if read is not None:
            where.check(read)
    except FlowError as error:
        raise AgentError(
            f"{agent.name} asks {where}: {error.cause}", error.consequence, error.remedy
        ) from None


def _gathered(agent: Agent, event: type[Contract], gather: Gather) -> type[Contract]:
    """The contract of the parts, as the agent reads them."""
    fields = agent.accepts.model_fields
    hint = fields[gather.into].annotation if gather.into in fields else None
    [part] = get_args(hint) if get_origin(hint) is list else [None]
    if not (isinstance(part, type) and issubclass(part, Contract)) or meet(event, part):
        raise AgentError(
            f"{agent.name} gathers {event.ref()}, and {agent.accepts.ref()} has no list {gather.into!r} of that",
            remedy=f"annotate the field as {gather.into}: list[{event.__name__}]",
        )
    unfilled = [name for name, info in fields.items() if info.is_required() and name != gather.into]
    if unfilled:
        raise AgentError(
            f"{agent.name} gathers events, and nobody gives {agent.accepts.ref()} its {', '.join(unfilled)}",
            remedy="give these fields defaults; what the events have is in the list",
        )
    wanted = [*gather.by, *([gather.until] if isinstance(gather.until, str) else [])]
    missing = [name for name in wanted if name not in part.model_fields]
    if missing or (isinstance(gather.until, str) and part.model_fields[gather.until].annotation is not int):
        raise AgentError(
            f"{agent.name} gathers {part.ref()} by fields that it does not have: {', '.join(missing) or gather.until}",
            remedy="name its fields; that of until is an int",
        )
    return part


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)
