"""`coordinator new`: a project of one's own, to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.project.writing import write_project
from handoffs.coordinator.render.console import out, print_json, say, table

_WHAT = {
    "contracts.py": "what the agents say to one another",
    "agents.py": "the agents; one of them hears an event",
    "flow.py": "the flow: a compensation, a budget with a fallback, an approval",
    "__main__.py": "three orders, in one process",
    "test_flow.py": "tests of the flow, without a server",
    "compose.yaml": "servers, workers, the coordinator process and Flower",
    "Makefile": "make alone lists what there is",
}


@click.command("new", short_help="Write a small project that runs.")
@click.argument("name")
@click.option(
    "--directory",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where to write: a folder that is made, or that is empty. By default one called NAME.",
)
@json_option
def new(name: str, folder: Path | None, as_json: bool) -> None:
    """Write a small project called NAME that runs, and whose tests pass, at once.

    It has contracts, agents, a flow that waits for an approval, an event and who hears it, tests, a workflow for CI, and all that
    docker compose needs to run it on RabbitMQ, Redis and PostgreSQL. NAME is that of its Python package: lower case letters,
    digits and single underscores.

    \b
    coordinator new shop
    cd shop
    make setup test run
    """
    target = folder or Path(name)
    files = write_project(name, target)
    if as_json:
        print_json({"name": name, "folder": str(target), "files": [str(file) for file in files]})
        return
    out.print(table(name, ("file", "what"), [(file, _WHAT.get(file.name, "")) for file in files]))
    say(f"go on with: cd {printable(target, 200)}, make setup, make test, make run")
