"""Once: what a call within an agent's step has given, recorded, so that no later attempt at the step makes that call again.

A call of a model or a tool is paid for when it returns, and the step that made it may still fail, be killed or come again. What is
recorded is looked up before the call is made, in each attempt, redelivery and replay of the same work.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidJson, TooLarge
from handoffs.contracts.strictjson import DEFAULT_LIMITS, Limits
from handoffs.contracts.text import is_plain, named
from handoffs.coordinator.errors import AgentError, Permanent

T = TypeVar("T")

LONGEST_NAME = 200  # characters


class Unrecordable(Permanent):
    """What a call within a step gave cannot be recorded. The call was made, and each further attempt would make it again, so the step
    is parked at once."""


class Subresults(Protocol):
    """What calls have given within the step that is at work, as JSON texts."""

    @property
    def limits(self) -> Limits:
        """How large one may be."""

    def find(self, name: str) -> str | None:
        """What was recorded under a name; None where nothing was."""

    def record(self, name: str, text: str) -> str:
        """Record what a call gave; gives what is recorded under the name, which is another's where that came first."""


class InMemory:
    """Subresults of a function that is called without an engine, in a test for example."""

    limits = DEFAULT_LIMITS

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def find(self, name: str) -> str | None:
        return self._texts.get(name)

    def record(self, name: str, text: str) -> str:
        return self._texts.setdefault(name, text)


def once(subresults: Subresults, name: str, call: Callable[[], T]) -> T:
    """What ``call`` gave when it returned for the first time under ``name``: see :meth:`~handoffs.coordinator.flow.context.Context.once`."""
    check_name(name)
    if (text := subresults.find(name)) is None:
        made = call()
        if inspect.iscoroutine(made):
            made.close()
            raise AgentError(
                f"once({name!r}) is given a call that has to be awaited",
                "it was not made",
                f"in an async agent write await context.aonce({name!r}, call)",
            )
        text = subresults.record(name, written(name, made, subresults.limits))
    value: T = read(text, subresults.limits)
    return value


async def once_async(
    subresults: Subresults,
    name: str,
    call: Callable[[], Awaitable[T]],
    elsewhere: Callable[..., Awaitable[Any]],
) -> T:
    """The same for a coroutine; ``elsewhere`` runs a function that may wait, and awaits what it gives."""
    check_name(name)
    text = await elsewhere(subresults.find, name)
    if text is None:
        made = call()
        if not inspect.isawaitable(made):
            raise AgentError(
                f"aonce({name!r}) is given a call that cannot be awaited",
                "it was made, and its result is not recorded",
                "give an async function, or call a plain one in a thread: lambda: asyncio.to_thread(call)",
            )
        text = await elsewhere(subresults.record, name, written(name, await made, subresults.limits))
    value: T = read(text, subresults.limits)
    return value


def check_name(
    name: object, given_to: str = "once() is given the name", consequence: str = "the call was not made"
) -> None:
    """Raise :class:`AgentError` for what is no name of a subresult."""
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or not is_plain(name):
        raise AgentError(
            f"{given_to} {named(name)}",
            consequence,
            f"a name is 1 to {LONGEST_NAME} plain characters, another one for each call of a step: 'draft', f'page {{number}}'",
        )


def written(name: str, value: object, limits: Limits) -> str:
    """A value as it is recorded. Raises :class:`Unrecordable` for what JSON has no form for, or that is too large."""
    try:
        text = strictjson.dumps(value)
        strictjson.loads(text, limits)
    except (InvalidJson, TooLarge) as error:
        raise Unrecordable(
            f"what once({name!r}) was given cannot be recorded: {error.cause}",
            "the call was made, and its result is lost",
            "return what JSON can say, a contract's to_data() for example; what is large belongs into a store, with its name returned",
        ) from None
    return text


def read(text: str, limits: Limits) -> Any:
    """A value as it was recorded: the same in the attempt that made the call as in those after it."""
    return strictjson.loads(text, limits)
