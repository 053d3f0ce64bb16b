"""Schema: documents of JSON Schema 2020-12, 2019-09, draft-07 and draft-06, read into nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from handoffs.contracts.compatibility.budget import Exhausted
from handoffs.contracts.compatibility.node import FALSE, TRUE, Node
from handoffs.contracts.compatibility.values import exact, freeze, type_of
from handoffs.contracts.errors import InvalidSchema
from handoffs.contracts.text import printable

_DEEPEST = 100
_LARGEST = 50_000
_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_FRESH: Final = 2020

_DIALECTS: Final = {
    "https://json-schema.org/draft/2020-12/schema": 2020,
    "https://json-schema.org/draft/2019-09/schema": 2019,
    "http://json-schema.org/draft-07/schema": 7,
    "https://json-schema.org/draft-07/schema": 7,
    "http://json-schema.org/draft-06/schema": 6,
    "https://json-schema.org/draft-06/schema": 6,
}
_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SINGLES: Final = (
    "additionalProperties", "unevaluatedProperties", "propertyNames", "items", "additionalItems", "unevaluatedItems",
    "contains", "not", "if", "then", "else",
)  # fmt: skip


class Interner:
    """Keeps one node for equal schemas, of whichever document, so that they are recognised by identity."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[Any, ...], Node] = {}
        self._documents: dict[Any, Node] = {}

    def kept(self, node: Node) -> Node:
        """The first node that is equal to ``node``."""
        if node.always is not None:
            return TRUE if node.always else FALSE
        key = tuple(_hashable(name, getattr(node, name)) for name in _KEY)
        if node.values == ():
            return FALSE
        if key == _BARE:
            return TRUE
        return self._nodes.setdefault(key, node)

    def read(self, document: Any) -> Node:
        """Read a schema document.

        Raises :class:`InvalidSchema` where it is malformed and :class:`~handoffs.contracts.compatibility.budget.Exhausted` where
        it is larger or deeper than can be followed.
        """
        _measure(document)
        key = freeze(document)
        if key not in self._documents:
            self._documents[key] = _Document(self, document, len(self._documents)).root()
        return self._documents[key]


_KEY: Final = tuple(part.name for part in fields(Node) if part.name != "values")


def _hashable(name: str, value: Any) -> Any:
    if name == "reference":
        return None if value is None else id(value)
    if isinstance(value, dict):
        return frozenset(value.items())
    if name == "properties" and value is None:
        return None
    return value


_BARE: Final = tuple(_hashable(name, getattr(Node(), name)) for name in _KEY)


def _measure(document: Any) -> None:
    """Count what a document holds, so that nothing later recurses into one that is too deep."""
    pending: list[tuple[Any, int]] = [(document, 0)]
    count = 0
    while pending:
        value, depth = pending.pop()
        count += 1
        if depth > _DEEPEST:
            raise Exhausted(f"a schema nested more than {_DEEPEST} deep")
        if count > _LARGEST:
            raise Exhausted(f"a schema of more than {_LARGEST} values")
        if isinstance(value, dict):
            if not all(isinstance(name, str) for name in value):
                raise InvalidSchema("a schema has a key that is no text")
            pending.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list | tuple):
            pending.extend((inner, depth + 1) for inner in value)


@dataclass(slots=True)
class _Place:
    schema: Any
    pointer: str
    base: str


