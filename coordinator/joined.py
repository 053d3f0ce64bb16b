"""Joined: the parts of a join were written in versions of their own; read each as the joining contract wants it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from contracts.contract import Contract, ContractRef
from contracts.errors import InvalidData
from contracts.versions import Versions


def upcast_parts(
    accepts: type[Contract], schemas: str, data: dict[str, Any], versions: Versions
) -> dict[str, Any]:
    """Upcast the parts of ``data`` that ``schemas`` (the envelope's ``joinschemas``) says are older than ``accepts`` wants.

    Raises :class:`InvalidData` where a part is missing, and what :meth:`contracts.versions.Versions.read` raises.
    """
    result = data
    for word in schemas.split():
        path, sign, uri = word.partition("=")
        if not sign:
            raise InvalidData(f"joinschemas has {word[:80]!r}, which is no branch=dataschema")
        result = _upcast_part(accepts, path.split("."), ContractRef.from_uri(uri), result, versions)
    return result


def _upcast_part(
    model: type[BaseModel], path: list[str], ref: ContractRef, data: dict[str, Any], versions: Versions
) -> dict[str, Any]:
    name, *deeper = path
    field = next((info for key, info in model.model_fields.items() if (info.alias or key) == name), None)
    hint = field.annotation if field else None
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
