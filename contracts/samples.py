"""Samples: instances of a schema at its edges. The same schema always gives the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.compatibility.budget import Budget, Exhausted
from handoffs.contracts.compatibility.engine import matches
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.schema import Schemas
from handoffs.contracts.compatibility.solver import Solver
from handoffs.contracts.compatibility.state import State
from handoffs.contracts.numbers import EXACT_PATTERN
from handoffs.contracts.schema import Schema

_STEPS = 8_000  # for one sample
_SECONDS = 5.0  # for all of them; never near it for the contracts of people
_DEEPEST = 8
_MEMBERS = 20
_LONGEST_TEXT = 2_000
_MOST_ITEMS = 20

Wrap = Callable[[Schema], Schema]


def samples(
    schema: Schema, *, beside: Sequence[Schema] = (), usual: bool = False, most: int = 60
) -> tuple[Any, ...]:
    """Instances that a writer bound to ``schema`` may emit: at most ``most``, different from one another.

    First a plain one; then one for each member of an enum, each end of a range, null and not null, each branch of a
    union, empty and filled lists, with and without each optional property. ``beside`` are schemas which say what is
    usual: an instance is valid for the first of them too where there is such a one; with ``usual`` others are left out.
    Texts that stand for an exact decimal are usual ones, such as ``1.50``.

    Raises :class:`~handoffs.contracts.errors.InvalidSchema` for a document that is not a schema.
    """
    preferred: list[Schema | None] = [_usual(document) for document in (*beside, schema)]
    search = _Search(schema, preferred[:1] if usual else [*preferred, None])
    until = time.monotonic() + _SECONDS
    found: dict[str, Any] = {}
    for wanted in (target for source in (*beside, schema) for target in _targets(source)):
        if len(found) >= most or time.monotonic() > until:
            break
        for value in search.instance(wanted):
            found.setdefault(strictjson.canonical(value), value)
    return tuple(found.values())


def exampled(schema: Schema) -> Schema:
    """The schema, with every field that has ``examples`` bound to them. ``schema`` is as Pydantic generates it."""
    return {word: _with_examples(value) for word, value in schema.items() if word != "examples"}


class _Search:
    def __init__(self, schema: Schema, beside: Sequence[Schema | None]) -> None:
        self._schemas = Schemas()
        try:
            self._writer: Node | None = self._schemas.read(schema)
            self._beside = [None if document is None else self._schemas.read(document) for document in beside]
        except Exhausted:
            self._writer = None

    def instance(self, wanted: Schema) -> Iterator[Any]:
        """One instance that is as ``wanted``, the most usual one; none where there is none or it is not found."""
        if self._writer is None:
            return
        for usual in self._beside:
            try:
                target = (self._schemas.read(wanted), False)
                budget = Budget(steps=_STEPS, seconds=_SECONDS)
                solver = Solver(self._schemas.interner, budget, matches)  # as Pydantic reads patterns
                beside = () if usual is None else ((usual, True),)
                answer = solver.solve(State(frozenset({(self._writer, True), target, *beside})))
            except (Exhausted, RecursionError):
                continue
            if answer.status == "found":
                yield answer.value
                return


def _with_examples(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_examples(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    made = {word: _with_examples(value) for word, value in part.items()}
    examples = part.get("examples")
    if isinstance(examples, list) and examples and "enum" not in part and "const" not in part:
        made["enum"] = examples
    return made


def _usual(part: Any) -> Any:
    """The schema, with decimals that most contracts take: no sign, not zero."""
    if isinstance(part, list):
        return [_usual(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    made = {word: _usual(value) for word, value in part.items()}
    if part.get("pattern") == EXACT_PATTERN and "enum" not in part:
        made["enum"] = ["1", "1.50", "120"]
    return made


def _targets(schema: Schema) -> Iterator[Schema]:
    yield {}
    kept: Schema = {word: schema[word] for word in ("$defs", "definitions") if word in schema}
    for target in _Targets(schema.get("$defs", {})).of(schema, lambda inner: inner, ()):
        yield {**target, **kept}


class _Targets:
    """What is asked of an instance, one thing at a time."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def of(self, part: Any, wrap: Wrap, around: tuple[str, ...]) -> Iterator[Schema]:
        """The targets at one place: ``wrap`` makes a schema of the whole instance of one of the place."""
        if not isinstance(part, dict) or len(around) > _DEEPEST:
            return
        reference = part.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/$defs/")
            if name in self._definitions and around.count(name) < 2:
                yield from self.of(self._definitions[name], wrap, (*around, name))
        for inner in part.get("allOf", ()):
            yield from self.of(inner, wrap, around)
        for word in ("anyOf", "oneOf"):
            for branch in part.get(word, ()):
                yield wrap(branch if isinstance(branch, dict) else {"allOf": [branch]})
                yield from self.of(branch, _within(branch, wrap), around)
        if "enum" in part:
            yield from (wrap({"enum": [member]}) for member in part["enum"][:_MEMBERS])
        else:
            yield from self._typed(part, wrap, around)

    def _typed(self, part: Schema, wrap: Wrap, around: tuple[str, ...]) -> Iterator[Schema]:
        stated = part.get("type")
        kinds = stated if isinstance(stated, list) else [stated] if stated else []
        for kind in kinds:
            if len(kinds) > 1:
                yield wrap({"type": kind})
            if kind == "boolean":
                yield from (wrap({"enum": [value]}) for value in (True, False))
            elif kind in ("integer", "number"):
                yield from (wrap({"enum": [value]}) for value in _numbers(part, kind))
            elif kind == "string":
                yield from (wrap(edge) for edge in _texts(part))
            elif kind == "array":
                yield from self._array(part, wrap, around)
            elif kind == "object":
                yield from self._object(part, wrap, around)

    def _array(self, part: Schema, wrap: Wrap, around: tuple[str, ...]) -> Iterator[Schema]:
        yield wrap({"type": "array", "maxItems": part.get("minItems", 0)})
        yield wrap({"type": "array", "minItems": min(part.get("maxItems", 2), _MOST_ITEMS)})
        prefix = part.get("prefixItems", [])
        for number, inner in enumerate(prefix):
            before: list[Schema] = [{} for _ in range(number)]
            yield from self.of(inner, _item(before, wrap), (*around, ""))
        if isinstance(part.get("items"), dict):
            yield from self.of(part["items"], _item([{} for _ in prefix], wrap), (*around, ""))

    def _object(self, part: Schema, wrap: Wrap, around: tuple[str, ...]) -> Iterator[Schema]:
        required = part.get("required", ())
        for name, inner in part.get("properties", {}).items():
            if name not in required:
                yield wrap({"not": {"required": [name]}})
                yield wrap({"type": "object", "required": [name]})
            yield from self.of(inner, _property(name, wrap), (*around, ""))
        further = part.get("additionalProperties")
        if isinstance(further, dict):
            yield wrap({"type": "object", "maxProperties": len(part.get("properties", {}))})
            yield from (_property(name, wrap)({}) for name in ("a", "A b"))
            yield from self.of(further, _property("a", wrap), (*around, ""))


