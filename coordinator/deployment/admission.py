"""The gate: whether a worker may begin. It may not with contracts that are not published as its code has them, nor where
it could not read what others write, others could not read what it writes, or something waits that it cannot read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.compatibility import Verdict, compare
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.deployment import Deployed, Outstanding, Problem, judge
from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest, reference
from handoffs.contracts.migration import versioned
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.text import printable
from handoffs.contracts.versions import Known, known, parts
from handoffs.coordinator.errors import ContractsRefused
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.services import Services

_log = logging.getLogger(__name__)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Refusals:
    """Why agents may not begin. ``passing`` are those of which others take care: what waits is read by a live build."""

    reasons: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()

    def error(self) -> ContractsRefused:
        """The error that says all of it."""
        return ContractsRefused(
            "; ".join((*self.reasons, *self.passing)),
            "the worker did not begin",
            "mend the contracts, or set COORDINATOR_CONTRACTS_ENFORCED=false to begin all the same",
        )


class Gate:
    """Looks at the agents of one worker: their contracts, who else is alive, and what waits for them."""

    def __init__(self, services: Services, agents: Sequence[Agent]) -> None:
        self._services = services
        self._agents = agents

    def examine(self) -> Refusals:
        """Look once. Raises :class:`~handoffs.coordinator.errors.ServerError`, and another
        :class:`~handoffs.contracts.errors.CoordinationError` for a malformed file of the registry and for a contract that cannot be
        said."""
        live = self._live()
        registry = Registry(
            *self._services.registry.folders
        )  # as it is now: a worker that is held goes on when it is mended
        reasons = [
            reason
            for agent in self._agents
            for contract in dict.fromkeys((agent.accepts, *parts(agent.accepts), agent.emits, *agent.events))
            for reason in _unpublished(contract, registry, live)
        ]
        waiting = self._outstanding(registry, live)
        passing: list[str] = []
        for agent in self._agents:
            decision = judge(self._services.manifest(agent), live, waiting)
            for problem in decision.problems:
                (passing if _handled_by_others(problem, agent, live) else reasons).append(str(problem))
        return Refusals(tuple(dict.fromkeys(reasons)), tuple(dict.fromkeys(passing)))

    def override(self, refusals: Refusals, worker: str) -> None:
        """Begin all the same: say so in the log, and record it in the history."""
        said = "; ".join((*refusals.reasons, *refusals.passing))
        _log.warning(
            "COORDINATOR_CONTRACTS_ENFORCED is false, so the worker begins in spite of this: %s", said
        )
        names = ", ".join(agent.name for agent in self._agents)
        entry = Entry(EntryKind.OVERRIDDEN, "", "", now(), agent=names, worker=worker, error=said)
        self._services.store.note("", entry.fields())

    def _live(self) -> list[Deployed]:
        found = []
        for one in self._services.announcements.live():
            try:
                found.append(Deployed(Manifest.from_json(one["manifest"]), "live"))
            except InvalidManifest as error:
                _log.warning(
                    "the worker %s announces no manifest: %s", printable(one.get("instance"), 120), error
                )
        return found

    def _outstanding(self, registry: Registry, live: Sequence[Deployed]) -> list[Outstanding]:
        """What was sent to these agents and is not settled. What somebody only claims to need, of a contract that nobody knows, keeps
        no worker from beginning: it is parked when it comes."""
        names = {agent.name for agent in self._agents}
        found = []
        for (agent, ref), count in sorted(self._services.outstanding.counts().items()):
            if agent in names or not agent:
                one = self._known(agent, ref, registry, live)
                if one is not None:
                    found.append(Outstanding(agent, one, count, 0))
                else:
                    _log.warning(
                        "%d steps are outstanding for %s in what is no contract that it has read, and do not count: %s",
                        count,
                        agent or "nobody",
                        printable(ref, 120) or "it cannot be read",
                    )
        return found

    def _known(
        self, agent: str, ref: str, registry: Registry, live: Sequence[Deployed]
    ) -> ContractRef | None:
        """A contract that is outstanding for an agent; None where it is none, none that is published or that a build reads or writes, or
        one that builds of the agent are known of and none of them has read: whoever can send a message can say that of any."""
        try:
            found = reference(ref)
        except InvalidManifest:
            return None
        builds = [*(self._services.manifest(one) for one in self._agents), *(one.manifest for one in live)]
        seen = self._services.announcements
        before = [*(one["manifest"] for one in seen.of(agent)), *seen.deployed(agent)]
        read = [_names(one.get("accepts")) for one in before]
        if any(
            found.name in names for names in (*(one.accepts for one in builds if one.agent == agent), *read)
        ):
            return found
        if any(read):
            return None
        written = (names for one in builds for names in (one.accepts, one.emits))
        return (
            found if registry.versions(found.name) or any(found.name in names for names in written) else None
        )


def _names(value: object) -> Iterable[object]:
    return value if isinstance(value, dict) else ()


def _handled_by_others(problem: Problem, agent: Agent, live: Sequence[Deployed]) -> bool:
    """Whether it is about something that waits, and a live build of the same agent reads it."""
    if problem.rule != "outstanding":
        return False
    ref = ContractRef(problem.contract, problem.writes[0])
    others = [build.manifest for build in live if build.manifest.agent == agent.name]
    return any(ref.version in manifest.accepts.get(ref.name, ()) for manifest in others)


def _unpublished(contract: type[Contract], registry: Registry, live: Sequence[Deployed]) -> list[str]:
    """What is wrong with a contract as the code has it, beside what is published; nothing, or one sentence."""
    ref, has = contract.ref(), known(contract)
    published = registry.get(ref)
    readers = ", ".join(
        sorted({build.manifest.agent for build in live if ref.name in build.manifest.accepts})
    )
    read_by = f", which {readers} reads" if readers else ""
    if published is None:
        before = [version for version in registry.versions(ref.name) if version < ref.version]
        older = registry.get(versioned(contract, before[-1])) if before else None
        change = f"; beside {older.ref}{read_by}: {_changed(has, older.known())}" if older else ""
        return [f"{ref} is not published (coordinator contracts publish){change}"]
    if published.fingerprint != has.fingerprint:
        change = _changed(has, published.known())
        return [f"{ref}{read_by} is not what was published: {change}; make the change a version of its own"]
    return []


def _changed(new: Known, old: Known) -> str:
    """What an old reader does not find in what is written now, or a new one in what was written then."""
    for writer, reader in ((new, old), (old, new)):
        verdict: Verdict = compare(writer.writes, reader.reads)
        if verdict.verdict != "compatible":
            said = [str(difference) for difference in verdict.differences[:_SHOWN]]
            witness: Any = verdict.witness if verdict.verdict == "incompatible" else None
            shown = f" (witness: {printable(witness, 300)})" if witness is not None else ""
            return f"{', '.join(said)}{shown}"
    return "both read each other, and they are not the same"
