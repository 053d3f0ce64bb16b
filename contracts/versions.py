"""Versions: which versions of contracts are known here, and the ways between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from handoffs.contracts.compatibility import compare
from handoffs.contracts.conformity import Conformity
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import InvalidInput, UnknownVersion
from handoffs.contracts.event import Event
from handoffs.contracts.fields import sensitive_of, shown
from handoffs.contracts.migration import Migration, migrations, versioned
from handoffs.contracts.schema import Schema, closed, fingerprint_of, reads, writes
from handoffs.contracts.strictjson import digest

C = TypeVar("C", bound=Contract)
Way = tuple[Migration, ...]
"""The migrations from one version to another; none where the data goes as it is."""

_Hop = tuple[ContractRef, Migration | None]
"""The version that is reached, and by which migration; None where the data goes as it is."""


@dataclass(frozen=True, slots=True)
class Known:
    """One version of a contract, without a class: what it writes and reads, in normal form."""

    ref: ContractRef
    writes: Schema
    reads: Schema
    fingerprint: str
    sensitive: tuple[str, ...] = ()
    """JSON pointers (``*`` for any item) of the fields that are never shown."""


class Versions:
    """The versions known to one process: what is published, and the classes that are loaded. Safe for threads.

    Between adjacent versions the way is the migration that is declared. Where there is none, the fields that both have go
    as they are, if everything that the one writes can be read as the other (:func:`handoffs.contracts.compatibility.compare`).
    """

    def __init__(
        self,
        published: Iterable[Known] = (),
        lookup: Callable[[ContractRef], Known | None] = lambda ref: None,  # noqa: ARG005
    ) -> None:
        """``published`` are the versions that are known at once, ``lookup`` finds others when they are asked for."""
        self._published: dict[ContractRef, Known | None] = {known.ref: known for known in published}
        self._lookup = lookup
        self._classes: dict[ContractRef, type[Contract]] = {}
        self._made: dict[ContractRef, Known] = {}
        self._ways: dict[tuple[type[Contract], int, int], tuple[_Hop, ...] | None] = {}
        self._conformities: dict[ContractRef, Conformity] = {}
        self._lock = threading.RLock()

    def renew(self) -> None:
        """In a child process that was forked: another thread of its parent may have been at it."""
        self._lock = threading.RLock()

    def know(self, contract: type[Contract]) -> None:
        """Take the version of a class, and those of the contracts in its fields, as known too."""
        if contract.ref() in self._classes:
            return
        with self._lock:
            for found in (*parts(contract), contract):
                self._classes.setdefault(found.ref(), found)
            self._ways.clear()

    def get(self, ref: ContractRef) -> Known | None:
        """What is known of a version: what is published, or else what a loaded class says."""
        with self._lock:
            if ref not in self._published:
                self._published[ref] = self._lookup(ref)
            found = self._published[ref]
            if found is not None:
                return found
            if ref not in self._made and ref in self._classes:
                self._made[ref] = known(self._classes[ref])
            return self._made.get(ref)

    def class_of(self, ref: ContractRef) -> type[Contract] | None:
        """The class of a version, where one is loaded."""
        with self._lock:
            return self._classes.get(ref)

    def readable(self, contract: type[Contract]) -> tuple[int, ...]:
        """The versions that a reader of ``contract`` can read: its own, then the others, newest first."""
        own = contract.ref().version
        return tuple(self._reached(contract, lambda version: (version, own)))

    def writable(self, contract: type[Contract]) -> tuple[int, ...]:
        """The versions that a writer of ``contract`` can write: its own, then the others, newest first."""
        own = contract.ref().version
        return tuple(self._reached(contract, lambda version: (own, version)))

    def read(self, contract: type[C], ref: ContractRef, data: dict[str, Any]) -> C:
        """Read ``data``, written as ``ref``, as ``contract``.

        Validates against the version that was declared, migrates step by step, and validates the result.
        Raises :class:`UnknownVersion` where no way leads here, :class:`InvalidData` where data does not fit.
        """
        own = contract.ref()
        if ref == own:
            return self._marked(contract.from_data(data))
        older = (
            ref.name == own.name and ref.version < own.version
        )  # what a message says is not remembered otherwise
        hops = self._hops(contract, ref.version, own.version) if older else None
        if hops is None or self.get(ref) is None:
            raise UnknownVersion(
                f"the message is {ref}, and this reader reads {self._listed(contract)}",
                "it was not given to the agent",
                "deploy the reader that knows it, or publish that version and add the missing upcast; then replay",
            )
        return contract.from_data(self._moved(self._conformity(ref).checked(data), hops))

    def write(self, contract: type[Contract], data: dict[str, Any], version: int) -> dict[str, Any]:
        """Write ``data`` of ``contract`` as an older version.

        Raises :class:`UnknownVersion` where it cannot be written so, :class:`InvalidData` where what a downcast gives
        is not that version.
        """
        own = contract.ref()
        if version == own.version:
            return data
        target = versioned(contract, version)
        hops = self._hops(contract, own.version, version) if 0 < version < own.version else None
        if hops is None or self.get(target) is None:
            raise UnknownVersion(f"{own} cannot be written as {target}", remedy="add the missing downcast")
        return self._conformity(target).checked(self._moved(data, hops))

    def checked(self, ref: ContractRef, data: dict[str, Any]) -> dict[str, Any]:
        """``data`` as the version ``ref`` declares it, where there may be no class of it.

        Raises :class:`UnknownVersion` where that is not known here, :class:`InvalidData` where data does not fit.
        """
        if self.get(ref) is None:
            raise UnknownVersion(
                f"the message is {ref}, which is not known here",
                "it was not given to the agent",
                "publish that version where this agent runs; then replay",
            )
        return self._conformity(ref).checked(data)

    def content(self, ref: ContractRef, data: dict[str, Any], payload: Contract | None = None) -> str:
        """Names what ``data``, written as ``ref``, says: 64 hexadecimal digits, the same for equal values, in every process, of
        every build. ``payload`` is the data as it was read.

        Of a version that is not known here, the same text is the same.
        """
        if payload is not None and payload.ref() == ref:
            try:
                return digest(payload.to_comparable(sparing=True))
            except InvalidInput:  # it can be read and not be written
                return digest(data)
        return digest(data if self.get(ref) is None else self._conformity(ref).content(data))

    def shown(self, ref: ContractRef, data: dict[str, Any]) -> dict[str, Any]:
        """What people may see of ``data``, written as the version ``ref``: all of it is masked where that is not known here."""
        known = self.get(ref)
        return shown(data, known.sensitive if known else None)

    def _marked(self, made: C) -> C:
        if isinstance(made, Event):
            known = self.get(ContractRef(made.contract, made.version))
            made.marked(known.sensitive if known else None)
        return made

    def way(self, contract: type[Contract], source: int, target: int) -> Way | None:
        """The migrations that take data of version ``source`` to ``target``, or None where there is no way."""
        hops = self._hops(contract, source, target)
        return None if hops is None else tuple(step for _, step in hops if step is not None)

    def _hops(self, contract: type[Contract], source: int, target: int) -> tuple[_Hop, ...] | None:
        self.know(contract)
        place = (contract, source, target)
        with self._lock:
            if place not in self._ways:
                self._ways[place] = self._found(contract, source, target)
            return self._ways[place]

    def _found(self, contract: type[Contract], source: int, target: int) -> tuple[_Hop, ...] | None:
        declared = migrations(contract)
        hops: list[_Hop] = []
        direction = 1 if target > source else -1
        for version in range(source, target, direction):
            step = declared.get((version, version + direction))
            if step is None and not self._unchanged(contract, version, version + direction):
                return None
            hops.append((versioned(contract, version + direction), step))
        return tuple(hops)

    def _moved(self, data: dict[str, Any], hops: tuple[_Hop, ...]) -> dict[str, Any]:
        for reached, step in hops:
            data = step.apply(data) if step is not None else self._conformity(reached).checked(data)
        return data

    def _unchanged(self, contract: type[Contract], source: int, target: int) -> bool:
        writer, reader = self.get(versioned(contract, source)), self.get(versioned(contract, target))
        if writer is None or reader is None:
            return False
        return compare(writer.writes, reader.reads).verdict == "compatible"

    def _reached(self, contract: type[Contract], ends: Any) -> Iterator[int]:
        own = contract.ref().version
        yield own
        for version in range(own - 1, 0, -1):
            source, target = ends(version)
            if self.way(contract, source, target) is None:
                return  # each way from further away leads over the same gap
            if self.get(versioned(contract, version)):
                yield version

    def _conformity(self, ref: ContractRef) -> Conformity:
        with self._lock:
            if ref not in self._conformities:
                version = self.get(ref)
                assert version is not None
                self._conformities[ref] = Conformity(str(ref), version.writes, version.reads)
            return self._conformities[ref]

    def _listed(self, contract: type[Contract]) -> str:
        return ", ".join(str(versioned(contract, version)) for version in self.readable(contract))


def meet(giver: type[Contract], taker: type[Contract]) -> str:
    """What keeps ``taker`` from reading what ``giver`` writes, directly or by a migration; empty where nothing does."""
    gives, takes = giver.ref(), taker.ref()
    if giver is taker:
        return ""
    if gives.name != takes.name:
        return f"{gives} is another contract than {takes}"
    if gives == takes:
        verdict = compare(writes(giver), reads(taker))
        what = verdict.differences[0] if verdict.differences else verdict.verdict
        return "" if verdict.verdict == "compatible" else f"their {gives} is not the same: {what}"
    versions = Versions()
    versions.know(giver)
    versions.know(taker)
    mover = taker if takes.version > gives.version else giver
    way = versions.way(mover, gives.version, takes.version)
    return "" if way is not None else f"no migration leads from {gives} to {takes}"


def known(contract: type[Contract]) -> Known:
    """What a class says of its version."""
    read = reads(contract)
    written = closed(read)
    mark = fingerprint_of(written, read, contract.__keys__)
    return Known(contract.ref(), written, read, mark, sensitive_of(contract))


def parts(contract: type[BaseModel]) -> tuple[type[Contract], ...]:
    """The contracts in the fields of a contract, at any depth: those that a join puts together."""
    found: dict[type[Contract], None] = {}
    seen: set[type] = set()
    pending: list[Any] = [info.annotation for info in contract.model_fields.values()]
    while pending:
        hint = pending.pop()
        pending.extend(get_args(hint))
        if isinstance(hint, type) and issubclass(hint, BaseModel) and hint not in seen:
            seen.add(hint)
            pending.extend(info.annotation for info in hint.model_fields.values())
            if issubclass(hint, Contract) and hint.__contract__ is not None:
                found[hint] = None
    return tuple(found)
