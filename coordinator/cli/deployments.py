"""The commands on deployments: manifests of builds, what is deployed, and whether a new build may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from handoffs.config.settings import Settings
from handoffs.contracts.text import printable
from handoffs.coordinator.cli.decision import show
from handoffs.coordinator.cli.manifests import given_manifest, manifest
from handoffs.coordinator.cli.options import build_option, by_option, json_option, reason_option
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.deployment.deployments import Deployments, open_deployments
from handoffs.coordinator.observe.decided import decided
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import out, print_json, say, table, tell
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded

_agent = click.argument("agent")
_file = click.option(
    "--manifest", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="The manifest of the build; by default it is made from the loaded code.",
)  # fmt: skip


@click.command("can-i-deploy", short_help="Whether a new build goes with what is there.")
@_agent
@_file
@json_option
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
        new = given_manifest(settings, agent, file)
        found = deployments.outstanding(agent)
        decision = deployments.judge(new, found)
    if as_json:
        print_json(decided(decision, found))
    else:
        show(decision, found)
    if not decision.ok:
        raise click.exceptions.Exit(1)


@click.command("record-deployment", short_help="Record that a build is deployed.")
@_agent
@_file
@build_option
@reason_option
@by_option
def record_deployment(agent: str, file: Path | None, build: str, why: str, by: str) -> None:
    """Record that a build of AGENT is deployed. From then on others are held to it, until it is withdrawn.

    Exit status: 0 recorded, or recorded before; 2 the manifest is malformed; 1 it could not be recorded.
    """
    with _deployments("recording a deployment") as (settings, deployments):
        made = given_manifest(settings, agent, file, build)
        new = deployments.record(made, by, why)
    say(f"{made}: {'recorded as deployed' if new else 'was recorded already'}")


@click.command("withdraw", short_help="Record that a build is deployed no more.")
@_agent
@click.option(
    "--build", default="", help="Which build, or how its name begins; not needed where there is only one."
)
@reason_option
@by_option
def withdraw(agent: str, build: str, why: str, by: str) -> None:
    """Record that a build of AGENT is not deployed any more. It stays known as the one that a rollback returns to."""
    with _deployments("withdrawing a deployment") as (_, deployments):
        gone = deployments.withdraw(agent, build, by, why)
    say(f"{agent} build {gone}: withdrawn")


@click.command("deployments", short_help="Which builds are live or recorded.")
@json_option
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
            (
                build.manifest.agent,
                build.manifest.build,
                build.state,
                build.instances or "",
                moment(build.since),
            )
            for build in known.builds
        ]
        out.print(table("deployments", ("agent", "build", "state", "workers", "since"), rows))
    for worker, why in known.unreadable:
        note = f"the live worker {printable(worker, 200)} announces no manifest: {why}"
        tell(f"coordinator: {note}")


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
    settings = settings_of_command()
    refuse_embedded(settings, what)
    with open_deployments(settings) as deployments:
        yield settings, deployments


def _lists(named: Any) -> dict[str, list[int]]:
    return {name: list(versions) for name, versions in named.items()}
