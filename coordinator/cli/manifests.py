"""`coordinator contracts manifest`, and the manifest that other commands are given."""

from __future__ import annotations

import json
from pathlib import Path

import click

from handoffs.config.settings import Settings
from handoffs.config.topology import Topology
from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.registry.registry import open_registry
from handoffs.contracts.text import escaped_json, printable, quoted
from handoffs.contracts.versions import Versions
from handoffs.coordinator.cli.exits import Malformed
from handoffs.coordinator.cli.files import read_json
from handoffs.coordinator.cli.options import build_option
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.flow.manifest import manifest_of
from handoffs.coordinator.render.console import print_json, tell


@click.command("manifest", short_help="Which versions a build reads and writes.")
@click.argument("agent")
@build_option
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there instead.")
def manifest(agent: str, build: str, output: Path | None) -> None:
    """Print the manifest of AGENT as JSON: which contract versions its code reads and writes.

    Keep it with the build: it is what can-i-deploy and record-deployment take where the code is not at hand.
    """
    found = made_manifest(settings_of_command(), agent, build)
    if output is None:
        print_json(found.to_json())
        return
    try:
        output.write_text(
            escaped_json(json.dumps(found.to_json(), ensure_ascii=False, indent=2)) + "\n", "utf-8"
        )
    except OSError as error:
        raise click.ClickException(f"{printable(output, 200)} cannot be written: {error.strerror}") from None
    tell(f"coordinator: {found} is in {printable(output, 200)}")


def given_manifest(settings: Settings, agent: str, file: Path | None, build: str = "") -> Manifest:
    """The manifest in a file, or of the loaded code.

    Raises :class:`~handoffs.coordinator.cli.exits.Malformed` where it is none, or another agent's, and
    :class:`~handoffs.coordinator.errors.LoadError` where the agent is not loaded.
    """
    if file is None:
        return made_manifest(settings, agent, build)
    if build:
        raise click.UsageError("give --manifest or --build: a manifest names its build")
    shown = printable(file, 200)
    try:
        found = Manifest.from_json(read_json(file))
    except InvalidManifest as error:
        raise Malformed(f"{shown}: {error}") from None
    if found.agent != agent:
        raise Malformed(f"{shown} is the manifest of {found.agent}, not of {printable(agent, 120)}")
    return found


def made_manifest(settings: Settings, name: str, build: str) -> Manifest:
    """The manifest of the loaded code of an agent. Raises as :func:`given_manifest` does."""
    agents = load_modules(settings.agents).agents
    if name not in agents:
        raise LoadError(
            f"there is no agent called {quoted(name, 120)}",
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
        raise Malformed(str(error)) from None
