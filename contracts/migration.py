"""Migrations: how data of one version of a contract becomes data of the next, and of the one before.

They belong to the class that the code has now. Older versions need no class: what they looked like is published.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.contract import Contract, ContractRef, is_contract
from handoffs.contracts.errors import ContractError, InvalidData
from handoffs.contracts.text import named, printable

Step = Callable[[dict[str, Any]], dict[str, Any]]

_MIGRATIONS = "__migrations__"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step between adjacent versions. ``lossy`` says what a step loses; it is empty where nothing is lost."""

    contract: str
    source: int
    target: int
    step: Step
    lossy: str = ""

    def __str__(self) -> str:
        word = "upcast" if self.target > self.source else "downcast"
        return f"{word} {self.contract} {self.source} -> {self.target}"

    def apply(self, data: dict[str, Any]) -> dict[str, Any]:
        """Migrate; ``data`` itself is left as it is.

        Raises :class:`InvalidData` where the function fails or gives no object. It names the place and shows no value:
        the text of an exception may quote one.
        """
        try:
            migrated = self.step(dict(data))
        except Exception as error:  # whatever a team's function raises
            raise InvalidData(f"the {self} failed: {type(error).__name__} in {_place(error)}") from error
        if not isinstance(migrated, dict):
            raise InvalidData(f"the {self} gave {type(migrated).__name__}, not an object")
        return migrated


def upcast(contract: type[Contract], older: int, newer: int) -> Callable[[Step], Step]:
    """Declare how data of version ``older`` becomes data of ``newer``, the next one.

    ``contract`` is the class that the code has, of version ``newer`` or later. The function is pure, from one JSON
    object to another::

        @upcast(FraudScored, 1, 2)
        def score_from_level(data: dict[str, Any]) -> dict[str, Any]: ...

    Raises :class:`ContractError` where the versions are not adjacent, the class is older, or the step exists.
    """
    return _declared("upcast", contract, older, newer, "")


def downcast(contract: type[Contract], newer: int, older: int, *, lossy: str = "") -> Callable[[Step], Step]:
    """Declare how data of version ``newer`` is written for a reader that knows no more than ``older``, the one before.

    ``lossy`` says what such a reader does not get; leave it out only where an upcast gives everything back. Raises
    :class:`ContractError` as :func:`upcast` does.
    """
    return _declared("downcast", contract, newer, older, lossy)


def migrations(contract: type[Contract]) -> dict[tuple[int, int], Migration]:
    """The steps that are declared for ``contract``, by their versions: ``(1, 2)`` is an upcast, ``(2, 1)`` a downcast."""
    return dict(contract.__dict__.get(_MIGRATIONS, {}))


def _place(error: BaseException) -> str:
    """The function and the line in which it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return printable(f"{last.name}, line {last.lineno}", 200)


def _declared(
    word: str, contract: type[Contract], source: int, target: int, lossy: str
) -> Callable[[Step], Step]:
    if not is_contract(contract):
        raise ContractError(
            f"{word}() is given {named(contract)}, which is no contract",
            remedy=f"write @{word}(TheContract, {_example(word)})",
        )
    if not all(type(version) is int for version in (source, target)):
        raise ContractError(
            f"{word}() of {contract.ref()} is given the versions {named(source)} and {named(target)}",
            remedy=f"a version is a whole number: @{word}({contract.__name__}, {_example(word)})",
        )
    ref = contract.ref()
    migration = f"{word} from {ref.name}/{source} to {ref.name}/{target}"
    if (target > source) is not (word == "upcast"):
        raise ContractError(migration, remedy="an upcast goes up, a downcast goes down")
    if abs(target - source) != 1 or min(source, target) < 1:
        raise ContractError(migration, remedy="a step joins adjacent versions, such as 1 and 2")
    if max(source, target) > ref.version:
        raise ContractError(
            f"{migration}, declared for {ref}",
            remedy=f"declare it for the class of version {max(source, target)} or later",
        )
    if (source, target) in migrations(contract):
        raise ContractError(f"there are two steps: {migration}", remedy="keep one of them")

    def register(step: Step) -> Step:
        declared = {
            **migrations(contract),
            (source, target): Migration(ref.name, source, target, step, lossy),
        }
        setattr(contract, _MIGRATIONS, declared)
        return step

    return register


def _example(word: str) -> str:
    return "1, 2" if word == "upcast" else "2, 1"


def versioned(contract: type[Contract], version: int) -> ContractRef:
    """Another version of the same contract."""
    return ContractRef(contract.ref().name, version)
