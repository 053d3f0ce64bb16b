"""Annotations: what the fields of a model are declared as, at any depth."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic import AliasChoices, AnyUrl, BaseModel, Secret, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from handoffs.contracts.numbers import is_exact

SECRETS = (SecretStr, SecretBytes, Secret)
"""Pydantic's types of values that are not shown."""

_ANY = "*"
_SPELT = (Decimal, datetime, time, float)
_PLAIN = (str, int, bytes, NoneType, date, timedelta, UUID, Enum, IPv4Address, IPv6Address, AnyUrl)
_BARE = (list, tuple, dict, set, frozenset)
_HOLDERS = (
    list,
    tuple,
    dict,
    deque,
    Mapping,
    MutableMapping,
    Sequence,
    MutableSequence,
    Union,
    UnionType,
    Literal,
    Annotated,
)


class Traits(NamedTuple):
    """What the values of a model may need when they are written.

    ``ordered``: there may be sets, secrets, or values of which nothing is known. ``spelt``: equal values may have several
    texts; ``telling``: the fields for which that, or the former, is so. ``secret``: the names of the fields in which there are secrets. ``made_up``: a field may be given by a ``default_factory``. ``loose``: the fields in which 1 and 1.0 may both stand.
    """

    ordered: bool
    spelt: bool
    telling: frozenset[str]
    secret: frozenset[str]
    made_up: bool
    loose: frozenset[str]


@lru_cache(maxsize=4096)
def traits(model: type[BaseModel]) -> Traits:
    """What the values of a model may need, by what its fields are declared as."""
    hints = [hint for _, hint, _ in _hints(model, once=True)]
    ordered = any(map(_needs_order, hints))
    loose = {name for name, info in model.model_fields.items() if _is_loose(info.annotation)}
    secret = {
        called
        for name, info in model.model_fields.items()
        if holds_secret(info.annotation)
        for called in (name, *names_of(info))
    }
    spelt = ordered or any(map(_is_spelt, hints))
    telling = {name for name, info in model.model_fields.items() if _tells(info)}
    return Traits(
        ordered, spelt, frozenset(telling), frozenset(secret), any(map(_makes_up, hints)), frozenset(loose)
    )


def _tells(info: FieldInfo) -> bool:
    hints = [hint for _, hint, _ in _hints(info.annotation, once=True)]
    return info.default_factory is not None or any(
        _needs_order(hint) or _is_spelt(hint) or _makes_up(hint) for hint in hints
    )


def names_of(info: FieldInfo) -> Iterator[str]:
    """The other names under which a field is read (paths into nested data excepted)."""
    for alias in (info.alias, info.validation_alias):
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        yield from (choice for choice in choices if isinstance(choice, str))


def is_secret(hint: Any) -> bool:
    """Whether a type is one of :data:`SECRETS`."""
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, SECRETS)


def undeclarable(model: type[BaseModel]) -> str:
    """What of a model cannot be kept secret as it is declared, in a line; empty where all can."""
    for path, hint, beside in _hints(model, once=True):
        where = path or "/"
        if any(map(_is_secret_mark, beside)) and not holds_secret(hint):
            return f"{where} has the type of a secret beside its own, in Annotated, where it means nothing"
        origin, arguments = get_origin(hint), get_args(hint)
        if (
            isinstance(origin, type)
            and issubclass(origin, Mapping)
            and arguments
            and holds_secret(arguments[0])
        ):
            return f"{where} has secrets as keys, and keys are not masked"
        if origin in (Union, UnionType) and not _can_be_told(arguments):
            return f"{where} is a secret or something else, and a reader could not tell which"
        if _is_model(hint) and getattr(hint, "model_computed_fields", None) and holds_secret(hint):
            computed = ", ".join(hint.model_computed_fields)
            return f"{where} has secrets, and {hint.__name__} computes {computed}, which may show them"
    return ""


def hints_in(hint: Any) -> tuple[Any, ...]:
    """Every type in a model, or in another type, itself among them."""
    return tuple(inner for _, inner, _ in _hints(hint, once=True))


def holds_secret(hint: Any) -> bool:
    """Whether a type, or one in it, is one of :data:`SECRETS`."""
    return any(is_secret(inner) for _, inner, _ in _hints(hint, once=True))


