"""Phrases: the short phrases that the page and the Markdown have in common."""

from __future__ import annotations

from collections.abc import Iterable

from handoffs.contracts.event import Nothing
from handoffs.coordinator.docs.envelope import ATTRIBUTES
from handoffs.coordinator.docs.model import (
    AgentEntry,
    ContractEntry,
    FieldEntry,
    Migration,
    Party,
    QueueEntry,
    SubscriptionEntry,
)

TITLE = "Agents and contracts"
ENVELOPE = (
    "Every message is one CloudEvents 1.0 event. Its attributes are the same for all contracts; its data is what the "
    "contract says."
)
ENVELOPE_ROWS = tuple(ATTRIBUTES.items())
FIELD_COLUMNS = ("field", "type", "required", "bounds", "marks")
LEGEND = "key: part of the idempotency key. sensitive: masked everywhere but in the envelope. untrusted: text from outside."


def versions(numbers: Iterable[int]) -> str:
    """``version 2``, or ``versions 2, 1``."""
    shown = [str(number) for number in numbers]
    return f"version{'s' if len(shown) > 1 else ''} {', '.join(shown)}"


def required(field: FieldEntry) -> str:
    """``yes``, ``no``, or ``no: "EUR"`` with the default."""
    if field.required:
        return "yes"
    return f"no: {field.default}" if field.default and field.default != "null" else "no"


def marks(field: FieldEntry) -> tuple[str, ...]:
    """The words that mark a field."""
    marked = {"key": field.key, "sensitive": field.sensitive, "untrusted": field.untrusted}
    return tuple(word for word, holds in marked.items() if holds)


NOBODY = "nobody that is loaded"
"""Who produces or consumes a contract that no agent and no flow has anything to do with."""


OUTSIDE = "whoever emits it"
NO_SUBSCRIBER = "nobody that is loaded"
EVENTS = "An event goes to every agent that subscribes to it, each with a queue of its own; who emits it does not know them."


def emitters(contract: ContractEntry) -> list[tuple[str, str, str]]:
    """Who emits it as an event, as (kind, name, what)."""
    rows = [("agent", party.agent, versions(party.versions)) for party in contract.emitters]
    return rows + [("flow", flow, "in a step of its own") for flow in contract.emitting]


def subscribers(contract: ContractEntry) -> list[tuple[str, str, str]]:
    """Who hears it, in the same form."""
    return [
        (
            "agent",
            entry.agent,
            subscription(entry) if entry.contract else f"{subscription(entry)}, by {entry.pattern}",
        )
        for entry in contract.subscribers
    ]


def only_emits(agent: AgentEntry) -> bool:
    """Whether what an agent returns is events, or nothing at all, and nothing is handed over in a flow."""
    return agent.emits == Nothing.ref() or (agent.emits in agent.emitted and not agent.flows)


def migration(step: Migration) -> str:
    """``downcast 2 to 1 loses: the score``."""
    lost = f"loses: {step.lossy}" if step.lossy else "loses nothing" if step.word == "downcast" else ""
    return f"{step.word} {step.source} to {step.target}{', ' if lost else ''}{lost}"


def producers(contract: ContractEntry) -> list[tuple[str, str, str]]:
    """Who writes it, as (kind, name, what): kind is ``agent`` or ``flow``, to link to."""
    events = {party.agent for party in contract.emitters}
    parties = (party for party in contract.producers if party.within or party.agent not in events)
    rows = [("agent", party.agent, _party(party, "writes")) for party in parties]
    rows += [
        ("agent", party.agent, f"emits {versions(party.versions)} as an event") for party in contract.emitters
    ]
    rows += [("flow", flow, "emits it as an event") for flow in contract.emitting]
    rows += [("flow", flow, "starts with it") for flow in contract.starts]
    return rows + [("flow", flow, "joins its branches into it") for flow in contract.joins]


def consumers(contract: ContractEntry) -> list[tuple[str, str, str]]:
    """Who reads it, in the same form."""
    heard = {entry.agent for entry in contract.subscribers}
    parties = (party for party in contract.consumers if party.agent not in heard)
    rows = [("agent", party.agent, _party(party, "reads")) for party in parties]
    rows += [("agent", entry.agent, subscription_read(entry)) for entry in contract.subscribers]
    return rows + [("flow", flow, "ends with it") for flow in contract.ends]


def subscription_read(entry: SubscriptionEntry) -> str:
    """How an agent hears an event: ``hears version 1 as an event, where amount > 5``."""
    what = f"hears {versions(entry.versions)} as an event" if entry.versions else f"hears {entry.pattern}"
    return f"{what}{_which(entry)}"


def subscription(entry: SubscriptionEntry) -> str:
    """The same where it is said already what is heard: ``version 1, where amount > 5``."""
    return f"{versions(entry.versions) if entry.versions else 'any version'}{_which(entry)}"


def _which(entry: SubscriptionEntry) -> str:
    """Which events it wants, and how they come to it."""
    where = f", where {entry.where}" if entry.where else ""
    gathers = f", {entry.gathers}" if entry.gathers else ""
    return f"{where}{gathers}{', in order' if entry.ordered else ''}"


def pattern(bound: str) -> str:
    """The pattern in a bound like ``matches ^[A-Z]+$``; empty where it is another bound."""
    before, matched, found = bound.partition("matches ")
    return found if matched and not before else ""


def effort(agent: AgentEntry) -> str:
    """How often and how long an agent tries."""
    tries = f"{agent.attempts} attempt{'s' if agent.attempts != 1 else ''}"
    return tries if agent.time_limit is None else f"{tries} of at most {agent.time_limit:g} seconds each"


def queue(found: QueueEntry) -> str:
    """What a queue is for."""
    return f"work of {found.agent}" if found.agent else found.purpose


def counted(number: int, noun: str) -> str:
    """``1 agent``, ``2 agents``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _party(party: Party, verb: str) -> str:
    within = f", in {party.within}" if party.within else ""
    return f"{verb} {versions(party.versions)}{within}"


def queue_kind(found: QueueEntry) -> tuple[str, ...]:
    """How the broker keeps a queue: ``durable``, ``quorum``."""
    kept = "durable" if found.durable else "transient"
    return (kept, str(found.arguments["x-queue-type"])) if "x-queue-type" in found.arguments else (kept,)
