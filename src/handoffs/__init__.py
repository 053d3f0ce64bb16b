"""Agents that hand work to one another, over Celery and RabbitMQ: every handoff explicit, every effect taken once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handoffs.contracts.contract import Contract, ContractRef, Key
    from handoffs.contracts.envelope import Envelope
    from handoffs.contracts.errors import CoordinationError
    from handoffs.contracts.event import Event
    from handoffs.contracts.migration import downcast, upcast
    from handoffs.contracts.numbers import ExactDecimal
    from handoffs.contracts.prompt import render_for_prompt
    from handoffs.contracts.searchable import Searchable
    from handoffs.contracts.text import Hygiene, Sensitive, UntrustedText
    from handoffs.coordinator.cases.case import ExportedCase
    from handoffs.coordinator.client.coordinator import Coordinator
    from handoffs.coordinator.client.history import History
    from handoffs.coordinator.client.history_entry import HistoryEntry
    from handoffs.coordinator.client.letters import Letters
    from handoffs.coordinator.client.run import Run
    from handoffs.coordinator.errors import NotOne, Permanent, Transient
    from handoffs.coordinator.flow.agent import Agent, agent
    from handoffs.coordinator.flow.budget import budget, cached, constant
    from handoffs.coordinator.flow.condition import field
    from handoffs.coordinator.flow.context import Context
    from handoffs.coordinator.flow.flow import Flow
    from handoffs.coordinator.flow.lifespan import lifespan
    from handoffs.coordinator.flow.retry import Retry
    from handoffs.coordinator.flow.schedule import Schedule, schedule
    from handoffs.coordinator.flow.signal import wait_for
    from handoffs.coordinator.flow.step import (
        choice,
        compensate,
        delay,
        each,
        emit,
        go_on,
        parallel,
        repeat,
        retrying,
        when,
    )
    from handoffs.coordinator.flow.subscribe import gather, on
    from handoffs.coordinator.flow.usage import Spending, Usage
    from handoffs.coordinator.handoff.failure import FailureKind
    from handoffs.coordinator.history import EntryKind
    from handoffs.coordinator.letters.letter import Letter

_WHERE = {
    "Agent": "handoffs.coordinator.flow.agent",
    "Context": "handoffs.coordinator.flow.context",
    "Contract": "handoffs.contracts.contract",
    "ContractRef": "handoffs.contracts.contract",
    "CoordinationError": "handoffs.contracts.errors",
    "Coordinator": "handoffs.coordinator.client.coordinator",
    "EntryKind": "handoffs.coordinator.history",
    "Envelope": "handoffs.contracts.envelope",
    "Event": "handoffs.contracts.event",
    "ExactDecimal": "handoffs.contracts.numbers",
    "ExportedCase": "handoffs.coordinator.cases.case",
    "FailureKind": "handoffs.coordinator.handoff.failure",
    "Flow": "handoffs.coordinator.flow.flow",
    "History": "handoffs.coordinator.client.history",
    "HistoryEntry": "handoffs.coordinator.client.history_entry",
    "Hygiene": "handoffs.contracts.text",
    "Key": "handoffs.contracts.contract",
    "Letter": "handoffs.coordinator.letters.letter",
    "Letters": "handoffs.coordinator.client.letters",
    "NotOne": "handoffs.coordinator.errors",
    "Permanent": "handoffs.coordinator.errors",
    "Retry": "handoffs.coordinator.flow.retry",
    "Run": "handoffs.coordinator.client.run",
    "Schedule": "handoffs.coordinator.flow.schedule",
    "Searchable": "handoffs.contracts.searchable",
    "Sensitive": "handoffs.contracts.text",
    "Spending": "handoffs.coordinator.flow.usage",
    "Transient": "handoffs.coordinator.errors",
    "UntrustedText": "handoffs.contracts.text",
    "Usage": "handoffs.coordinator.flow.usage",
    "agent": "handoffs.coordinator.flow.agent",
    "budget": "handoffs.coordinator.flow.budget",
    "cached": "handoffs.coordinator.flow.budget",
    "choice": "handoffs.coordinator.flow.step",
    "compensate": "handoffs.coordinator.flow.step",
    "constant": "handoffs.coordinator.flow.budget",
    "delay": "handoffs.coordinator.flow.step",
    "downcast": "handoffs.contracts.migration",
    "each": "handoffs.coordinator.flow.step",
    "emit": "handoffs.coordinator.flow.step",
    "field": "handoffs.coordinator.flow.condition",
    "gather": "handoffs.coordinator.flow.subscribe",
    "go_on": "handoffs.coordinator.flow.step",
    "lifespan": "handoffs.coordinator.flow.lifespan",
    "on": "handoffs.coordinator.flow.subscribe",
    "parallel": "handoffs.coordinator.flow.step",
    "render_for_prompt": "handoffs.contracts.prompt",
    "repeat": "handoffs.coordinator.flow.step",
    "retrying": "handoffs.coordinator.flow.step",
    "schedule": "handoffs.coordinator.flow.schedule",
    "upcast": "handoffs.contracts.migration",
    "wait_for": "handoffs.coordinator.flow.signal",
    "when": "handoffs.coordinator.flow.step",
}
"""Where each public name lives. It is loaded when it is first asked for (PEP 562), so that an agent's module costs no server's
client, no database and no worker."""

__all__ = [
    "Agent",
    "Context",
    "Contract",
    "ContractRef",
    "CoordinationError",
    "Coordinator",
    "EntryKind",
    "Envelope",
    "Event",
    "ExactDecimal",
    "ExportedCase",
    "FailureKind",
    "Flow",
    "History",
    "HistoryEntry",
    "Hygiene",
    "Key",
    "Letter",
    "Letters",
    "NotOne",
    "Permanent",
    "Retry",
    "Run",
    "Schedule",
    "Searchable",
    "Sensitive",
    "Spending",
    "Transient",
    "UntrustedText",
    "Usage",
    "agent",
    "budget",
    "cached",
    "choice",
    "compensate",
    "constant",
    "delay",
    "downcast",
    "each",
    "emit",
    "field",
    "gather",
    "go_on",
    "lifespan",
    "on",
    "parallel",
    "render_for_prompt",
    "repeat",
    "retrying",
    "schedule",
    "upcast",
    "wait_for",
    "when",
]


if not TYPE_CHECKING:  # or type checkers would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_WHERE[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
