"""Contract book: the contracts of an installation: what is published and loaded, who speaks which version, and what may be deployed."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from handoffs.config.forks import after_fork
from handoffs.contracts import strictjson
from handoffs.contracts.compatibility import Verdict, compare
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.deployment import Decision, Deployed, Outstanding
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.fields import changes, masked
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.registry.publication import Published
from handoffs.contracts.registry.registry import Registry, open_registry
from handoffs.contracts.schema import Schema
from handoffs.contracts.text import quoted
from handoffs.contracts.versions import Known, Versions
from handoffs.coordinator.client.contract_standing import (
    Comparison,
    ContractStanding,
    Direction,
    Rule,
    Speaker,
)
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.deployment.deployments import Deployments
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.model import ContractEntry
from handoffs.coordinator.errors import UnknownContract
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.flow.manifest import manifest_of
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.services import Services

Side = Literal["reads", "writes"]
_Seen = tuple[object, ...]


class ContractBook:
    """The contracts of an installation. Safe for threads.

    What is published is read again where its files have changed. Every method raises
    :class:`~handoffs.contracts.errors.InvalidRegistry` where a file of them is malformed; those that ask who is there, and what waits,
    :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used.
    """

    def __init__(self, services: Services, journal: Journal, loaded: Loaded) -> None:
        self._services = services
        self._loaded = loaded
        self._deployments = Deployments(journal, services.announcements, services.outstanding)
        self._read: tuple[_Seen, Registry, Mapping[str, ContractEntry]] | None = None
        self._renew()

    def _renew(self) -> None:
        """In a child that was forked: another thread of its parent may have been reading."""
        self._lock = threading.Lock()
        after_fork(self, ContractBook._renew)

    def all(self) -> list[ContractStanding]:
        """Every contract that is published or loaded, by name."""
        _, entries = self._now()
        speakers, outstanding = self._speakers(), self._outstanding()
        return [
            ContractStanding(entry, tuple(speakers.get(name, ())), outstanding.get(name, {}))
            for name, entry in sorted(entries.items())
        ]

    def one(self, name: str) -> ContractStanding:
        """The contract of that name. Raises :class:`~handoffs.coordinator.errors.UnknownContract`."""
        entry = self._entry(name)
        return ContractStanding(
            entry, tuple(self._speakers().get(name, ())), self._outstanding().get(name, {})
        )

    def compare(self, name: str, older: int, newer: int) -> Comparison:
        """What two versions of a contract are to one another. Raises :class:`~handoffs.coordinator.errors.UnknownContract`."""
        registry, _ = self._now()
        older, newer = sorted((older, newer))
        entry = self._entry(name)
        first, second = self._known(ContractRef(name, older)), self._known(ContractRef(name, newer))
        published = registry.get(second.ref)
        mode = published.mode if published else entry.mode
        directions = tuple(
            Direction(
                rule, writer.ref, reader.ref, _verdict_of(writer, reader),
                _migrated(entry, writer.ref.version, reader.ref.version), mode.startswith((rule.upper(), "FULL")),
            )
            for rule, writer, reader in _both(first, second)
        )  # fmt: skip
        return Comparison(first.ref, second.ref, changes(first.reads, second.reads), directions)

    def schema(self, name: str, version: int, side: Side) -> Schema:
        """The JSON Schema (2020-12) of a version: of what its readers take (``reads``), with descriptions where its class is loaded, or of
        what its writers emit (``writes``). Raises :class:`~handoffs.coordinator.errors.UnknownContract`."""
        ref = ContractRef(name, version)
        found = next((one for one in self._entry(name).versions if one.ref == ref), None)
        if found is None:
            raise _unknown(str(ref), [str(one.ref) for one in self._entry(name).versions])
        schema = found.schema if side == "reads" else self._known(ref).writes
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

    def published(self, name: str, version: int) -> Published | None:
        """A version as it was published; None where it is not."""
        return self._now()[0].get(ContractRef(name, version))

    def agents(self) -> list[str]:
        """The agents whose code is loaded here, by name."""
        return sorted(self._loaded.agents())

    def manifest(self, agent: str, build: str = "") -> Manifest:
        """What the loaded code of an agent reads and writes. Raises :class:`~handoffs.coordinator.errors.LoadError` where it is not loaded
        here, and :class:`~handoffs.contracts.errors.InvalidManifest` for a name of a build that is none."""
        found = self._loaded.agent(agent)
        registry, _ = self._now()
        versions = Versions(lookup=registry.known)
        for one in self._loaded.agents().values():
            versions.know(one.accepts)
            versions.know(one.emits)
        return manifest_of(found, versions, queue=self._services.topology.queue_name(agent), build=build)

    def can_deploy(self, new: Manifest) -> tuple[Decision, list[Outstanding]]:
        """Whether a build may be deployed, and what its agent has still to handle: as ``coordinator contracts can-i-deploy`` says it.

        Raises :class:`~handoffs.contracts.errors.InvalidManifest` where a live worker announces something else than a manifest.
        """
        found = self._deployments.outstanding(new.agent)
        return self._deployments.judge(new, found), found

    def builds(self) -> tuple[Deployed, ...]:
        """The builds that are alive, recorded as deployed, or the previous ones of their agents."""
        return self._deployments.known().builds

    def _now(self) -> tuple[Registry, Mapping[str, ContractEntry]]:
        """What is published and loaded now; it is gathered once, until a file or what is loaded changes."""
        with self._lock:
            definitions = self._definitions()
            registry = open_registry(Path(self._services.settings.contracts_folder))
            seen = (
                *_files(registry),
                *map(id, definitions.agents.values()),
                *map(id, definitions.flows.values()),
            )
            if self._read is None or self._read[0] != seen:
                entries = gather(definitions, self._services.settings, registry).contracts
                self._read = seen, registry, {entry.name: entry for entry in entries}
            return self._read[1], self._read[2]

    def _definitions(self) -> Definitions:
        """What is loaded, or at work here; nothing of modules that cannot be loaded."""
        try:
            declared = self._loaded.definitions
        except CoordinationError:
            declared = Definitions()
        return replace(declared, agents=self._loaded.agents())

    def _entry(self, name: str) -> ContractEntry:
        _, entries = self._now()
        if name not in entries:
            raise _unknown(name, sorted(entries))
        return entries[name]

    def _known(self, ref: ContractRef) -> Known:
        registry, _ = self._now()
        versions = Versions(lookup=registry.known)
        for agent in self._loaded.agents().values():
            for contract in (agent.accepts, agent.emits, *agent.events):
                versions.know(contract)
        found = versions.get(ref)
        if found is None:
            raise _unknown(str(ref), [str(one.ref) for one in self._entry(ref.name).versions])
        return found

    def _speakers(self) -> dict[str, list[Speaker]]:
        """The builds that speak each contract."""
        found: dict[str, list[Speaker]] = defaultdict(list)
        for build in self.builds():
            manifest = build.manifest
            for name in sorted({*manifest.accepts, *manifest.emits}):
                reads, writes = tuple(manifest.accepts.get(name, ())), tuple(manifest.emits.get(name, ()))
                found[name].append(
                    Speaker(
                        manifest.agent, manifest.build, build.state, build.instances, reads, writes, manifest.hears(name)
                    )
                )  # fmt: skip
        return found

    def _outstanding(self) -> dict[str, dict[int, int]]:
        """How many messages of each version are not settled."""
        found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for (_, ref), count in self._services.outstanding.counts().items():
            name, _, version = ref.rpartition("/")
            if version.isdecimal() and len(version) < 10:
                found[name][int(version)] += count
        return found


def _files(registry: Registry) -> list[tuple[str, int, int]]:
    """What tells that a published file was added, taken away or changed."""
    found = []
    for folder in registry.folders:
        for path in sorted(folder.glob("*/*.json")):
            try:
                stat = path.stat()
            except OSError:
                continue  # it is gone, or cannot be looked at: reading it says so
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return found


def _both(older: Known, newer: Known) -> tuple[tuple[Rule, Known, Known], ...]:
    """Each rule, with who writes and who reads."""
    return ("backward", older, newer), ("forward", newer, older)


def _verdict_of(writer: Known, reader: Known) -> Verdict:
    """Whether ``reader`` reads what ``writer`` writes; what the witness has of sensitive fields is masked."""
    verdict = _compared(strictjson.canonical(writer.writes), strictjson.canonical(reader.reads))
    return replace(verdict, witness=masked(verdict.witness, (*writer.sensitive, *reader.sensitive)))


@lru_cache(maxsize=256)
def _compared(writes: str, reads: str) -> Verdict:
    """Published versions never change, so what was found once holds."""
    return compare(strictjson.loads(writes), strictjson.loads(reads))


def _migrated(entry: ContractEntry, source: int, target: int) -> bool:
    """Whether there is a migration for each step from one version to another."""
    if source == target:
        return False
    declared: set[tuple[int, int]] = {
        (one.source, one.target) for version in entry.versions for one in version.migrations
    }
    step = 1 if target > source else -1
    return all((number, number + step) in declared for number in range(source, target, step))


def _unknown(wanted: str, there: Sequence[str]) -> UnknownContract:
    more = f" and {len(there) - 20} more" if len(there) > 20 else ""
    return UnknownContract(
        f"{quoted(wanted, 160)} is neither published nor loaded here",
        f"there is: {', '.join(there[:20]) or 'none'}{more}",
        "list them: coordinator contracts list",
    )
