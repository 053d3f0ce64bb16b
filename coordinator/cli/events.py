"""`coordinator events`: who emits and who hears what, the events that nobody heard, and emitting one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from handoffs.config.user import current_user
from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import CoordinationError, InvalidData, InvalidInput
from handoffs.contracts.text import printable
from handoffs.contracts.versions import parts
from handoffs.coordinator.cli.map import survey
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.events import known_events
from handoffs.coordinator.letters.desk import Letter
from handoffs.coordinator.observe.topology import MapEvent, event_json
from handoffs.coordinator.render.console import bar, err, out, print_json, table
from handoffs.coordinator.render.trace_report import print_trace
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded

_UNFINISHED = 3
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@click.group()
def events() -> None:
    """Look at events: who emits and hears them, which ones nobody heard; emit one.

    \b
    coordinator events list                                         who emits and hears what
    coordinator events emit media.title-uploaded --payload @title.json
    coordinator events unheard                                      what nobody heard
    coordinator events replay media.title-uploaded                  send those out again
    coordinator events forget media.title-uploaded --days 30        or drop them
    """


@events.command("list")
@_json
def list_events(as_json: bool) -> None:
    """Events by contract: who emits them and who hears them, as far as it is loaded here, announced or deployed."""
    with opened() as coordinator:
        atlas = survey(coordinator)
    if as_json:
        print_json([event_json(event) for event in atlas.events])
        return
    columns = ("event", "emitted by", "heard by", "unheard")
    rows = [(_named(event), _emitters(event), _ears(event), str(event.unheard)) for event in atlas.events]
    out.print(table(f"events: {len(rows)}", columns, rows))


@events.command("unheard")
@click.option("--contract", default="", help="Only of this contract.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="How many to list, the oldest first.",
)
@_json
def unheard_events(contract: str, limit: int, as_json: bool) -> None:
    """The events that nobody heard, counted by contract and listed. They are kept until they are replayed
    or forgotten."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "listing unheard events")
        counts = coordinator.journal.letters.count_unheard(contract)
        listed = coordinator.dead_letters(state="unheard", contract=contract, limit=limit) if limit else []
    total = sum(counts.values())
    if as_json:
        print_json({"counts": counts, "events": [_shown(letter) for letter in listed]})
        return
    out.print(
        table(
            f"unheard: {total}",
            ("event", "count"),
            [(name, str(count)) for name, count in counts.items()],
        )
    )
    if listed:
        rows = [(letter.id, letter.contract, letter.run, letter.first_failed_at) for letter in listed]
        title = "the oldest" if len(listed) < total else "all of them"
        out.print(table(title, ("event", "contract", "story", "since"), rows))


@events.command("replay")
@click.argument("contract", default="")
@click.option("--all", "everything", is_flag=True, help="Those of every contract.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def replay_events(contract: str, everything: bool, yes: bool, as_json: bool) -> None:
    """Emit the unheard events of CONTRACT again, to those who subscribe to it by now; or with --all those of every contract.

    What is still not heard is kept again. Exit status: 0 all were emitted, 3 some were refused.
    """
    if bool(contract) == everything:
        raise click.UsageError("name a CONTRACT, or say --all")
    if as_json and not yes:
        raise click.UsageError("--json does not ask: say --yes too")
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "replaying unheard events")
        letters = list(coordinator.journal.letters.ids(state="unheard", contract=contract))
        if letters and not yes:
            _agreed(coordinator, coordinator.journal.letters.count_unheard(contract))
        done, refused = [], []
        with bar() as progress:
            for letter in progress.track(letters, description="replaying"):
                try:
                    coordinator.desk.replay(letter)
                    done.append(letter)
                except CoordinationError as error:
                    refused.append({"event": letter, "reason": str(error)})
    if as_json:
        print_json({"replayed": done, "refused": refused})
    else:
        out.print(f"{len(done)} replayed")
        for refusal in refused:
            err.print(f"{refusal['event']}: {printable(refusal['reason'])}", markup=False, soft_wrap=True)
    if refused:
        raise click.exceptions.Exit(_UNFINISHED)


