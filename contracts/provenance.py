"""Provenance: where text from outside ends up in a contract. It may only be where a field says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from handoffs.contracts.annotations import names_of
from handoffs.contracts.text.untrusted import UntrustedText

_Path = tuple[object, ...]
_PLAIN = frozenset({str, int, bool, float, bytes, type(None), Decimal, datetime, SecretStr})
"""Types of which no value is untrusted text, nor holds any."""


def lost(given: object, kept: object, path: _Path = ()) -> _Path | None:
    """Where ``given``, the input of a validation, is untrusted and ``kept``, its outcome, does not say so; None: nowhere."""
    if type(given) in _PLAIN:
        return None
    if isinstance(given, (str, BaseModel)):
        return path if isinstance(given, UntrustedText) and not isinstance(kept, UntrustedText) else None
    if isinstance(given, Mapping):
        return _lost_in_mapping(given, kept, path)
    if isinstance(given, (list, tuple)):
        parts = list(kept) if isinstance(kept, (list, tuple)) else []
        paired = parts if len(parts) == len(given) else [None] * len(given)
        places = (
            lost(part, made, (*path, place))
            for place, (part, made) in enumerate(zip(given, paired, strict=True))
        )
        return next((place for place in places if place is not None), None)
    if isinstance(given, (set, frozenset)):
        known = {part: part for part in kept} if isinstance(kept, (set, frozenset)) else {}
        return next((path for part in given if lost(part, known.get(part)) is not None), None)
    return None


def _lost_in_mapping(given: Mapping[Any, object], kept: object, path: _Path) -> _Path | None:
    if _all_plain(given.values()) and _all_plain(given):
        return None
    if isinstance(kept, BaseModel):
        names = {alias: name for name, info in type(kept).model_fields.items() for alias in names_of(info)}
        pairs = [
            (name, part, getattr(kept, names.get(name, str(name)), None))
            for name, part in given.items()
            if names.get(name, name) in type(kept).model_fields
        ]
    else:
        made = kept if isinstance(kept, Mapping) else {}
        keys = {key: key for key in made}
        if any(
            isinstance(key, UntrustedText) and not isinstance(keys.get(key), UntrustedText) for key in given
        ):
            return (*path, "(key)")
        pairs = [(key, part, made.get(key)) for key, part in given.items()]
    places = (lost(part, made, (*path, name)) for name, part, made in pairs)
    return next((place for place in places if place is not None), None)


def misplaced(model: BaseModel) -> _Path | None:
    """Where a model that was made without validation holds untrusted text in a field that does not say so."""
    values = model.__dict__
    if _all_plain(values.values()):
        return None
    declared = _declared(type(model))
    for name, value in values.items():
        for path, part in _parts(value, (name,)):
            if isinstance(part, BaseModel):
                if (inner := misplaced(part)) is not None:
                    return (*path, *inner)
            elif name not in declared:
                return path
    return None


def _all_plain(values: Iterable[object]) -> bool:
    return all(type(value) in _PLAIN for value in values)


def _parts(value: object, path: _Path) -> Iterator[tuple[_Path, UntrustedText | BaseModel]]:
    """The untrusted texts and the models in ``value``, however deep."""
    if type(value) in _PLAIN:
        return
    if isinstance(value, (UntrustedText, BaseModel)):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _parts(key, (*path, "(key)"))
            yield from _parts(part, (*path, key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for place, part in enumerate(value):
            yield from _parts(part, (*path, place))


@lru_cache(maxsize=1024)
def _declared(model: type[BaseModel]) -> frozenset[str]:
    """The fields in whose type untrusted text has a place."""
    return frozenset(name for name, info in model.model_fields.items() if _mentions(info.annotation))


def _mentions(hint: Any) -> bool:
    return hint is UntrustedText or any(map(_mentions, get_args(getattr(hint, "__value__", hint))))
