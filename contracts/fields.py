"""Fields: what a schema says of each place in an instance, in words, and what changed between two versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.compatibility.document import escaped
from handoffs.contracts.contract import Contract
from handoffs.contracts.schema import Schema, generated, written
from handoffs.contracts.text import MASK, printable

_DEEPEST = 8
_LONGEST_BOUND = 60
_MEMBERS = 8
_MOST_FOLLOWED = 2_000
_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "from {} characters",
    "maxLength": "to {} characters",
    "minItems": "from {} items",
    "maxItems": "to {} items",
    "minProperties": "from {} entries",
    "maxProperties": "to {} entries",
    "uniqueItems": "no two alike",
    "pattern": "like {}",
}
_FOLLOWED = {"$defs", "$ref", "additionalProperties", "allOf", "anyOf", "enum", "format", "items", "oneOf", "prefixItems",
             "properties", "required", "type", *_BOUNDS}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One place of an instance. ``path`` is a JSON pointer, with ``*`` for any item or any further property.

    ``kind`` is its type in words, ``bounds`` what it is limited to, ``required`` whether a reader refuses data without it.
    """

    path: str
    kind: str
    bounds: str
    required: bool

    def __str__(self) -> str:
        words = [
            self.kind,
            *([self.bounds] if self.bounds else []),
            "required" if self.required else "optional",
        ]
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Change:
    """What was and what is at one place; empty where there is no such field."""

    path: str
    was: str
    now: str


def fields(schema: Schema) -> dict[str, Field]:
    """The fields of a schema in normal form, by path, outer ones first."""
    walk = _Walk(schema.get("$defs", {}))
    return {field.path: field for field in walk.of(schema, "", ())}


def changes(old: Schema, new: Schema) -> tuple[Change, ...]:
    """The fields that are not the same in both. Both are schemas that are read, in normal form."""
    before, after = fields(old), fields(new)
    paths = [*before, *(path for path in after if path not in before)]
    return tuple(
        Change(path, _said(before.get(path)), _said(after.get(path)))
        for path in paths
        if before.get(path) != after.get(path)
    )


def sensitive_paths(schema: Schema) -> tuple[str, ...]:
    """The fields that are never shown, as Pydantic's own schema of a contract marks them."""
    found = _Marked(schema.get("$defs", {})).of(schema, "", ())
    return tuple(dict.fromkeys(found))


def sensitive_of(contract: type[Contract]) -> tuple[str, ...]:
    """The fields of a contract that are never shown, under each name that they are read or written under."""
    found = [path for schema in (generated(contract), written(contract)) for path in sensitive_paths(schema)]
    return tuple(dict.fromkeys(found))


def shown(data: dict[str, Any], sensitive: tuple[str, ...] | None) -> dict[str, Any]:
    """What people may see of data: all of it is masked where it is not known (None) what of it is sensitive."""
    seen: dict[str, Any] = dict.fromkeys(data, MASK) if sensitive is None else masked(data, sensitive)
    return seen


def masked(value: Any, sensitive: tuple[str, ...]) -> Any:
    """``value`` with what is at the paths of :func:`sensitive_paths` masked."""
    for path in sensitive:
        value = _masked(value, path.split("/")[1:])
    return value


