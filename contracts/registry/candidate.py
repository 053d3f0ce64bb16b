"""Candidate: one version of a contract, and the rules that it must keep beside those that are published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from handoffs.contracts.annotations import plain_decimals
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.fields import masked
from handoffs.contracts.judgeable import unjudged
from handoffs.contracts.migration import migrations
from handoffs.contracts.registry.mode import ModeCheck
from handoffs.contracts.registry.problem import Problem
from handoffs.contracts.registry.publication import MODES, Published
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.registry.rehearsal import Rehearsal
from handoffs.contracts.samples import exampled, samples
from handoffs.contracts.schema import generated, normal
from handoffs.contracts.text import is_plain, printable, quoted
from handoffs.contracts.versions import Versions

_LONGEST_OWNER = 120


@dataclass(slots=True)
class Candidate:
    """One class against the other versions of its contract."""

    contract: type[Contract]
    registry: Registry
    own: Published
    versions: dict[int, Published] = field(default_factory=dict)
    _reader: Versions = field(init=False)

    def __post_init__(self) -> None:
        name = self.own.ref.name
        for version in self.registry.versions(name):
            found = self.registry.get(ContractRef(name, version))
            assert found is not None
            self.versions[version] = found
        self.versions[self.own.ref.version] = self.own
        self._reader = Versions(published.known() for published in self.versions.values())

    def basic(self, owner: str | None, mode: str) -> Iterator[Problem]:
        """What does not depend on the content of other versions."""
        ref = self.own.ref
        others = [version for version in self.versions if version != ref.version]
        last = max(others, default=0)
        if ref.version != last + 1:
            yield Problem(
                "gap",
                ref,
                f"{ref} does not follow on {ContractRef(ref.name, last)}"
                if last
                else f"no version of {ref.name} is published",
                f"make it version {last + 1}" + ("" if last else ", or publish the versions before it first"),
            )
        if owner is not None and not _good_owner(self.own.owner):
            given = f"the owner {quoted(owner, 60)} is malformed" if owner else f"{ref} has no owner"
            yield Problem("owner", ref, given, "name the team that answers for it: --owner TEAM")
        if mode and mode not in MODES:
            yield Problem(
                "mode",
                ref,
                f"the mode {quoted(mode, 60)} is unknown",
                f"it is one of {', '.join(MODES)}",
            )
        for path in plain_decimals(self.contract):
            yield Problem(
                "decimal",
                ref,
                f"{path} is a plain Decimal: as a JSON number it is rounded, and readers differ in what they take",
                "declare it as handoffs.ExactDecimal, which travels as text",
            )

        if not any(plain_decimals(self.contract)):  # their patterns are Pydantic's
            for what in unjudged(self.own.reads):
                yield Problem(
                    "schema",
                    ref,
                    f"the schema of {ref} cannot be judged: {what}",
                    "let it say what it means without that; a validator may say more",
                )

    def promises(self, golden: tuple[Envelope, ...]) -> Iterator[Problem]:
        """What depends on other versions: keys, what the mode promises, migrations."""
        ref = self.own.ref
        for version, other in sorted(self.versions.items()):
            if version < ref.version and {*other.keys} != {*self.own.keys}:
                yield Problem(
                    "keys",
                    ref,
                    f"the key fields are {listed(self.own.keys)}, and those of {other.ref} {listed(other.keys)}: "
                    "the same work would have two idempotency keys",
                    "keep the key fields, or make it a contract of another name",
                    other.ref,
                )
        yield from ModeCheck(self.contract, self.versions).problems(ref.version, self.own.mode)
        kept = {
            version: tuple(envelope.data for envelope in self.registry.golden(other.ref))
            for version, other in self.versions.items()
        }
        kept[ref.version] = tuple(envelope.data for envelope in golden)
        yield from Rehearsal(self.contract, self.versions, kept).problems()

    def still_there(self) -> Iterator[Problem]:
        """What was published with this and older versions, and is in the code no more."""
        ref, declared = self.own.ref, migrations(self.contract)
        for version in sorted(self.versions):
            other = self.versions[version]
            if version > ref.version:
                continue
            steps = [("upcast", version - 1, version)] if other.upcast else []
            steps += [("downcast", version, version - 1)] if other.downcast is not None else []
            for word, source, target in steps:
                if (source, target) not in declared:
                    yield Problem(
                        "migration",
                        ref,
                        f"the {word} {ref.name} {source} -> {target} was published and is not in the code",
                        f"declare @{word}({self.contract.__name__}, {source}, {target}) again: messages may need it",
                        ContractRef(ref.name, min(source, target)),
                    )

    def golden(self) -> Iterator[Problem]:
        """Golden envelopes of this and older versions that the class cannot read."""
        own = self.own.ref.version
        for version in sorted(self.versions):
            if version == own or (version < own and self._reads(version)):
                yield from self._golden_of(version)

    def trial(self) -> Iterator[Problem]:
        """Golden envelopes, and samples, of older versions that the class says it can read and cannot: its validators refuse them.

        A sample has the examples that the class gives for a field. There are none of versions from which a migration leads
        here, which are tried with that, nor where the class has examples of the whole.
        """
        if not self.own.mode.startswith(("BACKWARD", "FULL")):
            return
        for version in sorted(self.versions):
            way = (
                self._reader.way(self.contract, version, self.own.ref.version)
                if version < self.own.ref.version
                else None
            )
            if way is not None:
                refused = tuple(self._golden_of(version))
                yield from refused or (() if way else self._samples_of(version))

    def _golden_of(self, version: int) -> Iterator[Problem]:
        other = self.versions[version].ref
        for number, envelope in enumerate(self.registry.golden(other), 1):
            try:
                self._reader.read(self.contract, other, envelope.data)
            except CoordinationError as error:
                yield Problem(
                    "golden",
                    self.own.ref,
                    f"golden envelope {number} of {other} is not read: {printable(error.cause, 300)}",
                    "mend the class or its migrations: messages such as this are on their way",
                    other,
                )

    def _samples_of(self, version: int) -> Iterator[Problem]:
        """The first sample that the class refuses."""
        raw = generated(self.contract)
        if "examples" in raw:
            return
        older = self.versions[version]
        for sample in samples(older.writes, beside=[normal(exampled(raw))], usual=True):
            try:
                self._reader.read(self.contract, older.ref, sample)
            except CoordinationError as error:
                yield Problem(
                    "golden",
                    self.own.ref,
                    f"a sample of {older.ref} is not read: {printable(error.cause, 300)}",
                    "let the class read what an older one may have written; where none of them ever wrote such, give the field examples"
                    " of what they did: Field(examples=[...])",
                    older.ref,
                    witness=masked(sample, older.sensitive),
                    has_witness=True,
                )
                return

    def _reads(self, version: int) -> bool:
        """Whether the mode promises to read a version."""
        mode, own = self.own.mode, self.own.ref.version
        if version == own:
            return True
        near = mode.endswith("_TRANSITIVE") or version == max(other for other in self.versions if other < own)
        return near and mode.startswith(("BACKWARD", "FULL"))


def listed(keys: tuple[str, ...]) -> str:
    """Key fields in words."""
    return ", ".join(keys) or "none"


def _good_owner(owner: str) -> bool:
    return 0 < len(owner) <= _LONGEST_OWNER and is_plain(owner) and owner == owner.strip()
