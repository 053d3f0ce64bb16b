"""The commands that compare the contracts of the loaded agents with what is published, and publish them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from handoffs.config.settings import Settings
from handoffs.contracts.contract import Contract
from handoffs.contracts.deployment import Deployed
from handoffs.contracts.errors import CoordinationError, NotPublished
from handoffs.contracts.registry.publication import MODES
from handoffs.contracts.registry.publishing import Decision, decide, may_be_sealed, seal
from handoffs.contracts.registry.publishing import publish_all as write
from handoffs.contracts.registry.registry import Registry
from handoffs.contracts.text import quoted
from handoffs.coordinator.cli.contract_report import STATES, note, print_problems, report
from handoffs.coordinator.cli.exits import raised_at
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.published import sound_registry
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.deployment.deployments import open_deployments
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.lineage import contracts_of, lineage_of
from handoffs.coordinator.flow.loading import Definitions, load_modules
from handoffs.coordinator.flow.twins import refuse_twins
from handoffs.coordinator.handoff.interruption import interruption_of, signals_told_apart
from handoffs.coordinator.render.console import out, print_json, table, tell


@click.command("check", short_help="Whether all is published as the code has it.")
@json_option
def check(as_json: bool) -> None:
    """Whether every contract of the loaded agents is published as the code has it. A gate for CI.

    Looks at the contracts of COORDINATOR_AGENTS, and at those in their fields. Each older version that is published must be
    read as its mode promises, each migration is tried on samples, and each golden envelope is read back.

    Exit status: 0 all are published and in order, 1 otherwise.
    """
    definitions, registry, deployed = _opened()
    decisions: list[Decision] = []
    for contract in contracts_of(definitions):
        with _whatever_it_raises(contract, "whether it is published as the code has it is not known"):
            decisions.append(decide(contract, registry))
    if as_json:
        print_json(
            [report(decision, lineage_of(definitions, decision.ref.name, deployed)) for decision in decisions]
        )
    else:
        rows = [
            (
                decision.ref.name,
                decision.ref.version,
                STATES.get(decision.state, decision.state),
                note(decision),
            )
            for decision in decisions
        ]
        out.print(table("contracts", ("contract", "version", "state", "note"), rows))
        _print_all(definitions, deployed, decisions)
    if any(decision.state != "published" for decision in decisions):
        raise click.exceptions.Exit(1)


@click.command("publish", short_help="Publish what is new.")
@click.argument("names", metavar="[CONTRACT...]", nargs=-1)
@click.option(
    "--owner", default="", help="The team that answers for it; by default that of the version before."
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="What it promises towards older versions; by default as the version before, FULL_TRANSITIVE for the first.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be published, and write nothing.")
@json_option
def publish(names: tuple[str, ...], owner: str, mode: str | None, dry_run: bool, as_json: bool) -> None:
    """Publish each CONTRACT (a name, or name/version) of the loaded agents; by default all that are not published.

    What breaks a promise is refused, and then nothing at all is written. Commit the files that are: they never change, and their digests
    show it where somebody changed one; files of before there were digests get theirs now (sealed).

    Exit status: 0 what was asked for is published, 1 something was refused.
    """
    definitions, registry, deployed = _opened()
    decisions: list[Decision] = []
    for contract in _chosen(contracts_of(definitions), names):
        with _whatever_it_raises(contract, "nothing was published"):
            decisions.append(decide(contract, registry, owner=owner, mode=mode or ""))
        if decisions[-1].state == "new":
            registry.take(
                decisions[-1].published, decisions[-1].golden
            )  # those that come after may follow on it
    done = list(zip(decisions, *_published(decisions, registry, dry_run), strict=True))
    if as_json:
        print_json([_outcome(definitions, deployed, *outcome) for outcome in done])
    else:
        rows = [
            (decision.ref.name, decision.ref.version, state, _written(files))
            for decision, state, files in done
        ]
        out.print(table("contracts", ("contract", "version", "state", "written"), rows))
        _print_all(definitions, deployed, decisions)
    if any(state not in _FINE for _, state, _ in done):
        raise click.exceptions.Exit(1)


_FINE = frozenset({"published", "unchanged", "sealed", "would be published", "would be sealed"})


@contextmanager
def _whatever_it_raises(contract: type[Contract], consequence: str) -> Iterator[None]:
    """Have whatever the code of a contract raises while it is tried, and no signal to this process has raised, leave the block as
    :class:`NotPublished`. What the error itself says is not shown: it may quote a secret."""
    with signals_told_apart():
        try:
            yield
        except CoordinationError:
            raise
        except BaseException as error:
            if interruption_of(error) is not None:
                raise
            raise NotPublished(
                f"{contract.ref()} could not be tried: {type(error).__name__} was raised{raised_at(error)}",
                consequence,
                "let its validators raise ValueError for what they refuse, and nothing else",
            ) from error


def _published(
    decisions: Sequence[Decision], registry: Registry, dry_run: bool
) -> tuple[list[str], list[tuple[Path, ...]]]:
    """What became of each, and the files that were written: of all that are new, or of none."""
    refused = any(decision.state not in ("published", "new") for decision in decisions)
    nothing: list[tuple[Path, ...]] = [() for _ in decisions]
    if dry_run or refused:
        words = ("withheld", "unchanged") if refused else ("would be published", "would be sealed")
        return [_unwritten(decision, registry, *words) for decision in decisions], nothing
    try:
        files = [*write(decisions, registry)]
        sealed = [seal(decision, registry) for decision in decisions]
    except NotPublished as error:
        tell(f"coordinator: {error}")
        return ["refused" if one.state == "new" else "unchanged" for one in decisions], nothing
    states = [
        "published" if written else "sealed" if path else "unchanged"
        for written, path in zip(files, sealed, strict=True)
    ]
    return states, [written or ((path,) if path else ()) for written, path in zip(files, sealed, strict=True)]


def _unwritten(decision: Decision, registry: Registry, new: str, unsealed: str) -> str:
    """What is said of a decision where nothing is written."""
    if decision.state == "new":
        return new
    if decision.state != "published":
        return decision.state
    return unsealed if may_be_sealed(decision, registry) else "unchanged"


def _written(files: tuple[Path, ...]) -> str:
    if not files:
        return ""
    first, *others = files
    here = Path.cwd()
    shown = first.relative_to(here) if first.is_relative_to(here) else first
    return " and ".join([str(shown), *(path.name for path in others)])


def _outcome(
    definitions: Definitions,
    deployed: Sequence[Deployed],
    decision: Decision,
    state: str,
    files: Iterable[Path],
) -> dict[str, Any]:
    reported = report(decision, lineage_of(definitions, decision.ref.name, deployed))
    return {**reported, "state": state, "written": [str(path) for path in files]}


def _print_all(definitions: Definitions, deployed: Sequence[Deployed], decisions: Iterable[Decision]) -> None:
    for decision in decisions:
        if decision.problems:
            print_problems(decision, lineage_of(definitions, decision.ref.name, deployed))


def _opened() -> tuple[Definitions, Registry, tuple[Deployed, ...]]:
    settings = settings_of_command()
    _tell_whose(settings)
    definitions = load_modules(settings.agents)
    refuse_twins(contracts_of(definitions))
    return definitions, sound_registry(settings), _deployed(settings)


def _tell_whose(settings: Settings) -> None:
    """Say it where no module was named: nobody's own contracts are looked at then."""
    if "agents" not in settings.model_fields_set:
        tell(
            "coordinator: COORDINATOR_AGENTS is not set: these are the contracts of the reference system payments; "
            "set it to your modules"
        )
    elif not settings.agents:
        tell(
            "coordinator: COORDINATOR_AGENTS names no module, so no contract is looked at; set it to your modules"
        )


def _deployed(settings: Settings) -> tuple[Deployed, ...]:
    """What is live or recorded as deployed, where servers are set and can be asked: it names who is concerned."""
    if settings.embedded:
        return ()
    try:
        with open_deployments(settings) as deployments:
            return tuple(build for build in deployments.known().builds if build.state != "previous")
    except ServerError as error:
        tell(f"coordinator: who is deployed is not known: {error.cause}")
        return ()


def _chosen(loaded: tuple[type[Contract], ...], names: tuple[str, ...]) -> tuple[type[Contract], ...]:
    known = {name for contract in loaded for name in (contract.ref().name, str(contract.ref()))}
    for name in names:
        if name not in known:
            there = ", ".join(sorted({contract.ref().name for contract in loaded}))
            raise click.UsageError(f"no loaded agent has a contract {quoted(name, 120)}; there are: {there}")
    return tuple(
        contract
        for contract in loaded
        if not names or contract.ref().name in names or str(contract.ref()) in names
    )
