"""Decided: what can-i-deploy found, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handoffs.contracts.deployment import Decision, Outstanding, Problem


def decided(decision: Decision, found: Sequence[Outstanding]) -> dict[str, Any]:
    """A decision, and what is outstanding for the agent, as JSON values."""
    return {
        "agent": decision.new.agent,
        "build": decision.new.build,
        "ok": decision.ok,
        "edges": [
            {
                "rule": edge.rule, "contract": edge.contract,
                "writer": edge.writer._asdict(), "reader": edge.reader._asdict(),
                "writes": list(edge.writes), "reads": list(edge.reads),
                "version": edge.version, "how": edge.how,
            }
            for edge in decision.edges
        ],
        "problems": [_problem_json(problem) for problem in decision.problems],
        "outstanding": [
            {
                "contract": left.contract.name, "version": left.contract.version,
                "dead_lettered": left.dead_lettered, "other": left.other,
            }
            for left in found
        ],
        "notes": list(decision.notes),
        "order": list(decision.order),
    }  # fmt: skip


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "rule": problem.rule,
        "contract": problem.contract,
        "agent": problem.agent,
        "build": problem.build,
        "state": problem.state,
        "writes": list(problem.writes),
        "reads": list(problem.reads),
        "text": problem.text,
        "remedy": problem.remedy,
        "verdict": problem.verdict.verdict if problem.verdict else None,
        "witness": problem.witness,
        "differences": [
            {"kind": found.kind, "path": found.path, "certain": found.certain, "text": str(found)}
            for found in problem.differences
        ],
    }
