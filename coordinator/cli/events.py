"""`coordinator events`: who emits and who hears what, the events without a subscriber, and emitting one."""

from __future__ import annotations

from typing import Any

import click

from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.text import printable, quoted
from handoffs.contracts.versions import parts
from handoffs.coordinator.cli.exits import UNFINISHED
from handoffs.coordinator.cli.map import survey
from handoffs.coordinator.cli.options import json_option, no_wait_option, payload_option, timeout_option
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.cli.unheard import forget_events, replay_events, unheard_events
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.events import known_events
from handoffs.coordinator.observe.topology import MapEvent, event_json
from handoffs.coordinator.render.console import out, print_json, say, table
from handoffs.coordinator.render.trace_report import print_trace
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded


@click.group()
def events() -> None:
    """Look at events: who emits and hears them, which ones have no subscriber; emit one.

    \b
    coordinator events list                                         who emits and hears what
    coordinator events emit media.title-uploaded --payload @title.json
    coordinator events unheard                                      what had no subscriber
    coordinator events replay media.title-uploaded                  send those out again
    coordinator events forget media.title-uploaded --days 30        or drop them
    """


for _command in (unheard_events, replay_events, forget_events):
    events.add_command(_command)


@events.command("list")
@json_option
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


@events.command("emit")
@click.argument("contract")
@payload_option("The event's data")
@click.option("--key", help="The idempotency key; by default the event's own.")
@timeout_option("what it leads to")
@no_wait_option("when the broker has it")
@json_option
def emit_event(
    contract: str, payload: dict[str, Any], key: str | None, timeout: float, no_wait: bool, as_json: bool
) -> None:
    """Emit an event of CONTRACT, a contract that a loaded agent or flow accepts or emits, and show the story that it began.

    The same event is emitted once, however often it is asked for. Exit status: 0 the story has ended, 3 it has not, or something
    in it is parked, 1 nothing was emitted.
    """
    with opened(quiet=True, recorded=True) as coordinator:
        if no_wait:
            refuse_embedded(coordinator.settings, "--no-wait")
        try:
            event = _contract(coordinator, contract).from_data(payload)
        except InvalidInput as error:
            raise click.UsageError(str(error)) from None
        story = coordinator.emit(event, idempotency_key=key)
        if not no_wait:
            story.wait(timeout)
        status = story.status()
        _print_story(coordinator, story, status, as_json)
    if not no_wait and status != "completed":
        raise click.exceptions.Exit(UNFINISHED)


def _print_story(coordinator: Coordinator, story: Run, status: str, as_json: bool) -> None:
    found = coordinator.trace(story.id)
    if as_json:
        print_json({"story": story.id, "created": story.created, "status": status, "trace": found.to_json()})
        return
    print_trace(found)
    say(f"story {story.id}{'' if story.created else ', which was there'}: {status}")


def _contract(coordinator: Coordinator, name: str) -> type[Contract]:
    """The contract of that name, or ``name/version``, among those that the loaded agents and flows use."""
    definitions = coordinator.flows
    known: dict[str, type[Contract]] = {}
    for agent in definitions.agents.values():
        for contract in (agent.accepts, agent.emits, *agent.events, *parts(agent.accepts)):
            known.setdefault(contract.ref().name, contract)
    for flow in definitions.flows.values():
        known.setdefault(flow.accepts.ref().name, flow.accepts)
    wanted, _, version = name.partition("/")
    found = known.get(wanted)
    if found is None:
        there = (
            ", ".join(sorted(known_events(definitions.agents.values(), definitions.flows.values()))) or "none"
        )
        raise LoadError(
            f"there is no contract called {quoted(wanted, 120)}",
            f"nothing was emitted; the events that are known here: {printable(there, 1000)}",
            "name the module of an agent that accepts or emits it in COORDINATOR_AGENTS",
        )
    if version and version != str(found.ref().version):
        raise InvalidData(
            f"{printable(wanted, 120)} is loaded in version {found.ref().version}, not {printable(version, 20)}",
            "nothing was emitted",
            "emit the version that is loaded: readers of an older one get it in theirs",
        )
    return found


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
