"""``coordinator contracts docs``: documents on contracts, agents, queues and flows."""

from __future__ import annotations

from pathlib import Path

import click

from handoffs.contracts.registry.registry import open_registry
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.docs.files import write
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.render.console import out, print_json, table

_WHAT = {
    "asyncapi.json": "AsyncAPI 3.0, for programs",
    "catalogue.html": "one page, for a browser",
    "catalogue.md": "the same in Markdown",
}


@click.command("docs", short_help="Write documents: who says what to whom.")
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default="catalogue",
    show_default=True,
    metavar="FOLDER",
    help="Where to write; it is made where it does not exist.",
)
@json_option
def docs(folder: Path, as_json: bool) -> None:
    """Write documents on who says what to whom: contracts, agents, queues and flows.

    \b
    asyncapi.json    AsyncAPI 3.0, for programs
    catalogue.html   one page that needs nothing else, for a browser
    catalogue.md     the same in Markdown, flows as Mermaid diagrams

    They tell of what COORDINATOR_AGENTS loads. The same code and settings always give the same files, so they can be
    committed and compared. No server is asked. A broker is named where COORDINATOR_BROKER_URL is set, without user and
    password.
    """
    settings = settings_of_command()
    landscape = gather(
        load_modules(settings.agents), settings, open_registry(Path(settings.contracts_folder))
    )
    files = write(landscape, folder)
    if as_json:
        print_json(
            {
                "files": [str(file) for file in files],
                "contracts": [contract.name for contract in landscape.contracts],
                "agents": [agent.name for agent in landscape.agents],
                "flows": [flow.name for flow in landscape.flows],
            }
        )
        return
    out.print(table("documents", ("file", "what"), [(file, _WHAT[file.name]) for file in files]))
