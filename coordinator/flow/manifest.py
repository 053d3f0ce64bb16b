"""Manifest: what a build of an agent reads and writes, from its code."""

from __future__ import annotations

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.versions import Known, Versions, known, parts
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.agent import Agent


def manifest_of(agent: Agent, versions: Versions, *, queue: str, build: str = "") -> Manifest:
    """The manifest of ``agent`` as its code is now, where ``versions`` are known.

    A contract that joins branches is put together from parts that were written before, each in its own version: the
    contracts in its fields are accepted as well. ``build`` is by default derived from all the rest.

    Raises :class:`AgentError` where two fields hold versions of one contract and read none in common, and
    :class:`~handoffs.contracts.errors.InvalidManifest` for a malformed ``build`` or ``queue``.
    """
    accepted = (agent.accepts, *parts(agent.accepts))
    emitted = tuple(dict.fromkeys((agent.emits, *agent.events)))
    for contract in (*accepted, *emitted):
        versions.know(contract)
    accepts: dict[str, tuple[int, ...]] = {}
    for contract in accepted:
        name, reads = contract.ref().name, versions.readable(contract)
        accepts[name] = tuple(number for number in accepts.get(name, reads) if number in reads)
        if not accepts[name]:
            raise AgentError(
                f"{agent.name} accepts {name} in several fields, and no version of it suits all of them",
                "nobody could say which version to send it",
                "declare the fields in one version, and add the upcasts to it",
            )
    emits = {contract.ref().name: versions.writable(contract) for contract in emitted}
    all_known = {**_published(versions, accepts), **_published(versions, emits)}
    own = {contract.ref(): known(contract) for contract in (*accepted, *emitted)}
    firsts = [ContractRef(name, numbers[0]) for name, numbers in (*accepts.items(), *emits.items())]
    shown = {**{ref: all_known[ref] for ref in firsts}, **own}
    return Manifest(
        agent=agent.name,
        build=build,
        queue=queue,
        accepts=accepts,
        emits=emits,
        fingerprints={str(ref): version.fingerprint for ref, version in {**all_known, **own}.items()},
        schemas={
            str(ref): {"writes": version.writes, "reads": version.reads} for ref, version in shown.items()
        },
        subscribes=agent.patterns,
    )


def _published(versions: Versions, named: dict[str, tuple[int, ...]]) -> dict[ContractRef, Known]:
    """What is known of each version, as far as anything is."""
    refs = (ContractRef(name, number) for name, numbers in named.items() for number in numbers)
    found = {ref: versions.get(ref) for ref in refs}
    return {ref: version for ref, version in found.items() if version is not None}
