"""Function: what the function of an agent takes and gives, read where it is declared. What it cannot be called with is refused."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from types import UnionType
from typing import Any

from handoffs.contracts.annotations import meant
from handoffs.contracts.contract import Contract
from handoffs.contracts.event import Nothing
from handoffs.contracts.text import named
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.context import Context

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_NAMES = frozenset({"context", "ctx"})
_UNREAD = object()
_MISSING = Parameter.empty


@dataclass(frozen=True, slots=True)
class Declared:
    """What a function takes and gives. ``events`` are those that it returns. ``context`` is how it takes one: by that name,
    in the ``second`` place, or not at all where it is empty."""

    accepts: type[Contract]
    emits: type[Contract]
    events: tuple[type[Contract], ...]
    context: str
    second: bool


def declared(agent: str, function: Any, names: Mapping[str, Any]) -> Declared:
    """Read ``function``, whose annotations may name what is among ``names``.

    Raises :class:`AgentError`, in one line with what to write, for one that cannot be an agent's.
    """
    _check_kind(agent, function)
    signature = _signature(agent, function)
    hints = _Hints(agent, function, names)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind not in _BY_PLACE:
        raise wrong(agent, f"it takes no contract in the first place{_wrapped(parameters)}")
    first, *others = parameters
    accepts = _accepted(agent, first, hints)
    context = _context(agent, accepts, others, hints)
    second = context is not None and context.kind in _BY_PLACE and context is others[0]
    returned = hints.of(signature.return_annotation, "return")
    if returned is _MISSING:
        raise wrong(agent, "it does not say what it returns")
    events = _events(agent, returned)
    emits = Nothing if events is not None else contract(agent, "the return value", returned)
    found = Declared(accepts, emits, events or (), context.name if context else "", second)
    _check_call(agent, function, found)
    return found


def contract(agent: str, place: str, hint: Any) -> type[Contract]:
    """The contract with which something is annotated. Raises :class:`AgentError` for anything else."""
    if not (isinstance(hint, type) and issubclass(hint, Contract)):
        raise wrong(
            agent,
            f"{place} is annotated as {getattr(hint, '__name__', None) or named(hint)}, which is no contract",
        )
    hint.ref()
    return hint


def wrong(agent: str, why: str) -> AgentError:
    """The error for a function that cannot be an agent's."""
    return AgentError(
        f"agent {agent} has the wrong signature: {why}",
        "it cannot be part of a flow",
        "an agent takes one contract, and a context if it likes, and returns one contract: "
        "def price(order: OrderPlaced, context: Context) -> OrderPriced",
    )


# What it is


def _check_kind(agent: str, function: Any) -> None:
    if isinstance(function, type):
        raise wrong(
            agent, f"{function.__name__} is a class; declare a function, or an object that can be called"
        )
    if not callable(function):
        raise wrong(agent, f"a {type(function).__name__} is no function")
    for one in _layers(function):
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            raise wrong(agent, "it yields; return the contract, or a list of events (-> list[OrderPriced])")


def _layers(function: Any) -> list[Any]:
    """The function, and what is within it: what a decorator, a partial or a method has been made of."""
    found: list[Any] = []
    while function is not None and len(found) < 50:
        found.append(function)
        inner = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
        if isinstance(function, functools.partial):
            inner = function.func
        elif inner is None and not hasattr(function, "__code__") and not inspect.isbuiltin(function):
            call = vars(next((one for one in type(function).__mro__ if "__call__" in vars(one)), object)).get(
                "__call__"
            )
            inner = call if hasattr(call, "__code__") or hasattr(call, "__wrapped__") else None
        function = inner
    return found


def _signature(agent: str, function: Any) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError) as error:
        raise wrong(agent, f"it does not say what it takes ({error})") from None


# What it is annotated with


