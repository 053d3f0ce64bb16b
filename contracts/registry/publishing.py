"""Publishing: what may be published, and whether what is published still is what the code says.

:func:`decide` only looks. :func:`publish` writes what was decided.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal

import pydantic

from handoffs.contracts.compatibility import compare
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import NotPublished
from handoffs.contracts.fields import changes, masked, sensitive_paths
from handoffs.contracts.migration import migrations
from handoffs.contracts.registry.candidate import Candidate, listed
from handoffs.contracts.registry.golden import golden_envelopes
from handoffs.contracts.registry.problem import Problem
from handoffs.contracts.registry.publication import MODES, Published
from handoffs.contracts.registry.registry import Registry, golden_file, version_file
from handoffs.contracts.schema import generated
from handoffs.contracts.text import printable
from handoffs.contracts.versions import known

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
    state: State = "new" if not problems else _state(problems)
    return Decision(contract, state, candidate.own, golden, tuple(problems))


def publish(decision: Decision, registry: Registry) -> tuple[Path, ...]:
    """Write the files of a new version into the registry's last folder, and give their paths; none where it is there.

    The version's own file comes last and in one step: a version is there as a whole, or not at all.
    Raises :class:`NotPublished` for whatever is not right; then nothing is written.
    """
    if decision.state == "published":
        return ()
    if decision.state != "new":
        raise NotPublished(
            f"{decision.ref} was not published: {decision.problems[0].text}",
            f"{len(decision.problems)} problems" if len(decision.problems) > 1 else "",
            decision.problems[0].remedy,
        )
    path = version_file(registry.folders[-1], decision.ref)
    golden = golden_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent):
            if path.exists():
                raise FileExistsError
            _write(golden, [_wire(envelope) for envelope in decision.golden])
            _write(path, decision.published.to_json())
    except FileExistsError:
        raise NotPublished(
            f"{decision.ref} was published by somebody else just now", remedy="look at what is there"
        ) from None
    except OSError as error:
        raise NotPublished(
            f"{decision.ref} was not published: {printable(path, 300)} cannot be written: {error.strerror}"
        ) from None
    registry.take(decision.published, decision.golden)
    return path, golden


def _of_published(contract: type[Contract], registry: Registry, already: Published) -> Decision:
    candidate = Candidate(contract, registry, already)
    golden = registry.golden(already.ref)
    declared = known(contract)
    if declared.fingerprint != already.fingerprint:
        problem = _changed(contract, already, registry)
        return Decision(contract, "changed", already, golden, (problem,))
    problems = (*candidate.still_there(), *candidate.promises(golden), *candidate.golden())
    return Decision(
        contract, _state(problems) if problems else "published", already, golden, tuple(_once(problems))
    )


def _changed(contract: type[Contract], already: Published, registry: Registry) -> Problem:
    """A published version that is another in the code. The witness is what one of the two does not read of the other."""
    declared = known(contract)
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
        None if broken is None else masked(broken.witness, (*already.sensitive, *_sensitive(contract))),
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
        _sensitive(contract),
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


def _sensitive(contract: type[Contract]) -> tuple[str, ...]:
    return sensitive_paths(generated(contract))


def _generator() -> str:
    return f"pydantic {pydantic.VERSION}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process publishes a version of the same contract meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _wire(envelope: Envelope) -> dict[str, Any]:
    return envelope.model_dump(mode="json", by_alias=True, exclude_none=True)


def _write(path: Path, value: Any) -> None:
    """Write a file in one step."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    handle, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
