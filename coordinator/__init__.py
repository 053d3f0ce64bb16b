"""The engine: flows of agents over Celery and RabbitMQ, every handoff explicit, every effect taken once."""

from contracts.event import Event
from coordinator.agent import Agent, Context, agent
from coordinator.client import Coordinator, Run
from coordinator.condition import field
from coordinator.errors import Permanent, Transient
from coordinator.fallback import budget, cached, constant
from coordinator.flow import Flow
from coordinator.retry import Retry
from coordinator.schedule import Schedule, schedule
from coordinator.step import choice, compensate, delay, each, emit, go_on, parallel, repeat, retrying, when
from coordinator.subscription import gather, on
from coordinator.waiting import wait_for

__all__ = [
    "Agent",
    "Context",
    "Coordinator",
    "Event",
    "Flow",
    "Permanent",
    "Retry",
    "Run",
    "Schedule",
    "Transient",
    "agent",
    "budget",
    "cached",
    "choice",
    "compensate",
    "constant",
    "delay",
    "each",
    "emit",
    "field",
    "gather",
    "go_on",
    "on",
    "parallel",
    "repeat",
    "retrying",
    "schedule",
    "wait_for",
    "when",
]
