"""Conformity: whether data is what a version of a contract says, where there is only its schema and no class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from handoffs.contracts.compatibility.language import Unsupported, contains
from handoffs.contracts.compatibility.patterns import DIALECTS, language_of
from handoffs.contracts.compatibility.values import freeze
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.schema import Schema
from handoffs.contracts.text import printable

_REPORTED_FAULTS = 5

_RUST = DIALECTS[2]
_languages = lru_cache(maxsize=256)(language_of)


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError("it does not fit the pattern")


def _matches(pattern: str, text: str) -> bool:
    """Whether a text fits, as Pydantic reads the pattern, in time that grows as the text does: with Python's own engine a
    few kilobytes from outside could keep a worker busy for hours. It is asked only for what no regular language says."""
    try:
        return contains(_languages(pattern, _RUST), text)
    except Unsupported:
        try:
            return re.search(pattern, text) is not None
        except re.error:
            return False  # it cannot be shown to fit


def _unique(_validator: Any, wanted: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list) and len(set(map(freeze, value))) < len(value):
        yield ValidationError("an item comes twice")


_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern, "uniqueItems": _unique})  # type: ignore[no-untyped-call]


class Conformity:
    """Checks data against one published version. Safe for threads."""

    def __init__(self, name: str, writes: Schema, reads: Schema) -> None:
        self._name = name
        self._reads = _Validator(reads)
        self._writes = _Validator(writes)

    def checked(self, data: dict[str, Any]) -> dict[str, Any]:
        """The fields of ``data`` that the version declares, and no others.

        Raises :class:`InvalidData` that names each faulty field and shows none of the values.
        """
        faults = sorted(self._reads.iter_errors(data), key=lambda fault: fault.json_path)
        if faults:
            raise InvalidData(f"data is not a valid {self._name}: {_said(faults)}")
        return self._pruned(data)

    def _pruned(self, data: dict[str, Any]) -> dict[str, Any]:
        """Without the fields that a writer does not declare; those inside of unions are left to the reader."""
        unknown = [
            fault
            for fault in self._writes.iter_errors(data)
            if fault.validator == "additionalProperties" and fault.validator_value is False
        ]
        for fault in unknown:
            data = _without(data, list(fault.absolute_path), fault.schema.get("properties", {}))
        return data


def _without(value: Any, path: list[str | int], declared: dict[str, Any]) -> Any:
    if not path:
        return {name: inner for name, inner in value.items() if name in declared}
    here, *deeper = path
    inner = _without(value[here], deeper, declared)
    if isinstance(value, list):
        return [inner if number == here else item for number, item in enumerate(value)]
    return {**value, here: inner}


def _said(faults: list[ValidationError]) -> str:
    shown = list(dict.fromkeys(line for fault in faults for line in _lines(fault)))
    if len(shown) > _REPORTED_FAULTS:
        shown = [*shown[:_REPORTED_FAULTS], f"and {len(shown) - _REPORTED_FAULTS} more"]
    return printable("; ".join(shown))


def _lines(fault: ValidationError) -> Iterable[str]:
    place = [str(part) for part in fault.absolute_path]
    if fault.validator == "required":
        wanted: Any = fault.validator_value
        given: Any = fault.instance
        missing = [name for name in wanted if name not in given]
        return [f"{'.'.join([*place, name])}: is missing" for name in missing]
    wanted = fault.validator_value if fault.validator in {"type", "enum", "maximum", "minimum"} else "…"
    return [f"{'.'.join(place) or '(whole)'}: does not fit {fault.validator} {wanted}"]
