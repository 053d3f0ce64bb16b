"""Schema: what a contract writes and what it reads, in a normal form that only a change of the contract changes.

Pydantic's output differs between its releases for the same model (const or a one-member enum, ``allOf`` around a ``$ref``,
titles, the names and order of definitions). The normal form keeps what decides whether an instance is valid, in one
spelling, so its fingerprint may be compared across releases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core.core_schema import JsonOrPythonSchema

from handoffs.contracts import strictjson
from handoffs.contracts.annotations import SECRETS
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import ContractError
from handoffs.contracts.text import MASK, printable

Schema = dict[str, Any]

_SAYS_NOTHING = frozenset(
    {
        "$comment", "$id", "$schema", "contentEncoding", "contentMediaType", "default", "deprecated", "description",
        "discriminator", "examples", "readOnly", "title", "writeOnly",
    }
)  # fmt: skip
"""Annotations (JSON Schema 2020-12, Validation 9; OpenAPI's ``discriminator``): they refuse no instance."""

_BY_NAME = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_VALUES = frozenset({"enum"})
_SETS = frozenset({"anyOf", "oneOf", "allOf", "enum", "required", "type"})
_DECIMAL_TEXT = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
"""What Pydantic 2.12 and 2.13 say of a Decimal as text, beside a number; other releases say nothing."""


def writes(contract: type[Contract]) -> Schema:
    """The closed schema of what a writer of ``contract`` emits: every field that it declares, and no other.

    A writer checks its output as its readers will (step 4 of a handoff), so it emits what the contract also reads.
    """
    return closed(reads(contract))


def reads(contract: type[Contract]) -> Schema:
    """The open schema of what a reader of ``contract`` takes: what it does not know it ignores."""
    return normal(generated(contract))


def generated(contract: type[Contract]) -> Schema:
    """The schema of what a reader takes as Pydantic makes it, annotations included.

    Raises :class:`~handoffs.contracts.errors.ContractError` where a field is of a type that JSON Schema cannot say.
    """
    return _generated(contract, "validation")


def written(contract: type[Contract]) -> Schema:
    """The same of what a writer writes: fields have the names under which they are written. Raises the same."""
    return _generated(contract, "serialization")


def _generated(contract: type[Contract], mode: JsonSchemaMode) -> Schema:
    try:
        return contract.model_json_schema(mode=mode, schema_generator=_Generator)
    except KeyError as error:  # Pydantic looks for what a schema of the author's own refers to
        raise ContractError(
            f"{contract.__contract__ or contract.__name__} has a schema that refers to {printable(error.args[0], 200)},"
            " which is not in it",
            "nothing is fetched from elsewhere",
            "write what is meant in its place",
        ) from None
    except PydanticUserError as error:
        raise ContractError(
            f"{contract.__contract__ or contract.__name__} has no JSON Schema: {printable(error.message, 200)}",
            "what it says could not be checked",
            "give the field a type that JSON has, or declare its schema with pydantic.WithJsonSchema",
        ) from None


def fingerprint(contract: type[Contract]) -> str:
    """``sha256:`` and 64 hexadecimal digits, over what the contract writes and reads and over its key fields."""
    read = reads(contract)
    return fingerprint_of(closed(read), read, contract.__keys__)


def closed(reads: Schema) -> Schema:
    """What a writer emits of whose contract ``reads`` is the open schema in normal form."""
    made: Schema = _closed(reads)
    return made


def fingerprint_of(writes: Schema, reads: Schema, keys: tuple[str, ...]) -> str:
    """The fingerprint of schemas that are in normal form."""
    text = strictjson.canonical({"writes": writes, "reads": reads, "keys": list(keys)})
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def normal(schema: Mapping[str, Any]) -> Schema:
    """The normal form of a schema as Pydantic generates it: annotations gone, one spelling for what means the same,
    definitions numbered in the order in which they are met, sets sorted."""
    numbered = _Numbered(schema.get("$defs", {}))
    top = numbered.walk(schema)
    if numbered.found:
        top["$defs"] = numbered.found
    return dict(sorted(top.items()))


class _Generator(GenerateJsonSchema):
    """Pydantic's own, which does not say of a ``Secret[...]`` that it is one, and has no text for one that is a default."""

    def encode_default(self, dft: Any) -> Any:
        return MASK if isinstance(dft, SECRETS) else super().encode_default(dft)

    def json_or_python_schema(self, schema: JsonOrPythonSchema) -> Schema:
        made = super().json_or_python_schema(schema)
        writer = schema.get("serialization", {}).get("function")
        named = f"{getattr(writer, '__module__', '')}.{getattr(writer, '__name__', '')}"
        return {**made, "x-sensitive": True} if named.startswith("pydantic.types._serialize_secret") else made


class _Numbered:
    """Walks a schema, and numbers its definitions in the order in which they are met."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._names: dict[str, str] = {}
        self.found: dict[str, Schema] = {}

    def walk(self, part: Any) -> Any:
        """The normal form of a schema, or of what stands where one could."""
        if not isinstance(part, Mapping):
            return int(part) if isinstance(part, float) and part.is_integer() else part  # 0.0 is 0
        made: Schema = {}
        for word in sorted(part):
            if word not in _SAYS_NOTHING and word != "$defs" and not _is_ours(word):
                made["enum" if word == "const" else word] = self._value(word, part[word])
        return _spelled(made)

    def _value(self, word: str, value: Any) -> Any:
        if word == "$ref" and value.startswith("#/$defs/"):
            return f"#/$defs/{self._renamed(value.removeprefix('#/$defs/'))}"
        if word == "const":
            return [value]
        if word in _BY_NAME:
            return {name: self.walk(value[name]) for name in sorted(value)}
        if word in _LISTS:
            return [self.walk(inner) for inner in value]
        return value if word in _VALUES else self.walk(value)

    def _renamed(self, name: str) -> str:
        if name not in self._names:
            number = self._names[name] = f"d{len(self._names) + 1}"
            self.found[number] = {}
            self.found[number] = self.walk(self._definitions[name])
        return self._names[name]


def _is_ours(word: str) -> bool:
    """Whether it is one of our own words (``x-key``, ``x-sensitive``): they refuse no instance."""
    return word.startswith("x-")


def _spelled(made: Schema) -> Schema:
    """One spelling for what means the same."""
    wrapped = made.get("allOf")
    if wrapped is not None and len(wrapped) == 1 and set(made) == {"allOf"}:
        return dict(wrapped[0])
    if made.get("additionalProperties") is True:
        del made["additionalProperties"]
    if isinstance(made.get("type"), list) and len(made["type"]) == 1:
        [made["type"]] = made["type"]
    if "enum" in made:
        _drop_implied_type(made)
    for branch in made.get("anyOf", ()):
        if branch.get("pattern") == _DECIMAL_TEXT:
            del branch["pattern"]
    for word in _SETS & made.keys():
        if isinstance(made[word], list):
            made[word] = sorted(made[word], key=strictjson.canonical)
    if made.get("required") == []:
        del made["required"]
    return made


def _drop_implied_type(made: Schema) -> None:
    """An enum says the types of its members already: Pydantic adds the word in some releases."""
    kinds = {str: "string", bool: "boolean", type(None): "null", int: "integer"}
    stated = made.get("type")
    if isinstance(stated, str) and {kinds.get(type(value)) for value in made["enum"]} == {stated}:
        del made["type"]


def _closed(part: Any) -> Any:
    """The schema, with every object that declares properties emitting all of them and no other."""
    if not isinstance(part, dict):
        return part
    made: Schema = {}
    for word, value in part.items():
        if word in _BY_NAME:
            made[word] = {name: _closed(inner) for name, inner in value.items()}
        elif word in _LISTS:
            made[word] = [_closed(inner) for inner in value]
        else:
            made[word] = value if word in _VALUES else _closed(value)
    if "properties" in made and "additionalProperties" not in made:
        made["additionalProperties"] = False
        made["required"] = sorted(made["properties"])
    return dict(sorted(made.items()))
