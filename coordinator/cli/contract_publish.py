"""The commands that compare the contracts of the loaded agents with what is published, and publish them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from handoffs.config.settings import Settings, load
from handoffs.contracts.contract import Contract
from handoffs.contracts.deployment import Deployed
from handoffs.contracts.errors import NotPublished
from handoffs.contracts.registry.publication import MODES
from handoffs.contracts.registry.publishing import Decision, decide
from handoffs.contracts.registry.publishing import publish as write
from handoffs.contracts.registry.registry import Registry, open_registry
from handoffs.contracts.text import printable
from handoffs.coordinator.cli.contract_report import STATES, note, print_problems, report
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.deployment.deployments import open_deployments
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.lineage import contracts_of, lineage_of
from handoffs.coordinator.flow.loading import Definitions, load_modules
from handoffs.coordinator.render.console import err, out, print_json, table


@click.command("check", short_help="Whether all is published as the code has it.")
@json_option
def check(as_json: bool) -> None:
    """Whether every contract of the loaded agents is published as the code has it. A gate for CI.

    Looks at the contracts of COORDINATOR_AGENTS, and at those in their fields. Each older version that is published must be
    read as its mode promises, each migration is tried on samples, and each golden envelope is read back.

    Exit status: 0 all are published and in order, 1 otherwise.
    """
    definitions, registry, deployed = _opened()
    decisions = [decide(contract, registry) for contract in contracts_of(definitions)]
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

    What breaks a promise is refused, and nothing of it is written. Commit the files that are: they never change.

    Exit status: 0 what was asked for is published, 1 something was refused.
    """
    definitions, registry, deployed = _opened()
    done: list[tuple[Decision, str, tuple[Path, ...]]] = []
    for contract in _chosen(contracts_of(definitions), names):
        decision = decide(contract, registry, owner=owner, mode=mode or "")
        done.append((decision, *_published(decision, registry, dry_run)))
    if as_json:
        print_json([_outcome(definitions, deployed, *outcome) for outcome in done])
    else:
        rows = [
            (decision.ref.name, decision.ref.version, state, _written(files))
            for decision, state, files in done
        ]
        out.print(table("contracts", ("contract", "version", "state", "written"), rows))
        _print_all(definitions, deployed, [decision for decision, *_ in done])
    if any(state not in ("published", "unchanged", "would be published") for _, state, _ in done):
        raise click.exceptions.Exit(1)


def _published(decision: Decision, registry: Registry, dry_run: bool) -> tuple[str, tuple[Path, ...]]:
    if decision.state == "published":
        return "unchanged", ()
    if decision.state != "new":
        return decision.state, ()
    if dry_run:
        registry.take(decision.published, decision.golden)
        return "would be published", ()
    try:
        return "published", write(decision, registry)
    except NotPublished as error:
        err.print(f"coordinator: {error}", markup=False, soft_wrap=True)
        return "refused", ()


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
    settings = load()
    definitions = load_modules(settings.agents)
    return definitions, open_registry(Path(settings.contracts_folder)), _deployed(settings)


def _deployed(settings: Settings) -> tuple[Deployed, ...]:
    """What is live or recorded as deployed, where servers are set and can be asked: it names who is concerned."""
    if settings.embedded:
        return ()
    try:
        with open_deployments(settings) as deployments:
            return tuple(build for build in deployments.known().builds if build.state != "previous")
    except ServerError as error:
        err.print(f"coordinator: who is deployed is not known: {error.cause}", markup=False, soft_wrap=True)
        return ()


def _chosen(loaded: tuple[type[Contract], ...], names: tuple[str, ...]) -> tuple[type[Contract], ...]:
    known = {name for contract in loaded for name in (contract.ref().name, str(contract.ref()))}
    for name in names:
        if name not in known:
            there = ", ".join(sorted({contract.ref().name for contract in loaded}))
            raise click.UsageError(
                f"no loaded agent has a contract {printable(name, 120)!r}; there are: {there}"
            )
    return tuple(
        contract
        for contract in loaded
        if not names or contract.ref().name in names or str(contract.ref()) in names
    )
