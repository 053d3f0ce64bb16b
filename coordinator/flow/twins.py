"""Twins: two classes that say that they are the same version of a contract, and are not the same."""

from __future__ import annotations

from collections.abc import Iterable

from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import ContractError
from handoffs.contracts.versions import known


def refuse_twins(contracts: Iterable[type[Contract]]) -> None:
    """Raise :class:`~handoffs.contracts.errors.ContractError` where two of these classes have one name and version, and not the same
    fields, key fields or sensitive fields. It names both, with their modules."""
    first: dict[ContractRef, type[Contract]] = {}
    for contract in contracts:
        ref = contract.ref()
        other = first.setdefault(ref, contract)
        if other is not contract and _content(other) != _content(contract):
            raise ContractError(
                f"two classes that are loaded are {ref}, and they are not the same: {_named(other)} and {_named(contract)}",
                "nobody could tell which of them a message is",
                "give one of them another name, or let both modules import one class",
            )


def _content(contract: type[Contract]) -> tuple[str, tuple[str, ...]]:
    said = known(contract)
    return said.fingerprint, said.sensitive


def _named(contract: type[Contract]) -> str:
    return f"{contract.__module__}.{contract.__qualname__}"
