"""Document: a document of JSON Schema, its draft, and where the parts stand that its references name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from handoffs.contracts.compatibility.values import type_of
from handoffs.contracts.errors import InvalidSchema
from handoffs.contracts.text import printable

FRESH: Final = 2020
"""The draft of a document that names none."""

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


@dataclass(frozen=True, slots=True)
class Place:
    """A schema in its document: where it stands, a JSON pointer, and the URI that its references are relative to."""

    schema: Any
    pointer: str
    base: str


class Document:
    """One document: its draft, and the names its parts have. ``draft`` is 0 where it is not known."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.draft = _draft(document)
        self._places: dict[str, Place] = {}
        if self.draft:
            self._index(document, "", "")

    def root(self) -> Place:
        """The place of the whole document."""
        return Place(self.document, "", self._base(self.document, ""))

    def below(self, place: Place, step: str, schema: Any) -> Place:
        """The place of a schema that stands in another, ``step`` below it."""
        return Place(schema, f"{place.pointer}/{step}", self._base(schema, place.base))

    def target(self, reference: str, base: str) -> Place | None:
        """What a ``$ref`` leads to (core 2020-12, section 8.2); None where that is outside the document.

        Raises :class:`~handoffs.contracts.errors.InvalidSchema` for a pointer to what is not there.
        """
        uri, fragment = urldefrag(urljoin(base, reference))
        if not reference.startswith("#") or base:
            resource = self._places.get(uri)
            if resource is None:
                return None
        else:
            resource = Place(self.document, "", "")
        if fragment.startswith("/") or not fragment:
            return self._pointed(resource, unquote(fragment))
        return self._places.get(f"{uri}#{fragment}")

    def _pointed(self, resource: Place, pointer: str) -> Place | None:
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
        return Place(value, path, base)

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
        place = Place(schema, pointer, inner)
        if not pointer or inner != base:
            self._places.setdefault(inner, place)
        for keyword in ("$anchor", "$dynamicAnchor", "$id"):
            name = schema.get(keyword)
            if isinstance(name, str):
                anchor = urldefrag(name)[1] if keyword == "$id" else name
                if anchor:
                    self._places.setdefault(f"{inner}#{anchor}", place)
        for step, child in _children(schema):
            self._index(child, pointer + step, inner)


def _draft(document: Any) -> int:
    if not isinstance(document, dict | bool):
        raise InvalidSchema(
            f"a schema is an object or a boolean, not {type_of(document) or 'something else'}"
        )
    dialect = document.get("$schema") if isinstance(document, dict) else None
    if dialect is None:
        return FRESH
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
