"""Members: the values that a field can have, where its declaration counts them: a ``Literal``, an ``Enum``, or several of them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic_core import to_jsonable_python

from handoffs.contracts.annotations import meant
from handoffs.coordinator.flow.comparison import Value, fields_at, plain
from handoffs.coordinator.flow.sort import goes_with, sorts_of

_OPEN = object()
"""Stands for values that the declaration does not count."""


def members_at(contract: type[BaseModel], path: str, constant: Value) -> tuple[Any, ...] | None:
    """The JSON values that the field at ``path`` can have, other than null; None where any value of the constant's sort may be
    among them, or where code of the contract's own gives the field its value or writes it."""
    found: list[Any] = []
    for model, name in fields_at(contract, path):
        info = model.model_fields[name]
        values = list(_values(info.annotation, constant)) if not _is_rewritten(model, name) else [_OPEN]
        if _OPEN in values:
            return None
        found += values
    return tuple(found)


def _values(hint: Any, constant: Value) -> Iterator[Any]:
    """What a type counts; :data:`_OPEN` where it does not count what ``constant`` may be equal to."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *beside = get_args(hint)
        if any(map(_has_code, beside)):
            yield _OPEN
        else:
            yield from _values(inner, constant)
    elif origin in (Union, UnionType):
        for part in get_args(hint):
            yield from _values(part, constant)
    elif (inner := meant(hint)) is not None:
        yield from _values(inner, constant)
    elif origin is Literal:
        yield from (to_jsonable_python(value) for value in get_args(hint) if value is not None)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        yield from [_OPEN] if _has_code(hint) else (to_jsonable_python(member) for member in hint)
    elif any(sorts_of(found) & (goes_with(constant) | {"any"}) for found in plain(hint)):
        yield _OPEN


def _is_rewritten(model: type[BaseModel], name: str) -> bool:
    """Whether code of the contract's own may make other values of those that its declaration counts, or write them otherwise."""
    own = model.__pydantic_decorators__
    about = [one.info.fields for one in own.field_validators.values() if one.info.mode != "before"]
    about += [one.info.fields for one in own.field_serializers.values()]
    return (
        bool(own.model_serializers)
        or any(map(_has_code, model.model_fields[name].metadata))
        or any(name in fields or "*" in fields for fields in about)
    )


def _has_code(beside: Any) -> bool:
    """Whether a type, or what stands beside one, tells Pydantic itself how values are read or written."""
    return hasattr(beside, "__get_pydantic_core_schema__") and not isinstance(beside, BeforeValidator)
