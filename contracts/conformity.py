"""Conformity: whether data is what a version of a contract says, where there is only its schema and no class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from handoffs.contracts import strictjson
from handoffs.contracts.compatibility.engine import matches
from handoffs.contracts.compatibility.language import Unsupported, contains
from handoffs.contracts.compatibility.patterns import language_of
from handoffs.contracts.content import Content
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.numbers import EXACT_PATTERN, reads_exact
from handoffs.contracts.patternsize import MOST_STEPS, size
from handoffs.contracts.schema import Schema
from handoffs.contracts.text import printable

_REPORTED_FAULTS = 5
_NOWHERE: Registry[Any] = Registry()
"""Where references outside of a schema lead to: to nothing, so that nothing is fetched from the network or a disk."""
_UNJUDGED = {"unevaluatedProperties", "patternProperties"}
_TOGETHER = " and ".join(sorted(_UNJUDGED))

_MOST_FAULTS = 1_000
_seen: ContextVar[dict[tuple[str, int], bool] | None] = ContextVar("seen", default=None)
"""Of each reference and value whether it fits, while one instance is judged: what a schema leads to by two ways is judged once."""

_languages = lru_cache(maxsize=256)(language_of)


def _matches(pattern: str, text: str) -> bool:
    """Whether a text fits, as Pydantic reads the pattern, in time that grows as the text does: no engine that backtracks is
    ever asked. What Pydantic's cannot compile was Python's to judge, and is judged as a language by Python's tables; where it is
    none, or where it would take very long, the text cannot be shown to fit. What an exact decimal is read as says :func:`~handoffs.contracts.numbers.reads_exact`."""
    if pattern == EXACT_PATTERN:
        return reads_exact(text)
    if size(pattern).steps(len(text)) > MOST_STEPS:
        return False
    found = matches(pattern, text)
    if found is not None:
        return found
    try:
        return contains(_languages(pattern, "python"), text)
    except (Unsupported, RecursionError):
        return False


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError("it does not fit the pattern")


def _pattern_properties(
    validator: Any, patterns: dict[str, Any], value: Any, _schema: Any
) -> Iterator[ValidationError]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        for pattern, schema in patterns.items():
            if _matches(pattern, name):
                yield from validator.descend(inner, schema, path=name, schema_path=pattern)


def _is_declared(name: str, schema: dict[str, Any]) -> bool:
    patterns = schema.get("patternProperties", {})
    return name in schema.get("properties", {}) or any(_matches(pattern, name) for pattern in patterns)


def _additional(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    further = [name for name in value if not _is_declared(name, schema)]
    if wanted is False and further:
        yield ValidationError("it has fields that are not declared")
    elif wanted is not False:
        for name in further:
            yield from validator.descend(value[name], wanted, path=name)


def _unique(_validator: Any, wanted: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """Compares texts: their hashes are random, those of numbers can be chosen."""
    if wanted and isinstance(value, list) and len(set(map(_text_of, value))) < len(value):
        yield ValidationError("an item comes twice")


def _text_of(value: Any) -> str:
    """A text that is the same for equal JSON values, and for no others."""
    if type(value) is str:
        return f'"{value}'
    return str(value) if type(value) is int else strictjson.canonical(_told(value))


def _told(value: Any) -> Any:
    """The same JSON value, so that equal ones are written alike: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        return int(Fraction(str(value)))
    if isinstance(value, list):
        return [_told(item) for item in value]
    return {name: _told(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _ref(validator: Any, reference: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    seen = _seen.get() if isinstance(value, (dict, list)) else None
    place = (reference, id(value))
    if seen is not None and place in seen:
        if not seen[place]:
            yield ValidationError("it does not fit, as was found before")
        return
    faults = list(islice(validator._validate_reference(ref=reference, instance=value), _MOST_FAULTS))
    if seen is not None:
        seen[place] = not faults
    yield from faults


@contextmanager
def _remembering() -> Iterator[None]:
    """Judge one instance, which lives as long as the block."""
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "$ref": _ref,
        "additionalProperties": _additional,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "uniqueItems": _unique,
    },
)


class Conformity:
    """Checks data against one published version. Safe for threads."""

    def __init__(self, name: str, writes: Schema, reads: Schema) -> None:
        self._name = name
        self._reads = _Validator(reads, registry=_NOWHERE)
        self._writes = _Validator(writes, registry=_NOWHERE)
        self._unjudged = {*_keywords(reads)} >= _UNJUDGED
        self._content = Content(reads, self._fits)

    def checked(self, data: dict[str, Any]) -> dict[str, Any]:
        """The fields of ``data`` that the version declares, and no others.

        Raises :class:`InvalidData` that names each faulty field and shows none of the values.
        """
        if self._unjudged:
            raise InvalidData(
                f"whether data is a valid {self._name} cannot be judged: its schema has {_TOGETHER}"
            )
        try:
            with _remembering():
                found = islice(self._reads.iter_errors(data), _MOST_FAULTS)
                faults = sorted(found, key=lambda fault: fault.json_path)
            if faults:
                raise InvalidData(f"data is not a valid {self._name}: {_said(faults)}")
            return self._pruned(data)
        except RecursionError:
            raise InvalidData(
                f"whether data is a valid {self._name} cannot be judged: it is nested too deep, or its schema refers to itself without end"
            ) from None
        except Unresolvable as error:
            where = printable(error.ref, 200)
            raise InvalidData(
                f"whether data is a valid {self._name} cannot be judged: its schema refers to {where}, which is not in it",
                "nothing is fetched from elsewhere",
                "publish a version whose schema is whole",
            ) from None

    def content(self, data: dict[str, Any]) -> Any:
        """What ``data`` says: see :mod:`handoffs.contracts.content`."""
        with _remembering():
            return self._content.of(data)

    def _fits(self, part: Schema, data: Any) -> bool:
        try:
            return not self._unjudged and bool(self._reads.evolve(schema=part).is_valid(data))
        except Unresolvable:
            return False

    def _pruned(self, data: dict[str, Any]) -> dict[str, Any]:
        """Without the fields that a writer does not declare; those inside of unions are left to the reader."""
        pruned: dict[str, Any] = _copied(data)  # one object may be in two places, and is remembered as one
        with _remembering():
            unknown = [
                fault
                for fault in self._writes.iter_errors(pruned)
                if fault.validator == "additionalProperties" and fault.validator_value is False
            ]
        for fault in unknown:
            place: Any = pruned
            for step in fault.absolute_path:
                place = place[step]
            for name in [name for name in place if not _is_declared(name, fault.schema)]:
                del place[name]
        return pruned


def _copied(value: Any) -> Any:
    """A copy of a JSON value, of its arrays and objects."""
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return {name: _copied(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _keywords(schema: Any) -> Iterator[str]:
    """Every name in a schema, keywords among them."""
    for inner in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
        yield from _keywords(inner)
    if isinstance(schema, dict):
        yield from schema


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
