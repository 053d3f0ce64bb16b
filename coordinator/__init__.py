"""The engine: flows of agents over Celery and RabbitMQ, every handoff explicit, every effect taken once."""

from coordinator.agent import Agent, Context, agent
from coordinator.client import Coordinator, Run
from coordinator.errors import Permanent, Transient
from coordinator.flow import Flow
from coordinator.retry import Retry
from coordinator.step import parallel

__all__ = [
    "Agent",
    "Context",
    "Coordinator",
    "Flow",
    "Permanent",
    "Retry",
    "Run",
    "Transient",
    "agent",
    "parallel",
]
