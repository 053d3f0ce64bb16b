"""Migrations: how a reader of one version reads what an older version wrote, one adjacent step after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from contracts.contract import Contract, ContractRef
from contracts.errors import ContractError, InvalidData, UnknownVersion
from contracts.text import printable

Step = Callable[[dict[str, Any]], dict[str, Any]]
C = TypeVar("C", bound=Contract)

_PREVIOUS = "__previous__"


def upcast(older: type[Contract], newer: type[Contract]) -> Callable[[Step], Step]:
    """Declare how data of ``older`` becomes data of ``newer``, the next version of the same contract.

    The function is pure, from one JSON object to another::

        @upcast(FraudScoredV1, FraudScored)
        def score_from_level(data: dict[str, Any]) -> dict[str, Any]: ...

    Raises :class:`ContractError` where the two are not adjacent versions of one contract, or where the step exists.
    """
    old, new = older.ref(), newer.ref()
    if old.name != new.name or new.version != old.version + 1:
        raise ContractError(
            f"upcast from {old} to {new}",
            remedy="an upcast joins adjacent versions of one contract, such as 1 and 2",
        )
    if _PREVIOUS in newer.__dict__:
        raise ContractError(f"there are two upcasts from {old} to {new}", remedy="keep one of them")

    def register(step: Step) -> Step:
        setattr(newer, _PREVIOUS, (older, step))
        return step

    return register


def readable(contract: type[Contract]) -> tuple[ContractRef, ...]:
    """The versions that a reader of ``contract`` can read, newest first."""
    return tuple(version.ref() for version, _ in _lineage(contract))


def read(contract: type[C], ref: ContractRef, data: dict[str, Any]) -> C:
    """Read ``data``, written as ``ref``, as ``contract``.

    Validates against the version that was declared, migrates step by step, and validates the result.
    Raises :class:`UnknownVersion` where no chain of upcasts leads here, :class:`InvalidData` where data does not fit.
    """
    own = contract.ref()
    if ref == own:
        return contract.from_data(data)
    steps: list[Step] = []
    for older, step in _lineage(contract):
        if older.ref() == ref:
            migrated = older.from_data(data).to_data()
            for migrate in reversed(steps):
                migrated = _applied(migrate, migrated, ref, own)
            return contract.from_data(migrated)
        if step is not None:
            steps.append(step)
    raise UnknownVersion(
        f"the message is {ref}, and this reader reads {', '.join(map(str, readable(contract)))}",
        "it was not given to the agent",
        "deploy the reader that knows it, or add the missing upcast, and replay",
    )


def _lineage(contract: type[Contract]) -> list[tuple[type[Contract], Step | None]]:
    found: list[tuple[type[Contract], Step | None]] = []
    version: type[Contract] | None = contract
    while version is not None:
        older, step = version.__dict__.get(_PREVIOUS, (None, None))
        found.append((version, step))
        version = older
    return found


def _applied(step: Step, data: dict[str, Any], ref: ContractRef, own: ContractRef) -> dict[str, Any]:
    try:
        migrated = step(dict(data))
    except Exception as error:
        name = type(error).__name__
        raise InvalidData(
            f"the upcast from {ref} towards {own} failed: {name}: {printable(error, 200)}"
        ) from error
    if not isinstance(migrated, dict):
        raise InvalidData(
            f"the upcast from {ref} towards {own} gave {type(migrated).__name__}, not an object"
        )
    return migrated
