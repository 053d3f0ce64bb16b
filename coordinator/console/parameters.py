"""Parameters: which parameters the address of a page can have; another one is refused, for who mistypes a filter would see what it does
not choose."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin

from fastapi import Request
from fastapi.params import Depends, Query
from pydantic import BaseModel

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import quoted

_ALIKE = 0.5


def parameters_of(view: Callable[..., Any]) -> frozenset[str]:
    """The parameters of the address that ``view``, a dependency of FastAPI, takes: its own, and those of what it depends on."""
    return frozenset(_parameters(view))


def refuses_others(known: frozenset[str]) -> Callable[[Request], None]:
    """What lets no other parameters than ``known`` pass: it raises :class:`~handoffs.contracts.errors.InvalidData`."""

    def check(request: Request) -> None:
        unknown = sorted(set(request.query_params) - known)
        if not unknown:
            return
        near = get_close_matches(unknown[0], sorted(known), 1, _ALIKE)
        there = f"there are: {', '.join(sorted(known))}" if known else "leave it out: there are none"
        raise InvalidData(
            f"this address takes no parameter {quoted(unknown[0], 60)}",
            "nothing was looked up",
            f"did you mean {near[0]!r}? {there}" if near else there,
        )

    return check


def _parameters(view: Callable[..., Any]) -> Iterator[str]:
    for name, parameter in inspect.signature(view, eval_str=True).parameters.items():
        if get_origin(parameter.annotation) is not Annotated:
            if parameter.default is not inspect.Parameter.empty:  # as FastAPI takes it
                yield name
            continue
        kind, *said = get_args(parameter.annotation)
        for one in said:
            if isinstance(one, Query):
                is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
                yield from kind.model_fields if is_model else (one.alias or name,)
            elif isinstance(one, Depends) and one.dependency is not None:
                yield from _parameters(one.dependency)
