"""Searchable: fields of contracts by which people look for runs, and how their values are kept for that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from handoffs.contracts.annotations import beside, holds_secret, meant
from handoffs.contracts.text.printable import is_utf8
from handoffs.contracts.text.sensitive import MASK

LONGEST = 200
"""How many characters a value is kept with at most; one of so many is a shortened one."""

MOST = 32
"""How many fields of a contract may be searchable, those of the models in it among them."""

_SCALARS = (str, int, Decimal, date, UUID, Enum)
_LONGEST_NAME = 120
_DIGITS = 64
_INSTEAD = "\ufffd"


class Searchable:
    """Marks a field of a contract by which people look for runs: ``order: Annotated[str, Searchable]``.

    ``coordinator.runs(where={"order": "o-17"})`` finds the runs that were given, or have made, such a contract with that value. It may
    be a text, a whole number, true or false, a decimal, a date, a UUID, one of an enum or of literals, or None, which is not looked for;
    also a field of a model that is itself a field, and is called ``customer.number`` then. It is no part of what is published: a mark
    that comes or goes needs no new version.
    """


class _Place(NamedTuple):
    """A searchable field: what it is called, and the names under which it is written."""

    name: str
    path: tuple[str, ...]


def unsearchable(model: type[BaseModel]) -> str:
    """What of a model is marked as :class:`Searchable` and cannot be, in a line; empty where all can."""
    for name, info in model.model_fields.items():
        inner = _model(info.annotation)
        within = inner.model_fields if inner is not None and not _marked(info) else {}
        for called, field in ((name, info), *((f"{name}.{deeper}", one) for deeper, one in within.items())):
            if why := _unfit(field):
                return f"field {called!r} is searchable, and {why}"
    found = list(_places(model))
    long = [place.name for place in found if len(place.name) > _LONGEST_NAME]
    if long:
        return f"the searchable field {long[0]!r} has a name of more than {_LONGEST_NAME} characters"
    return f"{len(found)} fields are searchable, and {MOST} may be" if len(found) > MOST else ""


def marks(*told: tuple[type[BaseModel], Any]) -> dict[str, list[str]]:
    """The searchable values of what was written, by the names of their fields: each given as its contract, and as people may see it
    (JSON values). They are as :func:`kept` has them, each once; what is None, empty or masked is not among them."""
    found: dict[str, list[str]] = {}
    for model, shown in told:
        for name, path in places(model):
            text = value_text(_at(shown, path))
            if text and text != MASK:
                values = found.setdefault(name, [])
                if (value := kept(text)) not in values:
                    values.append(value)
    return found


@lru_cache(maxsize=4096)
def places(model: type[BaseModel]) -> tuple[_Place, ...]:
    """The searchable fields of a model, and of the models that are its fields."""
    return tuple(_places(model))


def value_text(value: Any) -> str:
    """A value as it is looked for: as JSON has it, without quotes; empty for what is none (None, a list, a fraction)."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, (int, Decimal, UUID)) else ""


def kept(text: str) -> str:
    """A value as it is kept and looked for, at most 200 characters that every database takes. Two values are kept as the same only where
    they are the same: one that is long, or has a character that no column takes, ends in its digest, and has 200 characters."""
    if len(text) < LONGEST and "\x00" not in text and is_utf8(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{beginning(text):<{LONGEST - _DIGITS}}{digest}"


def beginning(text: str) -> str:
    """How what is kept of values begins that begin with ``text``."""
    plain = text.replace("\x00", _INSTEAD).encode("utf-8", "replace").decode()
    return plain[: LONGEST - _DIGITS]


def fitting(found: Any) -> Iterator[tuple[str, str]]:
    """The marks of an entry as they may be stored, whoever wrote it: pairs of name and value, none longer than its column."""
    pairs = found.items() if isinstance(found, Mapping) else ()
    left = 4 * MOST
    for name, values in pairs:
        for value in values if isinstance(values, list) else ():
            if left and isinstance(name, str) and isinstance(value, str) and name and value:
                left -= 1
                whole = len(value) <= LONGEST and "\x00" not in value and is_utf8(value)
                yield kept(name)[:_LONGEST_NAME], value if whole else kept(value)


def _places(model: type[BaseModel]) -> Iterator[_Place]:
    for name, info in model.model_fields.items():
        written = info.serialization_alias or name
        if _marked(info):
            yield _Place(name, (written,))
        elif (inner := _model(info.annotation)) is not None:
            for deeper, field in inner.model_fields.items():
                if _marked(field):
                    yield _Place(f"{name}.{deeper}", (written, field.serialization_alias or deeper))


def _unfit(info: FieldInfo) -> str:
    """Why a field cannot be searchable; empty where it can, or is not to be."""
    found = _marked(info)
    if found and holds_secret(info.annotation):
        return "sensitive, and what is searchable is kept to be seen"
    if found and (any(found) or not _is_scalar(info.annotation)):
        return "no single text, whole number, decimal, date, enum or truth"
    return ""


def _marked(info: FieldInfo) -> list[str]:
    """Where within the type of a field the mark stands: an empty path is the field itself."""
    found = [path for path, metadata in beside(info.annotation) if _has_mark(metadata)]
    return [*found, *([""] if _has_mark(info.metadata) else [])]


def _has_mark(metadata: Iterable[Any]) -> bool:
    return any(part is Searchable or isinstance(part, Searchable) for part in metadata)


def _is_scalar(hint: Any) -> bool:
    hint = _plain(hint)
    if get_origin(hint) in (Union, UnionType):
        return all(_is_scalar(one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return all(isinstance(one, (str, int, Enum, NoneType)) for one in get_args(hint))
    if not isinstance(hint, type):
        return False
    if issubclass(hint, Enum):
        return all(isinstance(one.value, (str, int)) for one in hint)
    return hint is NoneType or issubclass(hint, _SCALARS)


def _model(hint: Any) -> type[BaseModel] | None:
    """The model that a field is, or may be beside None."""
    hint = _plain(hint)
    if get_origin(hint) in (Union, UnionType):
        others = [one for one in map(_plain, get_args(hint)) if one is not NoneType]
        hint = others[0] if len(others) == 1 else None
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def _plain(hint: Any) -> Any:
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif (inner := meant(hint)) is not None:
            hint = inner
        else:
            return hint


def _at(value: Any, path: Iterable[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
