"""The commands on deployments: manifests of builds, what is deployed, and whether a new build may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from handoffs.config.logs import configure
from handoffs.config.settings import Settings, load
from handoffs.config.topology import Topology
from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidInput, InvalidManifest
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.registry.registry import open_registry
from handoffs.contracts.text import escaped_json, printable
from handoffs.contracts.versions import Versions
from handoffs.coordinator.cli.decision import report, show
from handoffs.coordinator.deployment.deployments import Deployments, open_deployments
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.flow.manifest import manifest_of
from handoffs.coordinator.render.console import err, out, print_json, table
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded

_LIMITS = strictjson.Limits(octets=16_777_216, depth=100, nodes=500_000, text_length=1_048_576)

_agent = click.argument("agent")
_file = click.option(
    "--manifest", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="The manifest of the build; by default it is made from the loaded code.",
)  # fmt: skip
_build = click.option("--build", default="", help="Name the build; by default a digest of its manifest does.")
_by = click.option("--by", default="", metavar="WHO", help="Who does it; by default who is logged in.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


class _Malformed(click.ClickException):
    exit_code = 2


@click.command("manifest", short_help="Which versions a build reads and writes.")
@_agent
@_build
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there instead.")
def manifest(agent: str, build: str, output: Path | None) -> None:
    """Print the manifest of AGENT as JSON: which contract versions its code reads and writes.

    Keep it with the build: it is what can-i-deploy and record-deployment take where the code is not at hand.
    """
    made = _made(load(), agent, build)
    if output is None:
        print_json(made.to_json())
        return
    try:
        output.write_text(
            escaped_json(json.dumps(made.to_json(), ensure_ascii=False, indent=2)) + "\n", "utf-8"
        )
    except OSError as error:
        raise click.ClickException(f"{printable(output, 200)} cannot be written: {error.strerror}") from None
    err.print(f"coordinator: {made} is in {printable(output, 200)}", markup=False, soft_wrap=True)


@click.command("can-i-deploy", short_help="Whether a new build goes with what is there.")
@_agent
@_file
@_json
def can_i_deploy(agent: str, file: Path | None, as_json: bool) -> None:
    """Whether a new build of AGENT goes with everything that is deployed, and with what is still queued.

    \b
    For each contract it asks:
      emits         can each consumer read what the new build writes?
      accepts       can the new build read what each producer writes?
      rolling       is there one version for all builds that read from one queue meanwhile?
      outstanding   can the new build read what is queued, delayed or dead-lettered?
      rollback      can consumers still read it when they go back to their previous build?
      fingerprint   does a version mean the same on both sides?
      subscribers   is there one version for all agents that hear an event?

    Where the answer is no it shows an instance that would break, and in which order to deploy.

    Exit status: 0 yes, 1 no or nothing could be decided, 2 the manifest is malformed.
    """
    with _deployments("asking whether a build can be deployed") as (settings, deployments):
        new = _given(settings, agent, file)
        found = deployments.outstanding(agent)
        decision = deployments.judge(new, found)
    if as_json:
        print_json(report(decision, found))
    else:
        show(decision, found)
    if not decision.ok:
        raise click.exceptions.Exit(1)


@click.command("record-deployment", short_help="Record that a build is deployed.")
@_agent
@_file
@_build
@_by
def record_deployment(agent: str, file: Path | None, build: str, by: str) -> None:
    """Record that a build of AGENT is deployed. From then on others are held to it, until it is withdrawn.

    Exit status: 0 recorded, or recorded before; 2 the manifest is malformed; 1 it could not be recorded.
    """
    with _deployments("recording a deployment") as (settings, deployments):
        made = _given(settings, agent, file, build)
        new = deployments.record(made, by)
    out.print(
        f"{made}: {'recorded as deployed' if new else 'was recorded already'}", markup=False, soft_wrap=True
    )


@click.command("withdraw", short_help="Record that a build is deployed no more.")
@_agent
@click.option("--build", default="", help="Which build; not needed where there is only one.")
@_by
def withdraw(agent: str, build: str, by: str) -> None:
    """Record that a build of AGENT is not deployed any more. It stays known as the one that a rollback returns to."""
    with _deployments("withdrawing a deployment") as (_, deployments):
        gone = deployments.withdraw(agent, build, by)
    out.print(f"{agent} build {gone}: withdrawn", markup=False, soft_wrap=True)


@click.command("deployments", short_help="Which builds are live or recorded.")
@_json
def list_deployments(as_json: bool) -> None:
    """Which builds are live, which are recorded as deployed, and which were deployed before them."""
    with _deployments("listing deployments") as (_, deployments):
        known = deployments.known()
    if as_json:
        listed = [
            {
                "agent": build.manifest.agent, "build": build.manifest.build, "state": build.state,
                "instances": build.instances, "since": build.since,
                "accepts": _lists(build.manifest.accepts), "emits": _lists(build.manifest.emits),
            }
            for build in known.builds
        ]  # fmt: skip
        print_json(listed)
    else:
        rows = [
            (build.manifest.agent, build.manifest.build, build.state, build.instances or "", build.since)
            for build in known.builds
        ]
        out.print(table("deployments", ("agent", "build", "state", "workers", "since"), rows))
    for worker, why in known.unreadable:
        said = f"the live worker {printable(worker, 200)} announces no manifest: {why}"
        err.print(f"coordinator: {said}", markup=False, soft_wrap=True)


COMMANDS: tuple[click.Command, ...] = (
    manifest,
    can_i_deploy,
    record_deployment,
    withdraw,
    list_deployments,
)
"""What belongs to the group ``contracts``."""


@contextmanager
def _deployments(what: str) -> Iterator[tuple[Settings, Deployments]]:
    """Journal and store for one command. Raises :class:`~handoffs.coordinator.errors.ServerError` where none are set."""
    settings = load()
    configure(settings.log_level)
    refuse_embedded(settings, what)
    with open_deployments(settings) as deployments:
        yield settings, deployments


def _given(settings: Settings, agent: str, file: Path | None, build: str = "") -> Manifest:
    """The manifest in a file, or of the loaded code."""
    if file is None:
        return _made(settings, agent, build)
    if build:
        raise click.UsageError("give --manifest or --build: a manifest names its build")
    shown = printable(file, 200)
    try:
        found = Manifest.from_json(strictjson.loads(file.read_bytes(), _LIMITS))
    except OSError as error:
        raise _Malformed(f"{shown} cannot be read: {error.strerror}") from None
    except (InvalidInput, InvalidManifest) as error:
        raise _Malformed(f"{shown}: {error}") from None
    if found.agent != agent:
        raise _Malformed(f"{shown} is the manifest of {found.agent}, not of {printable(agent, 120)}")
    return found


def _made(settings: Settings, name: str, build: str) -> Manifest:
    agents = load_modules(settings.agents).agents
    if name not in agents:
        raise LoadError(
            f"there is no agent called {printable(name, 120)!r}",
            f"loaded are: {', '.join(sorted(agents)) or 'none'}",
            "name the module that declares it in COORDINATOR_AGENTS",
        )
    versions = Versions(lookup=open_registry(Path(settings.contracts_folder)).known)
    for agent in agents.values():
        versions.know(agent.accepts)
        versions.know(agent.emits)
    queue = Topology.of(settings).queue_name(name)
    try:
        return manifest_of(agents[name], versions, queue=queue, build=build)
    except InvalidManifest as error:
        raise _Malformed(str(error)) from None


def _lists(named: Any) -> dict[str, list[int]]:
    return {name: list(versions) for name, versions in named.items()}
