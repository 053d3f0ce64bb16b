"""`coordinator demo`: a reference system at work."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from handoffs.contracts.text import quoted
from handoffs.coordinator.cli.console import PORT, console_server
from handoffs.coordinator.cli.opening import announce
from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.parameters import Amount, Count
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.loading import imported
from handoffs.coordinator.render.console import tell

_SYSTEMS = "handoffs.tasks"


@click.command("demo")
@click.argument("system")
@click.option("--seconds", type=Amount(3, 3600), help="How long it is to take (rides: 20).")
@click.option("--rate", type=Amount(0.1, 1000), help="How many requests are made in a second (rides: 10).")
@click.option(
    "--input",
    "file",
    type=click.Path(path_type=Path),
    help="A JSON Lines file of ride requests (rides: made).",
)
@click.option("--titles", type=Count(1, 100_000), help="How many titles at once (media: 50).")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="A new folder for the files (media: gone in the end).",
)
@click.option(
    "--running",
    is_flag=True,
    default=None,
    help="On servers: with the workers that run there already, such as those of docker compose (rides, media).",
)
@click.option(
    "--film",
    metavar="JSON",
    help="With --running: the film in their object store, as handoffs.tasks.media.upload prints it there (media).",
)
@click.option(
    "--console",
    "with_console",
    is_flag=True,
    help="Open the console beside it, and keep all of it until Ctrl-C.",
)
@click.option(
    "--port", type=Count(0, 65535), default=PORT, show_default=True, help="With --console: where it listens."
)
@json_option
def demo(system: str, as_json: bool, with_console: bool, port: int, **options: Any) -> None:
    """Show a reference SYSTEM at work: payments, rides, or media.

    payments: a thousand payments, the ledger down for some; what is parked is replayed until every run has ended.

    rides: the ETA fleet is stopped for a while and comes back slow; dispatch goes on within its budgets. On servers it
    starts workers of its own, in a namespace of its own.

    media: one title, transcoded for real where ffmpeg is installed, agent by agent; then many titles at once, every rendition
    counted. On servers it starts fleets of its own, in a namespace of its own.

    On what `make up` has started, make demo-up SYSTEM=... says all that is needed.
    """
    module = find_demo(system)
    given = {name: value for name, value in options.items() if value is not None}
    for name in given.keys() - inspect.signature(module.run).parameters.keys():
        raise click.UsageError(f"the demo of {system} has no --{'input' if name == 'file' else name}")
    if given and not as_json:  # alone, it was told before this was loaded
        announce(system)
    with opened(quiet=True, recorded=True) as coordinator:
        if not with_console:
            module.run(coordinator, as_json=as_json, **given)
            return
        with console_server(coordinator, "127.0.0.1", port).beside() as url:
            tell(f"coordinator: console at {url}")
            module.run(coordinator, as_json=as_json, **given)
            for line in left_to_try(coordinator, module, url):
                tell(line)
            tell(f"coordinator: the demo is over; the console at {url} stays until Ctrl-C")
            threading.Event().wait()


def left_to_try(coordinator: Coordinator, module: Any, url: str) -> Iterator[str]:
    """What there is to try in the console at ``url``, in a line each: a demo that has ``leave`` leaves a run that is parked."""
    if hasattr(module, "leave"):
        run = module.leave(coordinator)
        for letter in run.letters():
            yield f"coordinator: one run is left parked: {letter.agent} failed with {letter.error}, and would not any more"
            yield f"coordinator: try it: {url}/dead-letters/{quote(letter.id, safe='')} (press Replay), then {url}/runs/{run.id}"
        return
    for letter in coordinator.letters_page(limit=1).letters:
        yield f"coordinator: a dead letter waits: {url}/dead-letters/{quote(letter.id, safe='')}"
    for one in coordinator.runs(limit=1):
        yield f"coordinator: try: {url}/runs/{one.id} (what a run did, step by step), {url}/map, {url}/now"


def find_demo(system: str) -> Any:
    """The module that shows a reference system: ``handoffs.tasks.<system>.demo``.

    Raises :class:`~handoffs.coordinator.errors.LoadError` where there is no demo of that name, or it fails on import.
    """
    name = f"{_SYSTEMS}.{system}.demo"
    if not system.isidentifier() or importlib.util.find_spec(_SYSTEMS) is None or not _exists(name):
        raise LoadError(
            f"there is no demo called {quoted(system, 40)}", remedy=f"there are: {', '.join(_demos())}"
        )
    return imported(name)


def _demos() -> list[str]:
    systems = importlib.util.find_spec(_SYSTEMS)
    folders = systems.submodule_search_locations if systems else None
    return [found.name for found in pkgutil.iter_modules(folders) if _exists(f"{_SYSTEMS}.{found.name}.demo")]


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:  # of a package that it needs: its import says which
        return not f"{error.name}.".startswith(f"{_SYSTEMS}.")