class _Document:
    """One document: its draft, the names its parts have, and the nodes made from them so far."""

    def __init__(self, interner: Interner, document: Any, number: int) -> None:
        self.number = number
        self.interner = interner
        self.document = document
        self.draft = _draft(document)
        self.places: dict[str, _Place] = {}
        self.nodes: dict[str, Node] = {}
        self.open: set[str] = set()
        self.awaited: dict[str, Node] = {}
        self.depth = 0
        if self.draft:
            self._index(document, "", "")

    def root(self) -> Node:
        if not self.draft:
            return self.interner.kept(
                Node(opaque=(f"$schema {printable(self.document['$schema'], 100)} (document {self.number})",))
            )
        return self.node(_Place(self.document, "", self._base(self.document, "")))

    def node(self, place: _Place) -> Node:
        """The node of the schema at ``place``. A schema that is being read stands for itself as a reference."""
        if place.pointer in self.nodes:
            return self.nodes[place.pointer]
        if place.pointer in self.open:
            return self.awaited.setdefault(place.pointer, Node())
        self.open.add(place.pointer)
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Exhausted("references nested too deep")
        node = self.interner.kept(_Reader(self, place).node())
        self.depth -= 1
        self.open.discard(place.pointer)
        if place.pointer in self.awaited:
            self.awaited[place.pointer].reference = node
        self.nodes[place.pointer] = node
        return node

    def target(self, reference: str, base: str) -> _Place | None:
        """What a ``$ref`` leads to (core 2020-12, section 8.2); None where that is outside the document."""
        uri, fragment = urldefrag(urljoin(base, reference))
        if not reference.startswith("#") or base:
            resource = self.places.get(uri)
            if resource is None:
                return None
        else:
            resource = _Place(self.document, "", "")
        if fragment.startswith("/") or not fragment:
            return self._pointed(resource, unquote(fragment))
        return self.places.get(f"{uri}#{fragment}")

    def _pointed(self, resource: _Place, pointer: str) -> _Place | None:
        value, path, base = resource.schema, resource.pointer, resource.base
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            else:
                raise InvalidSchema(f"the reference {printable('#' + pointer, 200)} leads nowhere")
            path += "/" + token
            base = self._base(value, base)
        return _Place(value, path, base)

    def _base(self, schema: Any, base: str) -> str:
        identifier = schema.get("$id") if isinstance(schema, dict) else None
        if not isinstance(identifier, str) or (self.draft <= 7 and "$ref" in schema):
            return base
        return urldefrag(urljoin(base, identifier))[0] or base

    def _index(self, schema: Any, pointer: str, base: str) -> None:
        """Remember each identifier and anchor under its absolute URI."""
        if not isinstance(schema, dict):
            return
        inner = self._base(schema, base)
        place = _Place(schema, pointer, inner)
        if not pointer or inner != base:
            self.places.setdefault(inner, place)
        for keyword in ("$anchor", "$dynamicAnchor", "$id"):
            name = schema.get(keyword)
            if isinstance(name, str):
                anchor = urldefrag(name)[1] if keyword == "$id" else name
                if anchor:
                    self.places.setdefault(f"{inner}#{anchor}", place)
        for step, child in _children(schema):
            self._index(child, pointer + step, inner)


def _draft(document: Any) -> int:
    if not isinstance(document, dict | bool):
        raise InvalidSchema(
            f"a schema is an object or a boolean, not {type_of(document) or 'something else'}"
        )
    dialect = document.get("$schema") if isinstance(document, dict) else None
    if dialect is None:
        return _FRESH
    if not isinstance(dialect, str):
        raise InvalidSchema("/$schema is not a text")
    return _DIALECTS.get(dialect.rstrip("#"), 0)