class _Walk:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def of(self, part: Any, path: str, around: tuple[str, ...]) -> Iterator[Field]:
        """The fields below one place."""
        part, around = self._resolved(part, around)
        if not isinstance(part, dict) or path.count("/") >= _DEEPEST:
            return
        for name, inner in part.get("properties", {}).items():
            place = f"{path}/{escaped(name)}"
            yield Field(
                place, self._kind(inner, around), self._bounds(inner), name in part.get("required", ())
            )
            yield from self.of(inner, place, around)
        for word in ("items", "additionalProperties"):
            if isinstance(part.get(word), dict):
                yield from self._items(part[word], f"{path}/*", around)
        for number, inner in enumerate(part.get("prefixItems", ())):
            yield from self._items(inner, f"{path}/{number}", around)
        for word in ("anyOf", "oneOf", "allOf"):
            for inner in part.get(word, ()):
                yield from self.of(inner, path, around)

    def _items(self, inner: Schema, place: str, around: tuple[str, ...]) -> Iterator[Field]:
        yield Field(place, self._kind(inner, around), self._bounds(inner), False)
        yield from self.of(inner, place, around)

    def _resolved(self, part: Any, around: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
        while isinstance(part, dict) and isinstance(part.get("$ref"), str):
            name = part["$ref"].removeprefix("#/$defs/")
            if name in around:
                return None, around
            part, around = self._definitions.get(name), (*around, name)
        return part, around

    def _kind(self, part: Any, around: tuple[str, ...]) -> str:
        inner, further = self._resolved(part, around)
        if inner is None:
            return "the same again"
        if not isinstance(inner, dict):
            return "anything" if inner else "nothing"
        if "enum" in inner:
            return _members(inner["enum"])
        for word in ("anyOf", "oneOf"):
            if word in inner:
                kinds = dict.fromkeys(self._alternative(branch, further) for branch in inner[word])
                return " or ".join(sorted(kinds, key=lambda kind: kind == "null"))
        return self._typed(inner, further)

    def _typed(self, part: Schema, around: tuple[str, ...]) -> str:
        stated = part.get("type", "anything")
        kind = " or ".join(stated) if isinstance(stated, list) else str(stated)
        if kind == "array" and isinstance(part.get("items"), dict):
            return f"array of {self._kind(part['items'], around)}"
        if kind == "object" and isinstance(part.get("additionalProperties"), dict):
            return f"object of {self._kind(part['additionalProperties'], around)}"
        return f"{kind} ({part['format']})" if "format" in part else kind

    def _alternative(self, branch: Any, around: tuple[str, ...]) -> str:
        bounds = self._bounds(branch)
        kind = self._kind(branch, around)
        return f"{kind} {bounds}" if bounds else kind

    def _bounds(self, part: Any) -> str:
        inner, _ = self._resolved(part, ())
        if not isinstance(inner, dict):
            return ""
        bounds = [
            words.format(printable(inner[word], _LONGEST_BOUND))
            for word, words in _BOUNDS.items()
            if word in inner and inner[word] is not False
        ]
        bounds += [f"{word} too" for word in sorted(inner.keys() - _FOLLOWED)]
        return ", ".join(bounds)


class _Marked:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._marking = _leading_to_marks(definitions)
        self._left = _MOST_FOLLOWED

    def of(self, part: Any, path: str, around: tuple[str, ...]) -> Iterator[str]:
        if not isinstance(part, dict):
            return
        if part.get("x-sensitive") is True or (
            part.get("writeOnly") is True and part.get("format") == "password"
        ):
            yield path
            return
        reference = part.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/$defs/")
            if name in self._marking:
                self._left -= 1
                if name not in around and self._left > 0:
                    yield from self.of(self._definitions.get(name), path, (*around, name))
                else:  # a tree, or more paths than can be followed: all that is below here
                    yield path
        yield from self._below(part, path, around)

    def _below(self, part: dict[str, Any], path: str, around: tuple[str, ...]) -> Iterator[str]:
        for name, inner in part.get("properties", {}).items():
            yield from self.of(inner, f"{path}/{escaped(name)}", around)
        for word in ("items", "additionalProperties"):
            yield from self.of(part.get(word), f"{path}/*", around)
        for number, inner in enumerate(part.get("prefixItems", ())):
            yield from self.of(inner, f"{path}/{number}", around)
        for word in ("anyOf", "oneOf", "allOf"):
            for inner in part.get(word, ()):
                yield from self.of(inner, path, around)


def _leading_to_marks(definitions: Mapping[str, Schema]) -> frozenset[str]:
    """The definitions in which something is marked, in themselves or in one that they refer to."""
    texts = {name: strictjson.canonical(part) for name, part in definitions.items()}
    found = {
        name for name, text in texts.items() if '"x-sensitive":true' in text or '"writeOnly":true' in text
    }
    references = {
        name: {other for other in definitions if f'"#/$defs/{other}"' in text} for name, text in texts.items()
    }
    while True:
        more = {name for name, named in references.items() if name not in found and named & found}
        if not more:
            return frozenset(found)
        found |= more


def _masked(value: Any, steps: list[str]) -> Any:
    if not steps:
        return None if value is None else MASK
    here, *deeper = steps
    if isinstance(value, list):
        return [
            _masked(item, deeper) if here in ("*", str(number)) else item for number, item in enumerate(value)
        ]
    if isinstance(value, dict):
        return {
            name: _masked(inner, deeper) if here in ("*", escaped(name)) else inner
            for name, inner in value.items()
        }
    return value


def _members(members: list[Any]) -> str:
    shown = [printable(strictjson.dumps(member), 60) for member in members[:_MEMBERS]]
    more = [f"{len(members) - _MEMBERS} more"] if len(members) > _MEMBERS else []
    if len(members) == 1:
        return shown[0]
    return "one of " + ", ".join([*shown, *more])


def _said(field: Field | None) -> str:
    return "" if field is None else str(field)
