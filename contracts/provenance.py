"""Provenance: where text from outside ends up in a contract. It may only be where a field says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from contracts.text.untrusted import UntrustedText

_Path = tuple[object, ...]


def lost(given: object, kept: object, path: _Path = ()) -> _Path | None:
    """Where ``given``, the input of a validation, is untrusted and ``kept``, its outcome, does not say so; None: nowhere."""
    if isinstance(given, (str, bytes, BaseModel)):
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
    if isinstance(kept, BaseModel):
        names = {info.alias: name for name, info in type(kept).model_fields.items() if info.alias}
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
    for name, info in type(model).model_fields.items():
        value = model.__dict__.get(name)
        if value is None or type(value) in (str, int, bool, float):
            continue
        declared = _mentions(info.annotation)
        for path, part in _parts(value, (name,)):
            if isinstance(part, BaseModel):
                if (inner := misplaced(part)) is not None:
                    return (*path, *inner)
            elif not declared:
                return path
    return None


def _parts(value: object, path: _Path) -> Iterator[tuple[_Path, UntrustedText | BaseModel]]:
    """The untrusted texts and the models in ``value``, however deep."""
    if isinstance(value, (UntrustedText, BaseModel)):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if type(key) is not str:
                yield from _parts(key, (*path, "(key)"))
            yield from _parts(part, (*path, key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for place, part in enumerate(value):
            yield from _parts(part, (*path, place))


def _mentions(hint: Any) -> bool:
    return hint is UntrustedText or any(map(_mentions, get_args(getattr(hint, "__value__", hint))))