@events.command("forget")
@click.argument("contract", default="")
@click.option("--all", "everything", is_flag=True, help="Those of every contract.")
@click.option(
    "--days", type=click.IntRange(0, 36_500), default=0, help="Only those that have lain for that many days."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def forget_events(contract: str, everything: bool, days: int, yes: bool, as_json: bool) -> None:
    """Drop the unheard events of CONTRACT for good; or with --all those of every contract.

    What their emitters did stays in the history, and the journal keeps who dropped them. Nothing else is ever dropped: what
    is parked waits until it is replayed, skipped, or its run is given up.
    """
    if bool(contract) == everything:
        raise click.UsageError("name a CONTRACT, or say --all")
    if as_json and not yes:
        raise click.UsageError("--json does not ask: say --yes too")
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds") if days else ""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "forgetting unheard events")
        journal = coordinator.journal
        counts = journal.letters.count_unheard(contract, before)
        if counts and not yes:
            out.print(
                table("to be dropped", ("event", "count"), [(name, str(n)) for name, n in counts.items()])
            )
            click.confirm(f"Drop {sum(counts.values())} events for good?", abort=True)
        dropped = journal.letters.forget_unheard(contract, before, by=current_user()) if counts else 0
    if as_json:
        print_json({"forgotten": dropped})
    else:
        out.print(f"{dropped} forgotten")


@events.command("emit")
@click.argument("contract")
@click.option(
    "--payload",
    required=True,
    metavar="JSON|@FILE",
    help="The event's data, as a JSON object or a file of one.",
)
@click.option("--key", help="The idempotency key; by default the event's own.")
@click.option(
    "--timeout", type=float, default=300.0, show_default=True, help="Seconds to wait for what it leads to."
)
@click.option("--no-wait", is_flag=True, help="Return when the broker has it (needs servers).")
@_json
def emit_event(
    contract: str, payload: str, key: str | None, timeout: float, no_wait: bool, as_json: bool
) -> None:
    """Emit an event of CONTRACT, a contract that a loaded agent or flow accepts or emits, and show the story that it began.

    The same event is emitted once, whoever emits it again. Exit status: 0 the story has ended, 3 it has not, or something
    in it is parked, 1 nothing was emitted.
    """
    with opened(quiet=True) as coordinator:
        if no_wait:
            refuse_embedded(coordinator.settings, "--no-wait")
        try:
            event = _contract(coordinator, contract).from_data(strictjson.loads(_text(payload)))
        except InvalidInput as error:
            raise click.UsageError(str(error)) from None
        story = coordinator.emit(event, idempotency_key=key)
        if not no_wait:
            story.wait(timeout)
        status = story.status()
        _print_story(coordinator, story, status, as_json)
    if not no_wait and status != "completed":
        raise click.exceptions.Exit(_UNFINISHED)


def _print_story(coordinator: Coordinator, story: Run, status: str, as_json: bool) -> None:
    found = coordinator.trace(story.id)
    if as_json:
        print_json({"story": story.id, "created": story.created, "status": status, "trace": found.to_json()})
        return
    print_trace(found)
    out.print(f"story {story.id}{'' if story.created else ', which was there'}: {status}", soft_wrap=True)


def _contract(coordinator: Coordinator, name: str) -> type[Contract]:
    """The contract of that name, or ``name/version``, among those that the loaded agents and flows use."""
    definitions = coordinator.flows
    known: dict[str, type[Contract]] = {}
    for agent in definitions.agents.values():
        for contract in (agent.accepts, agent.emits, *agent.events, *parts(agent.accepts)):
            known.setdefault(contract.ref().name, contract)
    for flow in definitions.flows.values():
        known.setdefault(flow.accepts.ref().name, flow.accepts)
    said, _, version = name.partition("/")
    found = known.get(said)
    if found is None:
        there = (
            ", ".join(sorted(known_events(definitions.agents.values(), definitions.flows.values()))) or "none"
        )
        raise LoadError(
            f"there is no contract called {printable(said, 120)!r}",
            f"nothing was emitted; the events that are known here: {printable(there, 1000)}",
            "name the module of an agent that accepts or emits it in COORDINATOR_AGENTS",
        )
    if version and version != str(found.ref().version):
        raise InvalidData(
            f"{printable(said, 120)} is loaded in version {found.ref().version}, not {printable(version, 20)}",
            "nothing was emitted",
            "emit the version that is loaded: readers of an older one get it in theirs",
        )
    return found


def _text(payload: str) -> str:
    if not payload.startswith("@"):
        return payload
    try:
        return Path(payload[1:]).read_text("utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.UsageError(f"{printable(payload[1:], 200)} cannot be read: {why}") from None


def _agreed(coordinator: Coordinator, counts: Mapping[str, int]) -> None:
    """Ask, and say what would come of it. Raises :class:`click.Abort` where the answer is no."""
    names: Counter[str] = Counter()
    for ref, count in counts.items():
        names[ref.partition("/")[0]] += count
    for name, count in sorted(names.items()):
        ears = coordinator.engine.negotiator.subscribers(name)
        whom = ", ".join(ears) if ears else "nobody subscribes to it yet: they will be kept again"
        out.print(f"{count} of {printable(name, 120)}: {printable(whom, 1000)}", markup=False, soft_wrap=True)
    click.confirm(f"Emit {sum(counts.values())} again?", abort=True)


def _shown(letter: Letter) -> dict[str, Any]:
    row = letter.row
    return {
        "event": row.id, "contract": row.contract, "story": row.run, "since": row.first_failed_at, "times": row.times,
        "replays": row.replays,
    }  # fmt: skip


def _named(event: MapEvent) -> str:
    return f"{event.contract}/{','.join(map(str, event.versions))}" if event.versions else event.contract


def _emitters(event: MapEvent) -> str:
    return ", ".join([*event.agents, *(f"flow {name}" for name in event.flows)]) or "whoever emits it"


def _ears(event: MapEvent) -> str:
    ears = [
        subscriber.agent
        if subscriber.pattern == event.contract
        else f"{subscriber.agent} ({subscriber.pattern})"
        for subscriber in event.subscribers
    ]
    return ", ".join(dict.fromkeys(ears)) or "nobody"
