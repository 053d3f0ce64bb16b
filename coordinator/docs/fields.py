"""Fields: the fields of a contract version, from its schema and, where it is loaded, from its class."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from handoffs.contracts.contract import Contract
from handoffs.coordinator.docs.model import FieldEntry
from handoffs.coordinator.docs.schema_words import bounds, branches, compact, kind, resolved
from handoffs.coordinator.docs.text import line

_DEEPEST = 5
_LIMITS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def fields_of(
    schema: Mapping[str, Any],
    model: type[BaseModel] | None = None,
    *,
    keys: Collection[str] = (),
) -> tuple[FieldEntry, ...]:
    """The fields that ``schema`` declares, those of objects within it with dotted names.

    ``keys`` names the key fields, for where the schema does not say it. Where ``model`` says that a field holds
    a contract, the field names that contract, and its fields are not repeated.
    """
    definitions = schema.get("$defs", {})
    return tuple(_fields(schema, definitions, model, "", frozenset(keys), ()))


def is_sensitive(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says, itself or in a branch, that its value is not to be shown."""
    if schema.get("x-sensitive") is True or schema.get("format") == "password":
        return True
    inner = [
        *branches(schema),
        *schema.get("prefixItems", ()),
        schema.get("items"),
        schema.get("additionalProperties"),
    ]
    return any(isinstance(part, Mapping) and is_sensitive(part) for part in inner)


def _fields(
    schema: Any,
    definitions: Mapping[str, Any],
    model: type[BaseModel] | None,
    prefix: str,
    keys: frozenset[str],
    above: tuple[str, ...],
) -> Iterator[FieldEntry]:
    found = resolved(schema, definitions)
    required = found.get("required", ())
    infos = {info.alias or name: info for name, info in model.model_fields.items()} if model else {}
    properties = found.get("properties", {})
    names = [name for name in infos if name in properties]
    names += sorted(name for name in properties if name not in infos)  # the normal form sorts them anyhow
    for name in names:
        part, info = resolved(properties[name], definitions), infos.get(name)
        path = f"{prefix}{name}"
        inner = _model(info.annotation) if info else None
        held = inner.__contract__ if inner is not None and issubclass(inner, Contract) else None
        secret = is_sensitive(part)
        yield FieldEntry(
            name=line(path),
            kind=f"contract {held}" if held else _kind(part, definitions, info, secret),
            required=name in required,
            bounds=() if held else tuple(_bounds(part, definitions, info)),
            default=_default(part, name in required, secret),
            description=line(part.get("description", "")) if not (held or inner) else "",
            key=part.get("x-key") is True or path in keys,
            sensitive=secret,
            untrusted=_is_marked(part, "x-untrusted"),
            contract=held,
        )
        target = _object(properties[name], definitions)
        if held is None and target is not None and len(above) < _DEEPEST and target[0] not in above:
            word, inside = target
            dots = f"{path}[]." if "items" in part else f"{path}."
            yield from _fields(inside, definitions, inner, dots, keys, (*above, word))


def _object(schema: Any, definitions: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The one object with properties that a field, or each entry of its list, is; with the name of its definition."""
    reference = schema.get("$ref", "") if isinstance(schema, Mapping) else ""
    found = resolved(schema, definitions)
    if "properties" in found:
        return str(reference), found
    if found.get("type") == "array":
        return _object(found.get("items"), definitions)
    inner = [made for part in branches(found) if (made := _object(part, definitions)) is not None]
    return inner[0] if len(inner) == 1 else None


def _kind(
    part: Mapping[str, Any], definitions: Mapping[str, Any], info: FieldInfo | None, secret: bool
) -> str:
    if info is not None and info.annotation is Decimal and part.get("type") == "string":
        return "decimal number, as text"
    return kind(part, definitions, hidden=secret)


def _bounds(part: Mapping[str, Any], definitions: Mapping[str, Any], info: FieldInfo | None) -> Iterator[str]:
    if info is None or info.annotation is not Decimal:
        yield from bounds(part, definitions)
        return
    for rule in info.metadata:  # the schema of a decimal that travels as text has no place for them
        for attribute, word in _LIMITS.items():
            if getattr(rule, attribute, None) is not None:
                yield f"{word} {getattr(rule, attribute)}"
        if getattr(rule, "max_digits", None) is not None:
            yield f"at most {rule.max_digits} digits"
        if getattr(rule, "decimal_places", None) is not None:
            yield f"at most {rule.decimal_places} of them after the point"


def _default(part: Mapping[str, Any], required: bool, secret: bool) -> str:
    """A default that is a plain value: what is within an object or a list may be sensitive."""
    value = part.get("default")
    plain = value is None or isinstance(value, (str, int, float)) or value in ([], {})
    return compact(value) if "default" in part and plain and not (required or secret) else ""


def _is_marked(part: Mapping[str, Any], word: str) -> bool:
    inner = [*branches(part), part.get("items")]
    return part.get(word) is True or any(isinstance(one, Mapping) and _is_marked(one, word) for one in inner)


def _model(hint: Any) -> type[BaseModel] | None:
    """The model that a field holds, alone, in a list, or beside nothing."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    found = {model for part in get_args(hint) if (model := _model(part)) is not None}
    return found.pop() if len(found) == 1 else None
