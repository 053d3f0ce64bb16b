"""Unknown fields: what a person gives in a payload and nobody will read. Readers are open, so it is no fault; a person is told of it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AliasChoices, AliasPath

from handoffs.contracts.contract import Contract
from handoffs.contracts.text import printable
from handoffs.coordinator.render.console import tell

_SHOWN = 5
"""How many of them are named."""


def tell_of_unknown(contract: type[Contract], given: Iterable[str]) -> None:
    """Say, to standard error and in one line, which of the ``given`` fields the contract does not have; nothing where it has all."""
    known = {
        name
        for field, info in contract.model_fields.items()
        for name in (field, *_read_under(info.validation_alias))
    }
    unknown = sorted(set(given) - known)
    if unknown:
        more = [f"and {len(unknown) - _SHOWN} more"] if len(unknown) > _SHOWN else []
        named = ", ".join([*(printable(name, 80) for name in unknown[:_SHOWN]), *more])
        tell(
            f"coordinator: {contract.ref()} has no field {named}: it is not sent; "
            f"it has: {', '.join(sorted(contract.model_fields))}"
        )


def _read_under(alias: str | AliasPath | AliasChoices | None) -> list[str]:
    """The names that an alias gives to a field."""
    if isinstance(alias, AliasChoices):
        return [name for choice in alias.choices for name in _read_under(choice)]
    if isinstance(alias, AliasPath):
        return [str(alias.path[0])]
    return [alias] if alias else []
