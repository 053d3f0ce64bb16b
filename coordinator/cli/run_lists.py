"""`coordinator runs list` and `coordinator runs find`: runs by what people know of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, get_args

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.options import json_option, limit_option, since_option, until_option
from handoffs.coordinator.cli.parameters import FieldValue
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.cli.unknown_names import tell_of_unknown_names
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.observe.finding import Find
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.observe.run_summary import RunSummary
from handoffs.coordinator.observe.standing import Status
from handoffs.coordinator.observe.words import duration
from handoffs.coordinator.render.console import out, print_json, say, table, tell

_SHOWN = 2
"""Of how many parked steps the list of runs tells."""

_COUNTED = 10_000
"""So many runs are counted, where it is said how many there are."""

_LATE = 5.0
"""Seconds by which the journal may be behind, without a word of it."""


@click.command("list")
@click.option("--flow", default="", help="Only of this flow.")
@click.option(
    "--status",
    type=click.Choice(["waiting", *get_args(Status)]),
    default=None,
    help="Only those that are so now.",
)
@click.option(
    "--key", default="", help="Only the runs of this key: of an order, a customer, as it is listed."
)
@since_option("those that were accepted")
@until_option("those that were accepted")
@click.option(
    "--where",
    type=FieldValue(),
    multiple=True,
    help="Only those that were given, or have made, this value of a searchable field: order=o-17. May be given several times.",
)
@click.option(
    "--error", default="", help="Only those of which a letter waits with this error, or of this kind."
)
@click.option(
    "--waiting", is_flag=True, help="Only those that wait for a signal: coordinator approvals list."
)
@click.option(
    "--failed-at",
    default="",
    metavar="STEP|AGENT",
    help="Only those that are parked at this step, or this agent.",
)
@limit_option("the newest first")
@json_option
def list_runs(
    as_json: bool,
    limit: int,
    status: str | None,
    waiting: bool,
    where: Sequence[tuple[str, str]],
    **chosen: Any,
) -> None:
    """The newest runs, each with the key of its input.

    The status is ``waiting`` where a run waits for a signal, and the last column says for which and since when.

    \b
    coordinator runs list --key o-17                     what became of an order
    coordinator runs list --where customer=c-9           what was given, or has made, such a value
    coordinator runs list --status parked --since 2h     what has failed
    coordinator runs list --failed-at shop.price         and where
    """
    waiting, state = waiting or status == "waiting", "" if status in (None, "waiting") else status
    chosen["where"] = asked = dict(where)
    if len(asked) < len(where):
        raise click.UsageError("--where names a field twice")
    with on_servers("listing runs") as coordinator:
        listed = coordinator.runs(limit=limit, status=state, waiting=waiting, **chosen)
        narrowed = state or waiting or any(chosen.values())
        total = 0 if narrowed or len(listed) < limit else coordinator.journal.runs.count(_COUNTED + 1)
        if not listed and limit:
            tell_of_unknown_names(coordinator, chosen)
        tell_of_lag(coordinator)
    if as_json:
        print_json([run.to_json() for run in listed])
        return
    rows = [(run.id, run.flow, run.key or "-", run.shown, moment(run.started), _of(run)) for run in listed]
    out.print(table("runs", ("run", "flow", "key", "status", "started", ""), rows))
    if total > len(rows):
        there = f"{total:,}" if total <= _COUNTED else f"more than {_COUNTED:,}"
        say(f"the newest {len(rows):,} of {there}: --limit N lists more")
    elif narrowed and len(rows) == limit:
        say(f"the newest {len(rows):,}: --limit N lists more")


def _of(run: RunSummary) -> str:
    """What there is to say of a run beside its status."""
    waits = [f"{wait.words()} since {moment(wait.since) or '?'}" for wait in run.waiting]
    failed = [f"step {one.step} ({one.agent}): {one.kind}: {one.error}" for one in run.parked]
    due = [f"due {moment(run.due)}"] if run.status == "scheduled" and run.due else []
    return "; ".join([*due, *waits, *failed[:_SHOWN], *(["..."] if len(failed) > _SHOWN else [])])


@click.command("find")
@click.argument("text")
@limit_option("what it is exactly first, then the newest", least=1, most=1_000)
@json_option
def find_runs(text: str, limit: int, as_json: bool) -> None:
    """What TEXT is, or is the beginning of, and the runs that belong to it.

    It is looked for among the ids of runs, stories and dead letters, idempotency keys and the values of searchable fields, whole or by how
    they begin; and among the names of flows and agents, the errors and the kinds of letters that wait.

    \b
    coordinator runs find o-17
    """
    with on_servers("listing what is found") as coordinator:
        found = coordinator.search(text, limit=limit)
        tell_of_lag(coordinator)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    rows = [
        (_found_in(one), one.value, one.run, one.flow, one.status, one.letter, moment(one.at))
        for one in found
    ]
    out.print(table("found", ("by", "what", "run", "flow", "status", "letter", "at"), rows))
    if len(rows) == limit:
        say(f"the first {limit:,}: --limit N lists more, a longer text fewer")


def _found_in(one: Find) -> str:
    return f"{one.by} {printable(one.field, 80)}" if one.field else str(one.by)


def tell_of_lag(coordinator: Coordinator) -> None:
    """Say, to standard error, by how much the journal is behind, where that is worth a word."""
    lag = coordinator.lag()
    if lag.seconds > _LATE:
        behind = duration(timedelta(seconds=lag.seconds))
        tell(
            f"coordinator: the journal is {behind} behind ({lag.entries:,} entries): what is newer may be missing; "
            "coordinator serve writes it down"
        )