def _children(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in _MAPS:
        inner = schema.get(keyword)
        if isinstance(inner, dict):
            for name, child in inner.items():
                yield f"/{keyword}/{escaped(name)}", child
    for keyword in _LISTS:
        inner = schema.get(keyword)
        if isinstance(inner, list):
            for number, child in enumerate(inner):
                yield f"/{keyword}/{number}", child
    for keyword in _SINGLES:
        if isinstance(schema.get(keyword), dict):
            yield f"/{keyword}", schema[keyword]


def escaped(name: str) -> str:
    """A name as a token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


class _Reader:
    """Reads the keywords of one schema object, each as its draft defines it."""

    def __init__(self, document: _Document, place: _Place) -> None:
        self.document = document
        self.place = place
        self.draft = document.draft
        self.schema = place.schema

    def node(self) -> Node:
        schema = self.schema
        if isinstance(schema, bool):
            return Node(always=schema)
        if not isinstance(schema, dict):
            raise self._wrong("", "a schema is an object or a boolean")
        made = Node()
        if self._references(made):
            return made
        self._types(made)
        self._numbers(made)
        self._texts(made)
        self._arrays(made)
        self._objects(made)
        self._combinations(made)
        for keyword in ("$defs", "definitions"):
            if keyword in schema:
                self._map(keyword)
        return made

    def _references(self, made: Node) -> bool:
        """Follow ``$ref``. True where nothing beside it counts: up to draft-07 (core draft-07, section 8.3)."""
        dynamic = ("$dynamicRef", "$recursiveRef") if self.draft > 7 else ()
        where = f"(document {self.document.number})"
        opaque = [f"{keyword} {self._text(keyword)} {where}" for keyword in dynamic if keyword in self.schema]
        if "$ref" in self.schema:
            reference = self._text("$ref")
            target = self.document.target(reference, self.place.base)
            if target is None:
                opaque.append(f"$ref {urljoin(self.place.base, reference)}")
            elif target.pointer in self.document.open:
                made.reference = self.document.awaited.setdefault(target.pointer, Node())
            else:
                found = self.document.node(target)
                if self.draft <= 7 and not opaque:
                    _copy(found, made)
                    return True
                made.all_of = (found,)
        made.opaque = tuple(opaque)
        return "$ref" in self.schema and self.draft <= 7

    def _types(self, made: Node) -> None:
        if "type" in self.schema:
            stated = self.schema["type"]
            names = stated if isinstance(stated, list) else [stated]
            if not names or not all(isinstance(name, str) and name in _TYPES for name in names):
                raise self._wrong("type", "is none of the seven types")
            found = frozenset(names)
            made.types = found - {"integer"} if "number" in found else found
        if "enum" in self.schema:
            members = self.schema["enum"]
            if not isinstance(members, list):
                raise self._wrong("enum", "is not an array")
            self._restrict(made, members)
        if "const" in self.schema:
            self._restrict(made, [self.schema["const"]])

    def _restrict(self, made: Node, members: list[Any]) -> None:
        found = {freeze(member): member for member in members}
        if made.values is not None:
            found = {key: member for key, member in found.items() if key in made.frozen}
        made.values, made.frozen = tuple(found.values()), frozenset(found)

    def _numbers(self, made: Node) -> None:
        for keyword, strict, below in (
            ("minimum", False, True),
            ("exclusiveMinimum", True, True),
            ("maximum", False, False),
            ("exclusiveMaximum", True, False),
        ):
            if keyword in self.schema:
                bound = (self._number(keyword), strict)
                if below:
                    made.lower = max(made.lower, bound) if made.lower else bound
                else:
                    made.upper = min(made.upper, bound, key=_reach) if made.upper else bound
        if "multipleOf" in self.schema:
            made.multiple = self._number("multipleOf")
            if made.multiple <= 0:
                raise self._wrong("multipleOf", "is not above zero")

    def _texts(self, made: Node) -> None:
        made.shortest = self._count("minLength") or 0
        made.longest = self._count("maxLength")
        made.pattern = self._text("pattern") if "pattern" in self.schema else None
        made.format = self._text("format") if "format" in self.schema else None

    def _arrays(self, made: Node) -> None:
        schema = self.schema
        if self.draft == _FRESH:
            made.prefix = self._list("prefixItems") if "prefixItems" in schema else ()
            made.items = self._single("items")
        elif isinstance(schema.get("items"), list):
            made.prefix = self._list("items")
            made.items = self._single("additionalItems")
        else:
            made.items = self._single("items")
        made.min_items = self._count("minItems") or 0
        made.max_items = self._count("maxItems")
        made.unique = self._flag("uniqueItems")
        made.contains = self._single("contains")
        made.contains_evaluates = self.draft == _FRESH
        if self.draft > 7:
            if made.contains is not None:
                fewest = self._count("minContains")
                made.min_contains = 1 if fewest is None else fewest
                made.max_contains = self._count("maxContains")
            made.unevaluated_items = self._single("unevaluatedItems")

    def _objects(self, made: Node) -> None:
        schema = self.schema
        made.properties = self._map("properties") if "properties" in schema else None
        made.patterns = self._map("patternProperties") if "patternProperties" in schema else {}
        made.additional = self._single("additionalProperties")
        made.names = self._single("propertyNames")
        made.required = self._names("required", schema["required"]) if "required" in schema else ()
        made.fewest = self._count("minProperties") or 0
        made.most = self._count("maxProperties")
        if self.draft > 7:
            made.unevaluated_properties = self._single("unevaluatedProperties")
            for name, needed in self._object("dependentRequired").items():
                made.dependent[name] = self._names(f"dependentRequired/{escaped(name)}", needed)
            if "dependentSchemas" in schema:
                made.dependent_schemas = self._map("dependentSchemas")
        else:
            for name, needed in self._object("dependencies").items():
                path = f"dependencies/{escaped(name)}"
                if isinstance(needed, list):
                    made.dependent[name] = self._names(path, needed)
                else:
                    made.dependent_schemas[name] = self._child(path, needed)

    def _combinations(self, made: Node) -> None:
        schema = self.schema
        if "allOf" in schema:
            made.all_of += self._list("allOf")
        made.any_of = self._list("anyOf") if "anyOf" in schema else None
        made.one_of = self._list("oneOf") if "oneOf" in schema else None
        made.negated = self._single("not")
        if self.draft > 6:
            then, otherwise = self._single("then"), self._single("else")
            if "if" in schema:
                made.condition, made.then, made.otherwise = (
                    self._single("if"),
                    then or TRUE,
                    otherwise or TRUE,
                )

    def _child(self, step: str, schema: Any) -> Node:
        base = self.document._base(schema, self.place.base)
        return self.document.node(_Place(schema, f"{self.place.pointer}/{step}", base))

    def _single(self, keyword: str) -> Node | None:
        return self._child(keyword, self.schema[keyword]) if keyword in self.schema else None

    def _list(self, keyword: str) -> tuple[Node, ...]:
        inner = self.schema[keyword]
        if not isinstance(inner, list) or not inner:
            raise self._wrong(keyword, "is not an array of schemas")
        return tuple(self._child(f"{keyword}/{number}", child) for number, child in enumerate(inner))

    def _map(self, keyword: str) -> dict[str, Node]:
        return {
            name: self._child(f"{keyword}/{escaped(name)}", child)
            for name, child in self._object(keyword).items()
        }

    def _object(self, keyword: str) -> dict[str, Any]:
        inner = self.schema.get(keyword, {})
        if not isinstance(inner, dict):
            raise self._wrong(keyword, "is not an object")
        return inner

    def _names(self, step: str, names: Any) -> tuple[str, ...]:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._wrong(step, "is not an array of texts")
        return tuple(sorted(set(names)))

    def _number(self, keyword: str) -> Any:
        value = self.schema[keyword]
        if type_of(value) != "number":
            raise self._wrong(keyword, "is not a number")
        return exact(value)

    def _count(self, keyword: str) -> int | None:
        if keyword not in self.schema:
            return None
        value = self.schema[keyword]
        if type_of(value) != "number" or value < 0 or value != math.floor(value):
            raise self._wrong(keyword, "is not a whole number from 0")
        return int(value)

    def _flag(self, keyword: str) -> bool:
        value = self.schema.get(keyword, False)
        if not isinstance(value, bool):
            raise self._wrong(keyword, "is not a boolean")
        return value

    def _text(self, keyword: str) -> str:
        value = self.schema[keyword]
        if not isinstance(value, str):
            raise self._wrong(keyword, "is not a text")
        return value

    def _wrong(self, step: str, what: str) -> InvalidSchema:
        place = f"{self.place.pointer}/{step}" if step else self.place.pointer or "/"
        return InvalidSchema(f"{printable(place, 200)} {what}")


def _reach(bound: tuple[Any, bool]) -> tuple[Any, bool]:
    """Upper bounds in order: of two equal ones the strict one is the smaller."""
    return bound[0], not bound[1]


def _copy(source: Node, target: Node) -> None:
    for part in fields(Node):
        setattr(target, part.name, getattr(source, part.name))
