"""Published: what the documents need of a registry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.migration import migrations
from handoffs.contracts.versions import Known
from handoffs.coordinator.docs.model import Migration


class PublishedVersion(Protocol):
    """One published version, as a registry gives it.

    ``upcast`` says whether an upcast leads from the version before to this one; ``downcast`` what the downcast to that
    version loses: empty where nothing, None where there is no downcast. ``sensitive`` has JSON pointers, with ``*`` for any item.
    ``reads`` is in normal form.
    """

    @property
    def ref(self) -> ContractRef: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def keys(self) -> tuple[str, ...]: ...
    @property
    def description(self) -> str: ...
    @property
    def sensitive(self) -> tuple[str, ...]: ...
    @property
    def reads(self) -> dict[str, Any]: ...
    @property
    def upcast(self) -> bool: ...
    @property
    def downcast(self) -> str | None: ...
    def known(self) -> Known: ...


def declared(contract: type[Contract]) -> tuple[Migration, ...]:
    """The migrations that a class declares, newest first, an upcast before its downcast."""
    steps = migrations(contract).values()
    made = [Migration(step.source, step.target, step.lossy) for step in steps]
    return tuple(sorted(made, key=lambda step: (-max(step.source, step.target), step.source)))


def between(entries: Iterable[PublishedVersion]) -> tuple[Migration, ...]:
    """The migrations that published versions of one contract name, in the same order."""
    made: list[Migration] = []
    for entry in sorted(entries, key=lambda entry: -entry.ref.version):
        version = entry.ref.version
        if entry.upcast:
            made.append(Migration(version - 1, version))
        if entry.downcast is not None:
            made.append(Migration(version, version - 1, entry.downcast))
    return tuple(made)
