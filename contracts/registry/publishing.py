"""Publishing: what may be published, and whether what is published still is what the code says.

:func:`decide` only looks. :func:`publish` writes what was decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal

import pydantic

from handoffs.contracts.compatibility import compare
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import NotPublished
from handoffs.contracts.fields import changes, masked
from handoffs.contracts.migration import migrations
from handoffs.contracts.registry.candidate import Candidate, listed
from handoffs.contracts.registry.files import rewrite, write_versions
from handoffs.contracts.registry.golden import golden_envelopes
from handoffs.contracts.registry.problem import Problem
from handoffs.contracts.registry.publication import MODES, Published
from handoffs.contracts.registry.registry import Registry, golden_file, version_file
from handoffs.contracts.text import printable
from handoffs.contracts.versions import Known, known

DEFAULT_MODE = "FULL_TRANSITIVE"

State = Literal["published", "new", "changed", "breaks", "refused"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one class.

    ``state`` is ``published`` (and unchanged), ``new`` (it may be published), ``changed`` (it is published and another),
    ``breaks`` (it, or what is published, does not go with another version), or ``refused`` for any other problem.
    ``published`` and ``golden`` are what is, or would be, in the registry.
    """

    contract: type[Contract]
    state: State
    published: Published
    golden: tuple[Envelope, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def ref(self) -> ContractRef:
        """The version that it is about."""
        return self.published.ref


def decide(
    contract: type[Contract], registry: Registry, *, owner: str | None = None, mode: str = ""
) -> Decision:
    """Compare a class with what is published.

    ``owner`` and ``mode`` are those of the version before unless given. With the owner None, a version needs no owner.

    Raises :class:`~handoffs.contracts.errors.InvalidRegistry` for a malformed file.
    """
    ref = contract.ref()
    already = registry.get(ref)
    if already is not None:
        return _of_published(contract, registry, already)
    candidate = Candidate(contract, registry, _proposed(contract, registry, owner, mode))
    golden, faults = golden_envelopes(contract)
    problems = [*candidate.basic(owner, mode), *candidate.promises(golden), *faults]
    problems = list(_once((*problems, *candidate.trial())))
    state: State = "new" if not problems else _state(problems)
    return Decision(contract, state, candidate.own, golden, tuple(problems))


def publish(decision: Decision, registry: Registry) -> tuple[Path, ...]:
    """Write the files of a new version into the registry's last folder, and give their paths; none where it is there.

    Raises :class:`NotPublished` for whatever is not right; then nothing is written.
    """
    return publish_all((decision,), registry)[0]


def publish_all(decisions: Sequence[Decision], registry: Registry) -> tuple[tuple[Path, ...], ...]:
    """The same for several: the new versions among them are written all together, or none is. A version is there as a whole, or
    not at all.

    Raises :class:`NotPublished` where one may not be published, or a file cannot be written; then nothing is written.
    """
    for decision in decisions:
        if decision.state not in ("published", "new"):
            raise NotPublished(
                f"{decision.ref} was not published: {decision.problems[0].text}",
                f"{len(decision.problems)} problems" if len(decision.problems) > 1 else "",
                decision.problems[0].remedy,
            )
    new = [decision for decision in decisions if decision.state == "new"]
    files = {decision.ref: version_file(registry.folders[-1], decision.ref) for decision in new}
    golden = {decision.ref: [_wire(envelope) for envelope in decision.golden] for decision in new}
    sealed = {decision.ref: decision.published.sealed(golden[decision.ref]) for decision in new}
    try:
        write_versions([(files[ref], sealed[ref].to_json(), golden[ref]) for ref in files])
    except FileExistsError as error:
        there = next((ref for ref, path in files.items() if str(path) == error.filename), new[0].ref)
        raise NotPublished(
            f"{there} was published by somebody else just now", remedy="look at what is there"
        ) from None
    except OSError as error:
        names = ", ".join(map(str, files))
        where = printable(registry.folders[-1], 300)
        raise NotPublished(
            f"{names} was not published: a file in {where} cannot be written: {error.strerror}"
        ) from None
    for decision in new:
        registry.take(sealed[decision.ref], decision.golden)
    written = {ref: (path, golden_file(path)) for ref, path in files.items()}
    return tuple(written.get(decision.ref, ()) for decision in decisions)


def seal(decision: Decision, registry: Registry) -> Path | None:
    """Write its digests into the file of a version that was published before there were any, in the registry's last folder, and give
    its path; None where there is nothing to do.

    Raises :class:`NotPublished` where the file cannot be written.
    """
    if not may_be_sealed(decision, registry):
        return None
    path = version_file(registry.folders[-1], decision.ref)
    sealed = decision.published.sealed([_wire(envelope) for envelope in decision.golden])
    try:
        rewrite(path, sealed.to_json())
    except OSError as error:
        raise NotPublished(f"{printable(path, 300)} cannot be written: {error.strerror}") from None
    registry.take(sealed, decision.golden)
    return path


def may_be_sealed(decision: Decision, registry: Registry) -> bool:
    """Whether a version was published before there were digests, in the registry's last folder."""
    path = version_file(registry.folders[-1], decision.ref)
    return decision.state == "published" and not decision.published.digest and path.exists()


def _of_published(contract: type[Contract], registry: Registry, already: Published) -> Decision:
    candidate = Candidate(contract, registry, already)
    golden = registry.golden(already.ref)
    declared = known(contract)
    if declared.fingerprint != already.fingerprint:
        problem = _changed(contract, declared, already, registry)
        return Decision(contract, "changed", already, golden, (problem,))
    problems = (
        *_shown(declared, already),
        *candidate.still_there(),
        *candidate.promises(golden),
        *candidate.golden(),
    )
    return Decision(
        contract, _state(problems) if problems else "published", already, golden, tuple(_once(problems))
    )


def _shown(declared: Known, already: Published) -> Iterator[Problem]:
    """Where the code does not mark what was published as sensitive, which the fingerprint does not tell; and where a file that has no
    digest does not mark what the code does: it may have been changed by hand, and sealing it would make that good."""
    lost = sorted({*already.sensitive} - {*declared.sensitive})
    unsaid = sorted({*declared.sensitive} - {*already.sensitive}) if not already.digest else []
    if lost:
        yield Problem(
            "sensitive",
            already.ref,
            f"{_paths(lost)} of {already.ref} was published as sensitive, and the code does not mark it: it would be shown",
            "declare it as Sensitive again, or make a new version in which it is none",
            already.ref,
        )
    if unsaid:
        yield Problem(
            "sensitive",
            already.ref,
            f"{_paths(unsaid)} of {already.ref} is sensitive in the code and not in the published file, which has no digest",
            "take the file from version control as it was, or add the mark to it, then publish seals it",
            already.ref,
        )


def _paths(paths: Sequence[str]) -> str:
    return ", ".join(printable(path or "(whole)", 80) for path in paths[:5])


def _changed(contract: type[Contract], declared: Known, already: Published, registry: Registry) -> Problem:
    """A published version that is another in the code. The witness is what one of the two does not read of the other."""
    verdicts = (compare(already.writes, declared.reads), compare(declared.writes, already.reads))
    found = changes(already.reads, declared.reads)
    what = f"{already.ref} is published, and the code says otherwise"
    if already.keys != contract.__keys__:
        what += f": the key fields were {listed(already.keys)} and are {listed(contract.__keys__)}"
    elif not found:
        what += f" (it was made by {already.generator}, this is {_generator()})"
    following = max(registry.versions(already.ref.name)) + 1
    broken = next((verdict for verdict in verdicts if verdict.verdict == "incompatible"), None)
    return Problem(
        "changed",
        already.ref,
        what,
        f"a published version never changes: make it version {following}",
        already.ref,
        ("as published", "in the code"),
        found,
        tuple(dict.fromkeys(difference for verdict in verdicts for difference in verdict.differences)),
        None if broken is None else masked(broken.witness, (*already.sensitive, *declared.sensitive)),
        broken is not None,
    )


def _proposed(contract: type[Contract], registry: Registry, owner: str | None, mode: str) -> Published:
    ref = contract.ref()
    older = [version for version in registry.versions(ref.name) if version < ref.version]
    before = registry.get(ContractRef(ref.name, max(older))) if older else None
    declared, steps = known(contract), migrations(contract)
    down = steps.get((ref.version, ref.version - 1))
    return Published(
        ref,
        declared.fingerprint,
        owner or (before.owner if before else ""),
        mode if mode in MODES else before.mode if before else DEFAULT_MODE,
        contract.__keys__,
        _generator(),
        cleandoc(contract.__doc__ or ""),
        declared.sensitive,
        declared.writes,
        declared.reads,
        (ref.version - 1, ref.version) in steps,
        None if down is None else down.lossy,
    )


def _state(problems: Any) -> State:
    return "breaks" if any(problem.rule in ("backward", "forward") for problem in problems) else "refused"


def _once(problems: tuple[Problem, ...]) -> Iterator[Problem]:
    """A golden envelope that is not read because a direction breaks is not a problem of its own."""
    broken = any(problem.rule in ("backward", "migration") for problem in problems)
    yield from (problem for problem in problems if not (broken and problem.rule == "golden"))


def _generator() -> str:
    return f"pydantic {pydantic.VERSION}"


def _wire(envelope: Envelope) -> dict[str, Any]:
    return envelope.model_dump(mode="json", by_alias=True, exclude_none=True)
