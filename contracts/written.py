"""Written: a model's values beside the JSON that Pydantic writes of them, and what is put right in that JSON.

Pydantic writes the members of a set in the order in which this process happens to hold them, a secret as asterisks, and a
number that is none as null. Here sets have one order, secrets are what the reader of the JSON is to see, and what JSON
cannot say is refused.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import NoneType
from typing import Any, Literal

from pydantic import BaseModel, RootModel, SecretBytes
from pydantic_core import to_jsonable_python

from handoffs.contracts import spelling
from handoffs.contracts.annotations import SECRETS, traits
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import MASK, printable

Purpose = Literal["reader", "people", "comparison"]
"""For whom it is written: ``reader`` has secrets in clear, ``people`` masked; ``comparison`` has them in clear, and equal values
in one spelling."""

_AS_THEY_ARE = frozenset({str, int, bool, NoneType})
_SPELT: dict[type, Callable[[str], str]] = {
    Decimal: spelling.decimal,
    datetime: spelling.moment,
    time: spelling.clock,
}


class Written:
    """Puts right what Pydantic wrote of a model, for one purpose. Of one model at a time."""

    def __init__(self, purpose: Purpose, *, sparing: bool = False) -> None:
        """``sparing`` leaves out what a field was given by its ``default_factory``: that may be another thing each time."""
        self._for_people = purpose == "people"
        self._compared = purpose == "comparison"
        self._sparing = sparing
        self._loose = False
        self._declared = False
        self._ways: tuple[tuple[Any, Callable[[Any, Any, Any], Any]], ...] = (
            (float, self._number),
            (SECRETS, self._secret),
            (BaseModel, self._model),
            (Enum, self._member),
        )

    def model(self, model: BaseModel, data: Any) -> Any:
        """What is written of a model, of which Pydantic wrote ``data``.

        Raises :class:`~handoffs.contracts.errors.InvalidData` that names the field of a number which is none, or of a secret that
        has no form in JSON.
        """
        try:
            return self._model(model, data)
        except _Unwritable as error:
            where = printable(".".join(reversed(error.path)), 200)
            raise InvalidData(f"{where}: {error.what}", "it cannot be sent") from None

    def _of(self, value: Any, data: Any, config: Mapping[str, Any]) -> Any:
        """What is written of ``value``; ``config`` is that of the model around it."""
        if type(value) in _AS_THEY_ARE:
            return data
        for kinds, way in self._ways:
            if isinstance(value, kinds):
                return way(value, data, config)
        if isinstance(data, list):
            return self._list(value, data, config)
        return self._object(value, data, config) if isinstance(data, dict) else self._scalar(value, data)

    def _number(self, value: float, data: Any, _config: Any) -> Any:
        self._finite(math.isfinite(value))
        return self._float(data) if self._compared and isinstance(data, float) else data

    def _member(self, value: Enum, data: Any, config: Mapping[str, Any]) -> Any:
        return self._of(value.value, data, config)

    def _float(self, data: float) -> float:
        """One spelling of a float: zero has no sign; where an integer may stand as well, a whole number is one."""
        spelt: float = spelling.number(data) if self._loose else data or 0.0
        return spelt

    def _scalar(self, value: Any, data: Any) -> Any:
        if isinstance(value, Decimal):
            self._finite(value.is_finite())
        if not self._compared or not isinstance(data, str):
            return data
        way = _SPELT.get(type(value)) or next(
            (one for base, one in _SPELT.items() if isinstance(value, base)), None
        )
        return way(data) if way is not None else data

    def _model(self, model: BaseModel, data: Any, _config: Any = None) -> Any:
        found = traits(type(model))
        if isinstance(model, RootModel):
            self._declared = bool(found.secret)
            return self._of(model.root, data, model.model_config)
        if not isinstance(data, dict):
            return data
        made, loose = dict(data), self._loose
        for name, written, value in _told(model):
            if written not in made:
                continue
            if self._sparing and _made_up(model, name):
                del made[written]
                continue
            self._loose = loose or name in found.loose
            self._declared = name in found.secret
            try:
                made[written] = self._of(value, made[written], model.model_config)
            except _Unwritable as error:
                error.path.append(name)
                raise
            finally:
                self._loose = loose
        shown = getattr(type(model), "_shown", None) if self._for_people else None
        return shown(model, made) if shown is not None else made

    def _list(self, value: Any, data: list[Any], config: Mapping[str, Any]) -> list[Any]:
        if not isinstance(value, (list, tuple, set, frozenset, deque)) or len(value) != len(data):
            return data
        made = [self._of(item, written, config) for item, written in zip(value, data, strict=True)]
        return sorted(made, key=_order) if isinstance(value, (set, frozenset)) else made

    def _object(self, value: Any, data: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            named = getattr(value, "__pydantic_fields__", None) or {}
            pairs = [
                (getattr(named.get(field.name), "serialization_alias", None) or field.name, field.name)
                for field in dataclasses.fields(value)
            ]
            inner = {
                written: self._of(getattr(value, name), data[written], config)
                for written, name in pairs
                if written in data
            }
            return {**data, **inner}
        if not isinstance(value, Mapping) or len(value) != len(data):
            return data
        return {
            self._key(key, written): self._of(item, inner, config)
            for (key, item), (written, inner) in zip(value.items(), data.items(), strict=True)
        }

    def _key(self, key: Any, written: str) -> str:
        if isinstance(key, SECRETS) and not self._for_people:
            raise _Unwritable("a secret is the key of a mapping, and keys are not masked")
        if isinstance(key, float):
            return str(spelling.number(key)) if self._compared and math.isfinite(key) else written
        return str(self._scalar(key, written))

    def _secret(self, value: Any, data: Any, config: Mapping[str, Any]) -> Any:
        if self._for_people:
            return MASK
        if data not in (MASK, "", str(value)):
            return data  # a serializer of its own has written it
        if not self._declared:
            raise _Unwritable("a secret is where none is declared, and a reader would take it for plain text")
        inner = value.get_secret_value()
        if isinstance(value, SecretBytes):
            try:
                return to_jsonable_python(inner, bytes_mode=config.get("ser_json_bytes", "utf8"))
            except ValueError:
                raise _Unwritable('its bytes are no UTF-8: give the model ser_json_bytes="base64"') from None
        return self._of(inner, to_jsonable_python(inner), config)

    def _finite(self, finite: bool) -> None:
        if not finite and not self._for_people:
            raise _Unwritable("a number is NaN or infinite, which JSON cannot say")


def _order(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False, sort_keys=True)


class _Unwritable(Exception):
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path: list[str] = []


def _told(model: BaseModel) -> Iterator[tuple[str, str, Any]]:
    """What of a model may have to be put right: the name of each field, under which name it is written, and its value."""
    kind = type(model)
    values = model.__dict__
    for name, written in _names(kind):
        if name in values:
            yield name, written, values[name]
    for name, value in (model.__pydantic_extra__ or {}).items():
        yield name, name, value
    for name, computed in _computed(kind):
        yield name, computed.alias or name, getattr(model, name)


@lru_cache(maxsize=4096)
def _computed(model: type[BaseModel]) -> tuple[tuple[str, Any], ...]:
    return tuple(model.model_computed_fields.items())


@lru_cache(maxsize=4096)
def _names(model: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """The fields that may have to be put right, and under which name each is written."""
    telling = traits(model).telling
    return tuple(
        (name, info.serialization_alias or name)
        for name, info in model.model_fields.items()
        if name in telling
    )


def _made_up(model: BaseModel, name: str) -> bool:
    """Whether a field has what its ``default_factory`` gave it, which may be another thing each time."""
    info = type(model).model_fields.get(name)
    return info is not None and info.default_factory is not None and name not in model.model_fields_set
