"""Problems: what would break, in words, with both sides, a witness and a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handoffs.contracts.compatibility import Difference, Verdict, compare
from handoffs.contracts.deployment.builds import Build, Deployed, Outstanding
from handoffs.contracts.deployment.decision import Problem, Rule
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.schema import Schema


def unreadable(rule: Rule, name: str, writer: Manifest, reader: Manifest, other: Deployed) -> Problem:
    """The writer can write nothing that the reader reads."""
    writes, reads = writer.emits[name], reader.accepts[name]
    back = ", to which a rollback returns," if rule == "rollback" else ""
    verdict = _compared(_written(writer, name), _read(reader, name))
    return Problem(
        rule, name, *other.name, other.state, writes, reads,
        f"{Build.of(writer)} writes {_listed(name, writes)}, and {Build.of(reader)}{back} reads {_listed(name, reads)}",
        _remedy(rule, name, writer, reader, verdict),
        verdict,
    )  # fmt: skip


def apart(name: str, writer: Manifest, readers: Sequence[Manifest], beside: Sequence[Deployed]) -> Problem:
    """Each of ``readers``, builds of one agent, reads something that the writer can write, but nothing is read by all.

    ``beside`` are those of them that are deployed.
    """
    writes, first = writer.emits[name], set(readers[0].accepts[name])
    other = next(
        (build for build in beside if not first.intersection(writes, build.manifest.accepts[name])),
        beside[-1],
    )
    older = next(reader for reader in readers if writes[0] not in reader.accepts[name])
    versions = (f"build {reader.build} {_listed(name, reader.accepts[name])}" for reader in readers)
    agent = readers[0].agent
    return Problem(
        "rolling", name, *other.name, other.state, writes, other.manifest.accepts[name],
        f"{Build.of(writer)} writes {_listed(name, writes)}, and no version of it is read by all builds of {agent}, "
        f"which run together until the deployment is over: {'; '.join(versions)}",
        f"let all of them read one version that {writer.agent} writes, or stop and withdraw {other.name} first",
        _compared(_written(writer, name), _read(older, name)),
    )  # fmt: skip


def scattered(name: str, writer: Manifest, readers: Sequence[Manifest], other: Deployed) -> Problem:
    """``readers``, builds of several agents, all hear the same event, and no version that is written is read by all."""
    writes = writer.emits[name]
    outsider = next((reader for reader in readers if writes[0] not in reader.accepts[name]), readers[-1])
    versions = (f"{Build.of(reader)} {_listed(name, reader.accepts[name])}" for reader in readers)
    return Problem(
        "subscribers", name, *other.name, other.state, writes, other.manifest.accepts.get(name, readers[0].accepts[name]),
        f"{Build.of(writer)} writes {_listed(name, writes)}, and an event is sent once, in a version that all who hear it "
        f"read; there is none: {'; '.join(versions)}",
        f"let all of them read one version that {writer.agent} writes",
        _compared(_written(writer, name), _read(outsider, name)),
    )  # fmt: skip


def unhandled(found: Outstanding, new: Manifest, known: Sequence[Deployed]) -> Problem:
    """The new build does not read what is still to be handled."""
    ref = found.contract
    reads = new.accepts.get(ref.name, ())
    schemas = (build.manifest.schemas.get(str(ref)) for build in known)
    written = next((sides["writes"] for sides in schemas if sides), None)
    many = f"{found.total} messages of {ref} are" if found.total != 1 else f"1 message of {ref} is"
    dead = f" ({found.dead_lettered} dead-lettered)" if found.dead_lettered else ""
    wanted = f"let {new.agent} read {ref}"
    if reads and reads[0] > ref.version:
        wanted = f"add the upcast from {ref} to {ref.name}/{reads[0]}"
    return Problem(
        "outstanding", ref.name, new.agent, new.build, "new", (ref.version,), reads,
        f"{many} outstanding for {new.agent}{dead}, and {Build.of(new)} reads {_listed(ref.name, reads)}",
        f"{wanted}, or have all of it handled before this build is deployed",
        _compared(written, _read(new, ref.name) if reads else None),
    )  # fmt: skip


def changed(name: str, writer: Manifest, reader: Manifest, other: Deployed) -> Iterator[Problem]:
    """Versions of ``name`` that are not the same on both sides: a published version is never changed."""
    for ref, mark in sorted(writer.fingerprints.items()):
        contract, _, version = ref.rpartition("/")
        if contract != name or reader.fingerprints.get(ref, mark) == mark:
            continue
        written, read = writer.schemas.get(ref), reader.schemas.get(ref)
        yield Problem(
            "fingerprint", name, *other.name, other.state, (int(version),), (int(version),),
            f"{ref} in {Build.of(writer)} is not the {ref} in {Build.of(reader)}: a published version was changed",
            f"undo the change of {ref}, and make it as a new version",
            _compared(written["writes"], read["reads"]) if written and read else None,
        )  # fmt: skip


def _remedy(rule: Rule, name: str, writer: Manifest, reader: Manifest, verdict: Verdict | None) -> str:
    own, wanted = writer.emits[name][0], reader.accepts[name][0]
    if own < wanted:
        remedy = f"add the upcast from {name}/{own} to {name}/{wanted} to {reader.agent}"
    elif rule == "accepts":
        remedy = (
            f"let {reader.agent} read {name}/{own}, or give {writer.agent} the downcast to {name}/{wanted}"
        )
    else:
        remedy = f"add the downcast from {name}/{own} to {name}/{wanted} to {writer.agent}"
        remedy += f", or deploy {reader.agent} with {name}/{own} first"
    if verdict is not None and verdict.verdict == "compatible":
        remedy += " (their schemas are compatible: where both versions are published, no function is needed)"
    return remedy


def _written(writer: Manifest, name: str) -> Schema:
    return writer.schemas[f"{name}/{writer.emits[name][0]}"]["writes"]


def _read(reader: Manifest, name: str) -> Schema:
    return reader.schemas[f"{name}/{reader.accepts[name][0]}"]["reads"]


def _compared(written: Schema | None, read: Schema | None) -> Verdict | None:
    """None where a schema is not known. What is no JSON Schema is not decided."""
    if written is None or read is None:
        return None
    try:
        return compare(written, read)
    except CoordinationError as error:
        return Verdict("unknown", (Difference("limit", "", str(error), "a JSON Schema", False),))


def _listed(name: str, versions: Sequence[int]) -> str:
    return " or ".join(f"{name}/{version}" for version in versions) or f"no {name}"
