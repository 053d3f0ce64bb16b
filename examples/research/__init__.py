"""A report on many pages, by an agent that calls a model which is busy, slow, and paid for by the token."""

from examples.research.agents import Report, Topic, research_flow
from examples.research.model import Busy, Reply, StubModel

__all__ = ["Busy", "Reply", "Report", "StubModel", "Topic", "research_flow"]
