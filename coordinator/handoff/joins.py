"""Joined: the parts of a join were written in versions of their own; read each as the joining contract wants it."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import BaseModel

from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation.parts import numbers_of, parts_of


def upcast_parts(
    accepts: type[Contract], schemas: str, data: dict[str, Any], versions: Versions
) -> dict[str, Any]:
    """Upcast the parts of ``data`` that ``schemas`` (the envelope's ``joinschemas``) says are older than ``accepts`` wants.

    Raises :class:`InvalidData` where a part is missing, and what :meth:`handoffs.contracts.versions.Versions.read` raises.
    """
    result = data
    for path, schema in parts_of(schemas):
        result = _upcast_part(accepts, path, ContractRef.from_uri(schema), result, versions)
    return result


def _upcast_part(
    model: type[BaseModel], path: list[str], ref: ContractRef, data: dict[str, Any], versions: Versions
) -> dict[str, Any]:
    name, *deeper = path
    if isinstance(data.get(name), list) and deeper:
        return {**data, name: _upcast_items(model, name, deeper, ref, data[name], versions)}
    hint = _hint(model, name)
    part = data.get(name)
    if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
        return data
    if not isinstance(part, dict):
        raise InvalidData(f"the join has no part {name!r}")
    if deeper:
        return {**data, name: _upcast_part(hint, deeper, ref, part, versions)}
    if not issubclass(hint, Contract) or hint.ref() == ref:
        return data
    return {**data, name: versions.read(hint, ref, part).to_data()}


def _upcast_items(
    model: type[BaseModel], name: str, path: list[str], ref: ContractRef, items: list[Any], versions: Versions
) -> list[Any]:
    """The list ``items`` of field ``name``, with the items at the head of ``path`` upcast."""
    hint = _hint(model, name)
    [item] = get_args(hint) if get_origin(hint) is list else [None]
    numbers, *deeper = path

    def upcast(one: Any) -> Any:
        if not isinstance(one, dict):
            raise InvalidData(f"the join has no such item in {name!r}")
        if not isinstance(item, type) or not issubclass(item, BaseModel):
            return one
        if deeper:
            return _upcast_part(item, deeper, ref, one, versions)
        if not issubclass(item, Contract) or item.ref() == ref:
            return one
        return versions.read(item, ref, one).to_data()

    read = {number: upcast(items[number]) for number in numbers_of(numbers, len(items))}
    if all(one is items[number] for number, one in read.items()):
        return items
    return [read.get(number, one) for number, one in enumerate(items)]


def _hint(model: type[BaseModel], name: str) -> Any:
    field = next((info for key, info in model.model_fields.items() if (info.alias or key) == name), None)
    return field.annotation if field else None