class _Hints:
    """The annotations of a function, each read for itself: one that is not needed may name what is not there."""

    def __init__(self, agent: str, function: Any, names: Mapping[str, Any]) -> None:
        self._agent = agent
        self._names = names
        innermost = _layers(function)[-1]
        self._globals = getattr(innermost, "__globals__", {})

    def of(self, annotation: Any, name: str) -> Any:
        """What an annotation stands for; ``_MISSING`` where there is none. Raises :class:`AgentError` where it cannot be read."""
        found, why = self._read(annotation, name)
        if found is _UNREAD:
            raise AgentError(
                f"the annotations of {self._agent} cannot be read: {why}",
                "it cannot be part of a flow",
                "import what they name where the module runs, not for type checkers alone",
            )
        return found

    def is_context(self, parameter: Parameter) -> bool:
        """Whether a parameter beside the contract is for the context."""
        annotation = parameter.annotation
        found, _ = self._read(annotation, parameter.name)
        if found is _UNREAD:  # imported for type checkers alone
            return bool(re.search(r"\bContext\b", str(annotation))) or parameter.name in _NAMES
        if found is _MISSING or found in (Any, object):
            return parameter.name in _NAMES or (parameter.kind in _BY_PLACE and parameter.default is _MISSING)
        return any(isinstance(one, type) and issubclass(Context, one) for one in _members(found))

    def _read(self, annotation: Any, name: str) -> tuple[Any, str]:
        if annotation is _MISSING:
            return _MISSING, ""

        def stub() -> None: ...

        stub.__annotations__ = {name: annotation}
        try:
            hint = typing.get_type_hints(stub, globalns=self._globals, localns=dict(self._names))[name]
        except (NameError, TypeError, AttributeError, SyntaxError) as error:
            return _UNREAD, str(error)
        while (inner := meant(hint)) is not None:
            hint = inner
        return hint, ""


def _members(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in {typing.Union, UnionType}:
        return tuple(one for one in typing.get_args(hint) if one is not type(None))
    return (hint,)


def _accepted(agent: str, first: Parameter, hints: _Hints) -> type[Contract]:
    if first.annotation is _MISSING:
        is_method = (
            "; of a method declare the bound one: agent(...)(object.method)" if first.name == "self" else ""
        )
        raise wrong(agent, f"parameter {first.name!r} has no annotation{is_method}")
    hint = hints.of(first.annotation, first.name)
    if hint is Context:
        raise wrong(agent, "the context comes first; the contract does")
    return contract(agent, f"parameter {first.name!r}", hint)


def _context(agent: str, accepts: type[Contract], others: list[Parameter], hints: _Hints) -> Parameter | None:
    """The parameter for the context, if there is one. Raises :class:`AgentError` for another that must be given."""
    found: Parameter | None = None
    for parameter in others:
        if parameter.kind in _ANY_NUMBER:
            continue
        if hints.is_context(parameter):
            if found is not None:
                raise wrong(agent, f"{found.name!r} and {parameter.name!r} are both for the context")
            found = parameter
        elif parameter.default is _MISSING:
            hint = hints.of(parameter.annotation, parameter.name)
            if isinstance(hint, type) and issubclass(hint, Contract):
                raise wrong(
                    agent,
                    f"it takes {accepts.__name__} and {hint.__name__}; join them in one contract with a field for each",
                )
            raise wrong(agent, f"parameter {parameter.name!r} is no context, and has no default")
    return found


def _events(agent: str, hint: Any) -> tuple[type[Contract], ...] | None:
    """The events in a return annotation; none for ``None``, and None where it is one contract, or something else."""
    if hint is type(None):
        return ()
    if typing.get_origin(hint) is list:
        [hint] = typing.get_args(hint)
    elif typing.get_origin(hint) not in {typing.Union, UnionType}:
        return None
    return tuple(contract(agent, "the return value", one) for one in _members(hint))


# How it is called


def _check_call(agent: str, function: Callable[..., Any], found: Declared) -> None:
    """Raises :class:`AgentError` where what is around the function takes other arguments than the function says."""
    places = (None, None) if found.second else (None,)
    named = {found.context: None} if found.context and not found.second else {}
    try:
        inspect.signature(function, follow_wrapped=False).bind(*places, **named)
    except TypeError as error:
        raise wrong(agent, f"what is around it takes other arguments than it says ({error})") from None
    except ValueError:
        return


def _wrapped(parameters: list[Parameter]) -> str:
    if parameters and all(one.kind in _ANY_NUMBER for one in parameters):
        return "; a decorator says what it is around by functools.wraps"
    return ""
