"""Attempt: one call of an agent's function, and what came of it, as a value.

An error is a value as well, for an exception such as ``GeneratorExit`` cannot be thrown into the generator that asks for the call.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from handoffs.coordinator.handoff.interruption import end_of_a_child, interruption_of
from handoffs.coordinator.handoff.loop import Stop, called, loop_of_process


@dataclass(frozen=True, slots=True)
class Attempted:
    """What the function returned, or, where ``error`` is not None, what it raised."""

    value: Any = None
    error: BaseException | None = None


def attempt(function: Callable[[], Any], stop: Stop | None = None) -> Attempted:
    """Call ``function`` in a copy of the context; what it returns is awaited, if it can be, until ``stop`` says no more.

    Raises only what a signal to this process has raised.
    """
    pid = os.getpid()
    try:
        value = copy_context().run(_called, function, stop)
        end_of_a_child(pid)
        return Attempted(value)
    except BaseException as error:  # noqa: BLE001 - whatever an agent raises
        end_of_a_child(pid, error)
        interruption = interruption_of(error)
        if interruption is not None:
            raise interruption from None
        return Attempted(error=error)


def begin(function: Callable[[], Awaitable[Any]], stop: Stop, told: Callable[[Attempted], None]) -> None:
    """Begin such a call where ``function`` gives at once what is to be awaited, and return: ``told`` is called with what came of
    it, in the thread of the event loop."""
    context = copy_context()
    try:
        awaitable = context.run(function)
    except BaseException as error:  # noqa: BLE001 - whatever an agent raises
        told(Attempted(error=error))
        return

    def ended(value: Any, error: BaseException | None) -> None:
        told(Attempted(value, error))

    loop_of_process().begin(awaitable, context, stop, ended)


def _called(function: Callable[[], Any], stop: Stop | None) -> Any:
    found = called(function)
    return loop_of_process().perform(found, stop) if inspect.isawaitable(found) else found
