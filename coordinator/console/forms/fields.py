"""Fields of a form: the places of a contract's schema that a person can fill in, and how each is filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from handoffs.contracts.text import MASK, escaped_json
from handoffs.coordinator.docs.fields import is_sensitive
from handoffs.coordinator.docs.schema_words import bounds, branches, kind, resolved

Kind = Literal["text", "lines", "number", "choice", "json", "secret"]

NOT_GIVEN = ""
"""What a choice has where nothing is chosen."""

PREFIX = "data."
"""What the name of each field begins with, before its path."""

_DEEPEST = 4
_LONG = 200
_LONGEST_DEFAULT = 80
_TEXTS = frozenset({"string"})
_NUMBERS = frozenset({"integer", "number"})


@dataclass(frozen=True, slots=True)
class FormField:
    """One place.

    path
        Where it is in the data, dotted: ``address.street``; ``name`` is what the form calls it.
    kind
        ``text``, ``lines`` (a text of several), ``number``, ``choice`` (of ``options``), ``json`` (anything else, as JSON), ``secret``.
    value
        What stands there, as a person types it; a secret that is known is masked, and stays what it is where that is left so.
    required, locked
        Whether a reader refuses data without it; whether it cannot be changed here, and why in ``hint``.
    said
        Its type and its bounds in words. ``fault``: what is wrong with what was sent.
    """

    path: str
    kind: Kind
    value: str = ""
    required: bool = False
    locked: bool = False
    options: tuple[str, ...] = ()
    said: str = ""
    about: str = ""
    fault: str = ""
    was_given: bool = False

    @property
    def name(self) -> str:
        """What the form calls it."""
        return f"{PREFIX}{self.path}"


@dataclass(frozen=True, slots=True)
class _Place:
    path: str
    given: Any
    was_given: bool
    required: bool
    locked: bool


def fields_of(schema: Mapping[str, Any], value: Any, locked: frozenset[str]) -> Iterator[FormField]:
    """The fields of a contract's ``schema``, filled with ``value``; the top-level fields ``locked`` cannot be changed."""
    definitions, inside = schema.get("$defs", {}), value if isinstance(value, Mapping) else {}
    for name, inner in schema.get("properties", {}).items():
        part = {"properties": {name: inner}, "required": schema.get("required", ())}
        yield from _fields(part, definitions, inside, "", locked=name in locked)


def _fields(
    schema: Mapping[str, Any],
    definitions: Mapping[str, Any],
    value: Mapping[str, Any],
    prefix: str,
    *,
    locked: bool,
) -> Iterator[FormField]:
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        path, whole = f"{prefix}{name}", resolved(inner, definitions)
        found, given = _single(whole, definitions), value.get(name)
        filled_in = isinstance(given, Mapping) or (given is None and name in required)
        if filled_in and "." not in name and _nests(found, path):
            yield from _fields(found, definitions, given or {}, f"{path}.", locked=locked)
        else:
            yield _field(
                whole, found, definitions, _Place(path, given, name in value, name in required, locked)
            )


def _field(
    whole: Mapping[str, Any], found: Mapping[str, Any], definitions: Mapping[str, Any], place: _Place
) -> FormField:
    secret = is_sensitive(whole)
    options = _options(found)
    how: Kind = "secret" if secret else "choice" if options else _kind(found)
    if how == "text" and isinstance(place.given, str) and ("\n" in place.given or len(place.given) > _LONG):
        how = "lines"
    said = ", ".join(
        [kind(whole, definitions, hidden=secret), *([] if secret else bounds(whole, definitions))]
    )
    default = _default(whole, found)
    if default and not (secret or place.required):
        said = f"{said}, {default} where nothing is given" if said else f"{default} where nothing is given"
    about = str(found.get("description") or whole.get("description") or "")
    value = _shown(how, place.given, place.was_given)
    return FormField(
        place.path, how, value, place.required, place.locked, options, said, about, was_given=place.was_given
    )


def _default(whole: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What a field is where it is not given, as JSON; empty where that is null, or not told."""
    value = whole.get("default", found.get("default"))
    if value is None:
        return ""
    text = escaped_json(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST_DEFAULT else f"{text[:_LONGEST_DEFAULT]}…"


def _single(found: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one schema beside null, where there is one; itself where there are others."""
    others = [resolved(one, definitions) for one in branches(found)]
    others = [one for one in others if one.get("type") != "null"]
    if len(others) == 1:
        return others[0]
    texts = [one for one in others if one.get("type") == "string"]
    if texts and all(
        one.get("type") in _TEXTS | _NUMBERS for one in others
    ):  # a decimal, which may be a text or a number
        return texts[0]
    return found


def _nests(found: Mapping[str, Any], path: str) -> bool:
    is_object = found.get("type") == "object" and bool(found.get("properties"))
    return is_object and path.count(".") < _DEEPEST and not is_sensitive(found)


def _options(found: Mapping[str, Any]) -> tuple[str, ...]:
    if found.get("type") == "boolean":
        return ("true", "false")
    members = [found["const"]] if "const" in found else found.get("enum", ())
    return tuple(one if isinstance(one, str) else json.dumps(one) for one in members)


def _kind(found: Mapping[str, Any]) -> Kind:
    if found.get("type") == "string":
        return "text"
    return "number" if found.get("type") in _NUMBERS else "json"


def _shown(how: Kind, given: Any, was_given: bool) -> str:
    if not was_given:
        return ""
    if how == "secret":
        return "" if given is None else MASK
    if how in ("text", "lines", "choice") and isinstance(given, str):
        return given
    if given is None and how != "json":
        return ""
    return escaped_json(json.dumps(given, ensure_ascii=False, indent=2 if how == "json" else None))