def beside(hint: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What stands beside a type, and each in it that is not inside of a model, in ``Annotated``, with its path in it."""
    return ((path, metadata) for path, _, metadata in _hints(hint, models=False))


def meant(hint: Any) -> Any:
    """What an alias or a NewType stands for; None for any other type."""
    return getattr(hint, "__value__", None) or getattr(hint, "__supertype__", None)


def _bare(hint: Any) -> Any:
    """A type without what stands beside it, and for an alias what it stands for."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif (inner := meant(hint)) is not None:
            hint = inner
        else:
            return hint


def _can_be_told(union: tuple[Any, ...]) -> bool:
    """Whether a reader can tell a secret from the other types of a union."""
    secrets = [_bare(hint) for hint in union if _is_directly_secret(hint)]
    if not secrets:
        return True
    others = [hint for hint in union if not _is_directly_secret(hint)]
    is_text = isinstance(secrets[0], type) and issubclass(secrets[0], (SecretStr, SecretBytes))
    return len(secrets) == 1 and all(map(_is_no_text if is_text else _is_model, others))


def _is_model(hint: Any) -> bool:
    kind = _bare(hint)
    return isinstance(kind, type) and issubclass(kind, (BaseModel, NoneType))


def _is_directly_secret(hint: Any) -> bool:
    return is_secret(_bare(hint))


def _is_secret_mark(beside: Any) -> bool:
    return (isinstance(beside, type) or get_origin(beside) is not None) and _is_directly_secret(beside)


def _is_no_text(hint: Any) -> bool:
    """Whether no JSON text is read as a type."""
    hint = _bare(hint)
    if get_origin(hint) in (Union, UnionType):
        return all(map(_is_no_text, get_args(hint)))
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return False
    known = issubclass(kind, (BaseModel, Mapping, list, tuple, set, frozenset, int, float, NoneType))
    return known and not issubclass(kind, Enum)


def _needs_order(hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is not None:
        return origin not in _HOLDERS
    if meant(hint) is not None or hint is Ellipsis:
        return False
    if not isinstance(hint, type) or hint in _BARE:
        return True
    if issubclass(hint, BaseModel):
        return bool(hint.model_computed_fields) or hint.model_config.get("extra") == "allow"
    described = dataclasses.is_dataclass(hint) or hasattr(hint, "__total__") or hasattr(hint, "_fields")
    return not described and not issubclass(hint, _PLAIN + _SPELT)


def _is_spelt(hint: Any) -> bool:
    return isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, _SPELT)


def _makes_up(hint: Any) -> bool:
    fields = getattr(hint, "model_fields", {}) if isinstance(hint, type) else {}
    return any(info.default_factory is not None for info in fields.values())


def _is_loose(hint: Any) -> bool:
    """Whether an integer and a float may both stand there, and stay what they are."""
    kinds = [inner for _, inner, _ in _hints(hint, models=False)]
    return any(kind in (*_BARE, Any, object) for kind in kinds) or {int, float} <= set(
        filter(_is_type, kinds)
    )


def _is_type(hint: Any) -> bool:
    return isinstance(hint, type)


def plain_decimals(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields that are a ``Decimal`` and no :data:`~handoffs.contracts.numbers.ExactDecimal`, as JSON pointers (``*`` for any
    item). Readers elsewhere take such a field for a number or a text as they like, and round it."""
    found = [
        path
        for path, hint, metadata in _hints(model)
        if isinstance(hint, type) and issubclass(hint, Decimal) and not is_exact(metadata)
    ]
    return tuple(dict.fromkeys(found))


def _hints(
    model: Any, *, models: bool = True, once: bool = False
) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Each type in a model, or in another type, with its path and what stands beside it in ``Annotated``; with ``models`` false
    not what is inside of other models; with ``once`` what is inside of each model the first time alone: models that lead to one another
    have more paths than can be followed."""
    seen: set[Any] = set()
    pending: list[tuple[str, Any, tuple[Any, ...], frozenset[Any]]] = [("", model, (), frozenset())]
    while pending:
        path, hint, metadata, around = pending.pop()
        yield path, hint, metadata
        if get_origin(hint) is Annotated:
            inner, *beside = get_args(hint)
            pending.append((path, inner, (*metadata, *beside), around))
        elif (inner := meant(hint)) is not None:
            if hint not in around:  # an alias may be a part of itself
                pending.append((path, inner, metadata, around | {hint}))
        elif isinstance(hint, type) and get_origin(hint) is None:
            if models and hint not in (seen if once else around):
                seen.add(hint)
                pending += [
                    (f"{path}/{name}", inner, beside, around | {hint})
                    for name, inner, beside in reversed(list(_fields(hint)))
                ]
        elif get_origin(hint) is not Literal:
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
