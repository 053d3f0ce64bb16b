"""`coordinator events unheard`, `replay` and `forget`: the events that no agent subscribes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Group

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.options import (
    Command,
    by_option,
    json_option,
    limit_option,
    reason_option,
    yes_option,
)
from handoffs.coordinator.cli.parameters import Count
from handoffs.coordinator.cli.replay import print_replayed, replayed
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.history import now
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.render.console import out, print_json, say, table


def _chosen(command: Command) -> Command:
    """Of which contracts, and whether to ask."""
    command = yes_option(command)
    command = click.option("--all", "everything", is_flag=True, help="Those of every contract.")(command)
    return click.argument("contract", default="")(command)


@click.command("unheard")
@click.option("--contract", default="", help="Only of this contract.")
@limit_option("the oldest first")
@json_option
def unheard_events(contract: str, limit: int, as_json: bool) -> None:
    """The events that had no subscriber, counted by contract and listed. They are kept until they are replayed
    or forgotten."""
    with on_servers("listing unheard events") as coordinator:
        counts = coordinator.journal.letters.count_unheard(contract)
        listed = coordinator.dead_letters(state="unheard", contract=contract, limit=limit) if limit else []
    total = sum(counts.values())
    if as_json:
        print_json({"counts": counts, "events": [_event_json(letter) for letter in listed]})
        return
    out.print(_counted(f"unheard: {total}", counts))
    if listed:
        rows = [(letter.id, letter.contract, letter.run, moment(letter.first_failed_at)) for letter in listed]
        title = "the oldest" if len(listed) < total else "all of them"
        out.print(table(title, ("event", "contract", "story", "since"), rows))


@click.command("replay")
@_chosen
@reason_option
@by_option
@json_option
def replay_events(contract: str, everything: bool, yes: bool, why: str, by: str, as_json: bool) -> None:
    """Emit the unheard events of CONTRACT again, to those who subscribe to it by now; or with --all those of every contract.

    What is still not heard is kept again. Exit status: 0 all were emitted, 3 some were refused.
    """
    _check_choice(contract, everything, yes, as_json)
    with on_servers("replaying unheard events") as coordinator:
        counts = coordinator.journal.letters.count_unheard(contract)
        letters = coordinator.journal.letters.ids(state="unheard", contract=contract, until=now())
        if counts and not yes:
            _confirm_replay(coordinator, counts)
        outcome = replayed(coordinator.desk, letters, sum(counts.values()), by=by, why=why)
    print_replayed(outcome, noun="event", as_json=as_json)


@click.command("forget")
@_chosen
@click.option(
    "--days", type=Count(0, 36_500), default=0, help="Only those that have lain for that many days."
)
@reason_option
@by_option
@json_option
def forget_events(
    contract: str, everything: bool, days: int, yes: bool, why: str, by: str, as_json: bool
) -> None:
    """Drop the unheard events of CONTRACT for good; or with --all those of every contract.

    What their emitters did stays in the history, and `coordinator actions list` has who dropped them, and why. Nothing else is
    ever dropped: what is parked waits until it is replayed, skipped, or its run is given up.
    \f

    Many parameters because each is an option of the command.
    """
    _check_choice(contract, everything, yes, as_json)
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds") if days else ""
    with on_servers("forgetting unheard events") as coordinator:
        letters = coordinator.journal.letters
        counts = letters.count_unheard(contract, before)
        if counts and not yes:
            out.print(_counted("to be dropped", counts))
            click.confirm(f"Drop {sum(counts.values())} events for good?", abort=True)
        dropped = letters.forget_unheard(contract, before, by=by, why=why) if counts else 0
    if as_json:
        print_json({"forgotten": dropped})
    else:
        say(f"{dropped} forgotten")


def _check_choice(contract: str, everything: bool, yes: bool, as_json: bool) -> None:
    """Raise :class:`click.UsageError` where it is not clear which events are meant, or where a question could not be asked."""
    if bool(contract) == everything:
        raise click.UsageError("name a CONTRACT, or say --all")
    if as_json and not yes:
        raise click.UsageError("--json does not ask: say --yes too")


def _confirm_replay(coordinator: Coordinator, counts: Mapping[str, int]) -> None:
    """Show who would hear them, and ask. Raises :class:`click.Abort` where the answer is no."""
    names: Counter[str] = Counter()
    for ref, count in counts.items():
        names[ref.partition("/")[0]] += count
    for name, count in sorted(names.items()):
        subscribers = coordinator.engine.negotiator.subscribers(name)
        whom = ", ".join(subscribers) or "nobody subscribes to it yet: they will be kept again"
        say(f"{count} of {printable(name, 120)}: {printable(whom, 1000)}")
    click.confirm(f"Emit {sum(counts.values())} again?", abort=True)


def _counted(title: str, counts: Mapping[str, int]) -> Group:
    return table(title, ("event", "count"), [(name, str(count)) for name, count in counts.items()])


def _event_json(letter: Letter) -> dict[str, Any]:
    return {
        "event": letter.id, "contract": letter.contract, "story": letter.run, "since": letter.first_failed_at,
        "times": letter.times, "replays": letter.replays,
    }  # fmt: skip
