"""Schema: documents of JSON Schema 2020-12, 2019-09, draft-07 and draft-06, read into nodes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from urllib.parse import urljoin

from handoffs.contracts.compatibility.budget import Exhausted
from handoffs.contracts.compatibility.document import FRESH, Document, Place, escaped
from handoffs.contracts.compatibility.interner import Interner
from handoffs.contracts.compatibility.keywords import Keywords
from handoffs.contracts.compatibility.node import TRUE, Node
from handoffs.contracts.compatibility.values import freeze
from handoffs.contracts.errors import InvalidSchema
from handoffs.contracts.text import printable

_DEEPEST = 100
_LARGEST = 50_000


class Schemas:
    """Reads documents into nodes, which are recognised by identity wherever they come from: equal schemas are one node."""

    def __init__(self) -> None:
        self.interner = Interner()
        self._documents: dict[Any, Node] = {}

    def read(self, document: Any) -> Node:
        """The node of a schema document.

        Raises :class:`~handoffs.contracts.errors.InvalidSchema` where it is malformed and
        :class:`~handoffs.contracts.compatibility.budget.Exhausted` where it is larger or deeper than can be followed.
        """
        _measure(document)
        key = freeze(document)
        if key not in self._documents:
            reading = _Reading(self.interner, Document(document), len(self._documents))
            self._documents[key] = reading.root()
        return self._documents[key]


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


class _Reading:
    """The nodes made from the parts of one document so far. ``number`` tells documents apart."""

    def __init__(self, interner: Interner, document: Document, number: int) -> None:
        self.number = number
        self.interner = interner
        self.document = document
        self.nodes: dict[str, Node] = {}
        self.open: set[str] = set()
        self.awaited: dict[str, Node] = {}
        self.depth = 0

    def root(self) -> Node:
        if not self.document.draft:
            return self.interner.kept(
                Node(
                    opaque=(
                        f"$schema {printable(self.document.document['$schema'], 100)} (document {self.number})",
                    )
                )
            )
        return self.node(self.document.root())

    def node(self, place: Place) -> Node:
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


class _Reader:
    """Reads the keywords of one schema object, each as its draft defines it."""

    def __init__(self, reading: _Reading, place: Place) -> None:
        self.reading = reading
        self.place = place
        self.keywords = Keywords(place)
        self.draft = reading.document.draft
        self.schema = place.schema

    def node(self) -> Node:
        schema = self.schema
        if isinstance(schema, bool):
            return Node(always=schema)
        if not isinstance(schema, dict):
            raise self.keywords.wrong("", "a schema is an object or a boolean")
        made = Node()
        if self._references(made):
            return made
        self.keywords.assertions(made)
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
        where = f"(document {self.reading.number})"
        opaque = [
            f"{keyword} {self.keywords.text(keyword)} {where}"
            for keyword in dynamic
            if keyword in self.schema
        ]
        if "$ref" in self.schema:
            reference = self.keywords.text("$ref")
            target = self.reading.document.target(reference, self.place.base)
            if target is None:
                opaque.append(f"$ref {urljoin(self.place.base, reference)}")
            elif target.pointer in self.reading.open:
                made.reference = self.reading.awaited.setdefault(target.pointer, Node())
            else:
                found = self.reading.node(target)
                if self.draft <= 7 and not opaque:
                    _copy(found, made)
                    return True
                made.all_of = (found,)
        made.opaque = tuple(opaque)
        return "$ref" in self.schema and self.draft <= 7

    def _arrays(self, made: Node) -> None:
        schema = self.schema
        if self.draft == FRESH:
            made.prefix = self._list("prefixItems") if "prefixItems" in schema else ()
            made.items = self._single("items")
        elif isinstance(schema.get("items"), list):
            made.prefix = self._list("items")
            made.items = self._single("additionalItems")
        else:
            made.items = self._single("items")
        made.min_items = self.keywords.count("minItems") or 0
        made.max_items = self.keywords.count("maxItems")
        made.unique = self.keywords.flag("uniqueItems")
        made.contains = self._single("contains")
        made.contains_evaluates = self.draft == FRESH
        if self.draft > 7:
            if made.contains is not None:
                fewest = self.keywords.count("minContains")
                made.min_contains = 1 if fewest is None else fewest
                made.max_contains = self.keywords.count("maxContains")
            made.unevaluated_items = self._single("unevaluatedItems")

    def _objects(self, made: Node) -> None:
        schema = self.schema
        made.properties = self._map("properties") if "properties" in schema else None
        made.patterns = self._map("patternProperties") if "patternProperties" in schema else {}
        made.additional = self._single("additionalProperties")
        made.names = self._single("propertyNames")
        made.required = self.keywords.names("required", schema["required"]) if "required" in schema else ()
        made.fewest = self.keywords.count("minProperties") or 0
        made.most = self.keywords.count("maxProperties")
        if self.draft > 7:
            made.unevaluated_properties = self._single("unevaluatedProperties")
            for name, needed in self.keywords.object("dependentRequired").items():
                made.dependent[name] = self.keywords.names(f"dependentRequired/{escaped(name)}", needed)
            if "dependentSchemas" in schema:
                made.dependent_schemas = self._map("dependentSchemas")
        else:
            for name, needed in self.keywords.object("dependencies").items():
                path = f"dependencies/{escaped(name)}"
                if isinstance(needed, list):
                    made.dependent[name] = self.keywords.names(path, needed)
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
        return self.reading.node(self.reading.document.below(self.place, step, schema))

    def _single(self, keyword: str) -> Node | None:
        return self._child(keyword, self.schema[keyword]) if keyword in self.schema else None

    def _list(self, keyword: str) -> tuple[Node, ...]:
        inner = self.schema[keyword]
        if not isinstance(inner, list) or not inner:
            raise self.keywords.wrong(keyword, "is not an array of schemas")
        return tuple(self._child(f"{keyword}/{number}", child) for number, child in enumerate(inner))

    def _map(self, keyword: str) -> dict[str, Node]:
        return {
            name: self._child(f"{keyword}/{escaped(name)}", child)
            for name, child in self.keywords.object(keyword).items()
        }


def _copy(source: Node, target: Node) -> None:
    for part in fields(Node):
        setattr(target, part.name, getattr(source, part.name))