def _property(name: str, wrap: Wrap) -> Wrap:
    return lambda inner: wrap({"type": "object", "properties": {name: inner}, "required": [name]})


def _item(before: list[Schema], wrap: Wrap) -> Wrap:
    def made(inner: Schema) -> Schema:
        return wrap({"type": "array", "prefixItems": [*before, inner], "minItems": len(before) + 1})

    return made


def _within(branch: Schema, wrap: Wrap) -> Wrap:
    return lambda inner: wrap({"allOf": [branch, inner]})


def _numbers(part: Schema, kind: str) -> list[int | float]:
    """Both ends of a range, and where there is none, zero and what is on both sides of it."""
    lowest = part.get("minimum", part.get("exclusiveMinimum"))
    highest = part.get("maximum", part.get("exclusiveMaximum"))
    found: list[int | float] = [0, 1, -1] if lowest is None and highest is None else []
    for bound, excluded, step in (
        (lowest, "minimum" not in part, 1),
        (highest, "maximum" not in part, -1),
    ):
        if bound is not None:
            found += [bound + step] if excluded else [bound, bound + step]
    if lowest is None or highest is None:
        found.append(2**53 - 1 if highest is None else -(2**53 - 1))
    if kind == "number":
        found.append((lowest if lowest is not None else highest or 0) + (0.5 if lowest is not None else -0.5))
    return found


def _texts(part: Schema) -> Iterator[Schema]:
    shortest, longest = part.get("minLength", 0), part.get("maxLength")
    if "format" not in part or part["format"] == "password":
        yield {"type": "string", "maxLength": shortest}
        yield {"type": "string", "minLength": shortest + 1}
        if longest is not None and longest <= _LONGEST_TEXT:
            yield {"type": "string", "minLength": longest}
