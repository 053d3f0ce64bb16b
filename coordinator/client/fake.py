"""Fake: what stands in for an agent's function in a test, while everything around it is real."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.context import Context

Behaviour = (
    Contract
    | Mapping[str, Any]
    | list[Contract]
    | BaseException
    | type[BaseException]
    | Callable[..., Any]
    | None
)
"""What an agent is to do: return that outcome, raise that error, or what a function of its input (and, where it takes two, of its
context) returns or raises. A mapping is the data of an outcome; an agent of events may return a list of them, or nothing."""


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Fake:
    """Stands in for the function of one agent until :meth:`restore`, or the end of the block that it is used for.

    Envelopes, contracts, keys, retries, budgets, history and letters are what they are: only the function is another.
    """

    def __init__(
        self,
        agent: Agent,
        behaviours: tuple[Behaviour, ...],
        replace: Callable[[str, Callable[..., Any]], Callable[[], None]],
    ) -> None:
        """``replace`` puts a function of the input and the context in the place of the agent's, and gives what takes it back."""
        self.agent = agent
        self.calls: list[Contract] = []
        """The inputs with which it was called, in order, one for each attempt."""
        self._behaviours = [self._checked(behaviour) for behaviour in behaviours]
        self._lock = threading.Lock()
        if not behaviours:
            raise InvalidData(
                f"nothing is said of what stands in for {agent.name}",
                "nothing was replaced",
                "give an outcome, an error or a function, or several: one for each attempt",
            )
        awaits = any(map(inspect.iscoroutinefunction, self._behaviours))
        self._take_back = replace(agent.name, self._awaited if awaits else self._called)

    def restore(self) -> None:
        """Let the fake of before stand in again, where there is one, or else the agent's own function be called."""
        self._take_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def _checked(self, behaviour: Behaviour) -> Behaviour:
        if isinstance(behaviour, Mapping):
            return self.agent.emits.from_data(behaviour)
        if isinstance(behaviour, Agent):
            return behaviour.run
        if isinstance(behaviour, type):
            if issubclass(behaviour, BaseException):
                return self._raising(behaviour)
        elif (
            behaviour is None
            or isinstance(behaviour, Contract | list | BaseException)
            or _is_callable(behaviour)
        ):
            return behaviour
        shown = f"the class {behaviour.__name__}" if isinstance(behaviour, type) else type(behaviour).__name__
        raise InvalidData(
            f"{shown} can not stand in for {self.agent.name}",
            "nothing was replaced",
            f"give a {self.agent.emits.__name__}, an error, or a function that returns or raises one",
        )

    def _raising(self, kind: type[BaseException]) -> Callable[[Any], Any]:
        """A function that raises a new error of a class each time."""
        said = f"the fake of {self.agent.name}"

        def made() -> BaseException:
            for given in ((), (said,)):
                with contextlib.suppress(TypeError):
                    return kind(*given)
            raise InvalidData(
                f"{kind.__name__} cannot be raised without more than a text",
                "nothing was replaced",
                f"give the error itself: {kind.__name__}(...)",
            )

        def raising(_: Any) -> Any:
            raise made()

        made()
        return raising

    def _called(self, payload: Contract, context: Context) -> Any:
        behaviour = self._next(payload)
        if isinstance(behaviour, BaseException):
            raise behaviour.with_traceback(None)
        if callable(behaviour) and not isinstance(behaviour, Contract):
            function: Callable[..., Any] = behaviour
            return function(payload, context) if _takes_context(function) else function(payload)
        return behaviour

    async def _awaited(self, payload: Contract, context: Context) -> Any:
        found = self._called(payload, context)
        return await found if inspect.isawaitable(found) else found

    def _next(self, payload: Contract) -> Behaviour:
        """What is to be done this time: the last of the behaviours stays."""
        with self._lock:
            number = min(len(self.calls), len(self._behaviours) - 1)
            self.calls.append(payload)
        return self._behaviours[number]


def _is_callable(value: object) -> bool:
    return callable(value)


def _takes_context(function: Callable[..., Any]) -> bool:
    """Whether a function is to be given the context: its second parameter has no default, or is called or annotated so."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin that does not say what it takes
        return False
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    second = [one for one in parameters if one.kind in _BY_POSITION][1:2]
    return any(
        one.default is inspect.Parameter.empty
        or one.name == "context"
        or one.annotation in (Context, "Context")
        for one in second
    )
