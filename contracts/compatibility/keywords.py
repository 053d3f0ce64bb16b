"""Keywords: the values that one schema object has for its keywords, checked; and those of them that are no schemas, as a node has them."""

from __future__ import annotations

import math
from typing import Any, Final

from handoffs.contracts.compatibility.document import Place
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.values import exact, freeze, type_of
from handoffs.contracts.errors import InvalidSchema
from handoffs.contracts.text import printable

_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


class Keywords:
    """The keywords of the schema object at a place. Each method raises
    :class:`~handoffs.contracts.errors.InvalidSchema`, which says where, for a value that is malformed."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def assertions(self, made: Node) -> None:
        """What the schema says of types, values, numbers and texts."""
        _types(self, made)
        _numbers(self, made)
        _texts(self, made)

    def object(self, keyword: str) -> dict[str, Any]:
        """The value of a keyword that is an object; an empty one where the keyword is not there."""
        inner = self.place.schema.get(keyword, {})
        if not isinstance(inner, dict):
            raise self.wrong(keyword, "is not an object")
        return inner

    def names(self, step: str, names: Any) -> tuple[str, ...]:
        """Texts in order, each once; ``step`` is where they stand."""
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self.wrong(step, "is not an array of texts")
        return tuple(sorted(set(names)))

    def number(self, keyword: str) -> Any:
        """The value of a keyword that is a number, exactly."""
        value = self.place.schema[keyword]
        if type_of(value) != "number":
            raise self.wrong(keyword, "is not a number")
        return exact(value)

    def count(self, keyword: str) -> int | None:
        """The value of a keyword that is a whole number from 0; None where the keyword is not there."""
        if keyword not in self.place.schema:
            return None
        value = self.place.schema[keyword]
        if type_of(value) != "number" or value < 0 or value != math.floor(value):
            raise self.wrong(keyword, "is not a whole number from 0")
        return int(value)

    def flag(self, keyword: str) -> bool:
        """The value of a keyword that is a boolean; False where the keyword is not there."""
        value = self.place.schema.get(keyword, False)
        if not isinstance(value, bool):
            raise self.wrong(keyword, "is not a boolean")
        return value

    def text(self, keyword: str) -> str:
        """The value of a keyword that is a text."""
        value = self.place.schema[keyword]
        if not isinstance(value, str):
            raise self.wrong(keyword, "is not a text")
        return value

    def wrong(self, step: str, what: str) -> InvalidSchema:
        """The error of a keyword of this schema."""
        place = f"{self.place.pointer}/{step}" if step else self.place.pointer or "/"
        return InvalidSchema(f"{printable(place, 200)} {what}")


def _types(keywords: Keywords, made: Node) -> None:
    if "type" in keywords.place.schema:
        stated = keywords.place.schema["type"]
        names = stated if isinstance(stated, list) else [stated]
        if not names or not all(isinstance(name, str) and name in _TYPES for name in names):
            raise keywords.wrong("type", "is none of the seven types")
        found = frozenset(names)
        made.types = found - {"integer"} if "number" in found else found
    if "enum" in keywords.place.schema:
        members = keywords.place.schema["enum"]
        if not isinstance(members, list):
            raise keywords.wrong("enum", "is not an array")
        _restrict(made, members)
    if "const" in keywords.place.schema:
        _restrict(made, [keywords.place.schema["const"]])


def _restrict(made: Node, members: list[Any]) -> None:
    found = {freeze(member): member for member in members}
    if made.values is not None:
        found = {key: member for key, member in found.items() if key in made.frozen}
    made.values, made.frozen = tuple(found.values()), frozenset(found)


def _numbers(keywords: Keywords, made: Node) -> None:
    for keyword, strict, below in (
        ("minimum", False, True),
        ("exclusiveMinimum", True, True),
        ("maximum", False, False),
        ("exclusiveMaximum", True, False),
    ):
        if keyword in keywords.place.schema:
            bound = (keywords.number(keyword), strict)
            if below:
                made.lower = max(made.lower, bound) if made.lower else bound
            else:
                made.upper = min(made.upper, bound, key=_reach) if made.upper else bound
    if "multipleOf" in keywords.place.schema:
        made.multiple = keywords.number("multipleOf")
        if made.multiple <= 0:
            raise keywords.wrong("multipleOf", "is not above zero")


def _texts(keywords: Keywords, made: Node) -> None:
    made.shortest = keywords.count("minLength") or 0
    made.longest = keywords.count("maxLength")
    made.pattern = keywords.text("pattern") if "pattern" in keywords.place.schema else None
    made.format = keywords.text("format") if "format" in keywords.place.schema else None


def _reach(bound: tuple[Any, bool]) -> tuple[Any, bool]:
    """Upper bounds in order: of two equal ones the strict one is the smaller."""
    return bound[0], not bound[1]
