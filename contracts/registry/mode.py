"""Mode: whether a version is read as older ones, and they as it, as far as its mode promises; as it is or by migrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from handoffs.contracts.compatibility import Verdict, compare
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.fields import changes, masked
from handoffs.contracts.migration import migrations
from handoffs.contracts.registry.problem import Problem
from handoffs.contracts.registry.publication import Published


@dataclass(slots=True)
class ModeCheck:
    """The ways between the versions of one contract. ``versions`` are those that are published and the one at hand."""

    contract: type[Contract]
    versions: Mapping[int, Published]
    _verdicts: dict[tuple[int, int], Verdict] = field(default_factory=dict)

    def problems(self, own: int, mode: str) -> Iterator[Problem]:
        """What keeps version ``own`` from what its mode promises towards older versions, newest first."""
        older = sorted((version for version in self.versions if version < own), reverse=True)
        reach = older if mode.endswith("_TRANSITIVE") else older[:1]
        shown: set[tuple[int, int]] = set()
        for word, rule in (("BACKWARD", "backward"), ("FORWARD", "forward")):
            if not mode.startswith((word, "FULL")):
                continue
            for version in reach:
                ends = (version, own) if word == "BACKWARD" else (own, version)
                for source, target, verdict in self.breaks(*ends):
                    if (source, target) not in shown:
                        shown.add((source, target))
                        yield self._problem(own, rule, source, target, verdict)

    def breaks(self, source: int, target: int) -> Iterator[tuple[int, int, Verdict]]:
        """Each stretch on the way from ``source`` to ``target`` on which data would not be understood.

        Where a migration is declared, it is taken. Where none is, the data goes on as it is, from version to version: so
        what is written at the beginning of such a stretch must be read at each version of it.
        """
        declared = migrations(self.contract)
        direction = 1 if target > source else -1
        start = source
        for version in range(source, target, direction):
            following = version + direction
            if (version, following) in declared:
                start = following
                continue
            for begin in dict.fromkeys((version, start)):
                verdict = self._verdict(begin, following)
                if verdict.verdict != "compatible":
                    yield begin, following, verdict
                    start = following
                    break

    def _verdict(self, source: int, target: int) -> Verdict:
        if (source, target) not in self._verdicts:
            writes, reads = self.versions[source].writes, self.versions[target].reads
            self._verdicts[source, target] = compare(writes, reads)
        return self._verdicts[source, target]

    def _problem(self, own: int, rule: str, source: int, target: int, verdict: Verdict) -> Problem:
        name = self.contract.ref().name
        writer, reader = ContractRef(name, source), ContractRef(name, target)
        cannot = "cannot read" if verdict.verdict == "incompatible" else "is not sure to read"
        step = target - 1 if target > source else target + 1
        word = "upcast" if target > source else "downcast"
        if rule == "backward":
            text, modes = f"{reader} {cannot} what {writer} wrote", "FORWARD or NONE"
        else:
            text, modes = f"{reader}, not upgraded yet, {cannot} what {writer} writes", "BACKWARD or NONE"
        remedy = f"declare @{word}({self.contract.__name__}, {step}, {target}), or promise less with --mode {modes}"
        old, new = sorted((source, target))
        return Problem(
            "backward" if rule == "backward" else "forward",
            ContractRef(name, own),
            text,
            remedy,
            ContractRef(name, min(source, target)),
            (f"version {old}", f"version {new}"),
            changes(self.versions[old].reads, self.versions[new].reads),
            verdict.differences,
            masked(verdict.witness, self.versions[source].sensitive),
            verdict.verdict == "incompatible",
        )
