"""Annotations: what the fields of a model are declared as, at any depth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from handoffs.contracts.numbers import is_exact

_ANY = "*"


def plain_decimals(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields that are a ``Decimal`` and no :data:`~handoffs.contracts.numbers.ExactDecimal`, as JSON pointers (``*`` for any
    item). Readers elsewhere take such a field for a number or a text as they like, and round it."""
    found = [
        path
        for path, hint, metadata in _hints(model)
        if isinstance(hint, type) and issubclass(hint, Decimal) and not is_exact(metadata)
    ]
    return tuple(dict.fromkeys(found))


def _hints(model: type[BaseModel]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Each type with its path and what stands beside it in ``Annotated``."""
    pending: list[tuple[str, Any, tuple[Any, ...], frozenset[Any]]] = [("", model, (), frozenset())]
    while pending:
        path, hint, metadata, around = pending.pop()
        yield path, hint, metadata
        if get_origin(hint) is Annotated:
            inner, *beside = get_args(hint)
            pending.append((path, inner, (*metadata, *beside), around))
        elif hasattr(hint, "__value__") or hasattr(hint, "__supertype__"):  # an alias, a NewType
            pending.append((path, getattr(hint, "__value__", None) or hint.__supertype__, metadata, around))
        elif isinstance(hint, type) and get_origin(hint) is None:
            if hint not in around:
                pending += [
                    (f"{path}/{name}", inner, beside, around | {hint})
                    for name, inner, beside in reversed(list(_fields(hint)))
                ]
        else:
            step = "/" + _ANY if _holds_items(get_origin(hint)) else ""
            pending += [(path + step, inner, (), around) for inner in reversed(get_args(hint))]


def _fields(hint: type) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    if issubclass(hint, BaseModel):
        for name, info in hint.model_fields.items():
            yield info.alias or name, info.annotation, tuple(info.metadata)
    elif dataclasses.is_dataclass(hint) or hasattr(hint, "__total__") or hasattr(hint, "_fields"):
        try:
            hints: Mapping[str, Any] = get_type_hints(hint, include_extras=True)
        except (
            NameError,
            TypeError,
            AttributeError,
        ):  # names of another module: pydantic has its own way to them
            hints = getattr(hint, "__annotations__", {})
        for name, inner in hints.items():
            yield name, inner, ()


def _holds_items(origin: Any) -> bool:
    return isinstance(origin, type) and hasattr(origin, "__iter__")
