"""Deployment: whether a new build of an agent goes with what is deployed, and with what is still queued."""

from handoffs.contracts.deployment.builds import Build, Deployed, Outstanding, State
from handoffs.contracts.deployment.decision import Decision, Edge, Problem, Rule
from handoffs.contracts.deployment.judge import judge, negotiated
from handoffs.contracts.manifest import Manifest

__all__ = [
    "Build",
    "Decision",
    "Deployed",
    "Edge",
    "Manifest",
    "Outstanding",
    "Problem",
    "Rule",
    "State",
    "judge",
    "negotiated",
]
