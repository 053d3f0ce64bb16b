"""`coordinator trace`: a whole story as a tree."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import click

from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import UnknownRun
from handoffs.coordinator.render.console import print_json
from handoffs.coordinator.render.trace_report import print_trace


@click.command("trace", short_help="A whole story as a tree: who emitted what, and what became of it.")
@click.argument("correlation_id", metavar="CORRELATION-ID")
@click.option("--all", "everything", is_flag=True, help="A line for everything, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a flat list of nodes with their parents.")
def trace(correlation_id: str, everything: bool, as_json: bool) -> None:
    """The story of CORRELATION-ID as a tree: who emitted what, who heard it, and what became of that.

    The id is the one that emitting gave, or that of a run; a run that an event began is shown where it hangs in its story.

    \b
    settled, deduplicated   done; the outcome was known by its key
    gathered                it is in a set that its agent waits for
    passed over             its agent does not want it
    open                    sent, and not done yet
    parked                  it waits in the dead-letter queue; the reason stands below
    unheard                 nobody subscribes to the event: coordinator events unheard

    Many of one kind are one line with their counts; those that are not done stand below it. Times are milliseconds since
    the story began.
    """
    with on_servers("tracing a story") as coordinator, _uncollected():
        try:
            found = coordinator.trace(correlation_id)
        except UnknownRun as unknown:
            found = coordinator.trace(_begins_so(coordinator, correlation_id, unknown))
        if as_json:
            print_json(found.to_json())
        else:
            print_trace(found, everything=everything)


def _begins_so(coordinator: Coordinator, beginning: str, unknown: UnknownRun) -> str:
    """The id of the run or story whose id begins so. Raises :class:`~handoffs.coordinator.errors.UnknownRun` where there is none: as
    ``unknown``, with the ids that begin nearly so."""
    try:
        return coordinator.find_run(beginning).id
    except UnknownRun as error:
        raise UnknownRun(unknown.cause, error.consequence or unknown.consequence, unknown.remedy) from None


@contextmanager
def _uncollected() -> Iterator[None]:
    """A long story is many objects, and none of them is garbage before the command ends: looking for some takes a third of
    the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
