"""Sayings: the short phrases that the page and the Markdown have in common."""

from __future__ import annotations

from collections.abc import Iterable

from coordinator.catalogue.envelope import ATTRIBUTES
from coordinator.catalogue.model import AgentEntry, ContractEntry, Field, Migration, Party, QueueEntry

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


def required(field: Field) -> str:
    """``yes``, ``no``, or ``no: "EUR"`` with the default."""
    if field.required:
        return "yes"
    return f"no: {field.default}" if field.default and field.default != "null" else "no"


def marks(field: Field) -> tuple[str, ...]:
    """The words that mark a field."""
    marked = {"key": field.key, "sensitive": field.sensitive, "untrusted": field.untrusted}
    return tuple(word for word, holds in marked.items() if holds)


NOBODY = "nobody that is loaded"
"""Who produces or consumes a contract that no agent and no flow has anything to do with."""


def migration(step: Migration) -> str:
    """``downcast 2 to 1 loses: the score``."""
    lost = f"loses: {step.lossy}" if step.lossy else "loses nothing" if step.word == "downcast" else ""
    return f"{step.word} {step.source} to {step.target}{', ' if lost else ''}{lost}"


def producers(contract: ContractEntry) -> list[tuple[str, str, str]]:
    """Who writes it, as (kind, name, what): kind is ``agent`` or ``flow``, to link to."""
    rows = [("agent", party.agent, _party(party, "writes")) for party in contract.producers]
    rows += [("flow", flow, "starts with it") for flow in contract.starts]
    return rows + [("flow", flow, "joins its branches into it") for flow in contract.joins]


def consumers(contract: ContractEntry) -> list[tuple[str, str, str]]:
    """Who reads it, in the same form."""
    rows = [("agent", party.agent, _party(party, "reads")) for party in contract.consumers]
    return rows + [("flow", flow, "ends with it") for flow in contract.ends]


def effort(agent: AgentEntry) -> str:
    """How often and how long an agent tries."""
    tries = f"{agent.attempts} attempt{'s' if agent.attempts != 1 else ''}"
    return tries if agent.time_limit is None else f"{tries} of at most {agent.time_limit:g} seconds each"


def queue(found: QueueEntry) -> str:
    """What a queue is for."""
    return f"work of {found.agent}" if found.agent else "dead letters"


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
