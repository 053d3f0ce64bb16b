"""Order: what to deploy first, so that nothing breaks on the way."""

from __future__ import annotations

from collections.abc import Sequence

from handoffs.contracts.deployment.builds import Build
from handoffs.contracts.deployment.decision import Edge, Problem
from handoffs.contracts.manifest import Manifest

_NONE = "no order helps"


def in_order(
    new: Manifest, edges: Sequence[Edge], problems: Sequence[Problem], *, rolling: bool
) -> tuple[str, ...]:
    """Say it, a sentence each. ``rolling``: other builds of the same agent are deployed."""
    if not problems:
        return (f"any order works: {Build.of(new)} goes with everything that is deployed",)
    first: dict[str, list[str]] = {}
    sentences: list[str] = []
    for problem in problems:
        replaced = _replaced(problem, edges)
        ref = "" if replaced else _deploy_first(problem, rolling)
        if ref:
            listed = first.setdefault(problem.agent, [])
            listed.extend([ref] if ref not in listed else [])
        else:
            sentences.append(_sentence(problem, new.agent, replaced))
    if first:
        listed_all = ", ".join(f"{agent} with {' and '.join(refs)}" for agent, refs in first.items())
        sentences.append(f"deploy {listed_all} first, then {new.agent}")
    return tuple(sorted(dict.fromkeys(sentences), key=lambda sentence: not sentence.startswith(_NONE)))


def _deploy_first(problem: Problem, rolling: bool) -> str:
    """The version with which the other agent must be deployed first; empty where that is not what helps."""
    if problem.rule == "emits":
        return f"{problem.contract}/{problem.writes[0]}"
    if problem.rule == "accepts" and (problem.writes[0] > problem.reads[0] or not rolling):
        return f"{problem.contract}/{problem.reads[0]}"
    return ""


def _replaced(problem: Problem, edges: Sequence[Edge]) -> bool:
    """Whether another build of the other agent, with which the edge works, is deployed already."""
    return problem.rule in {"emits", "accepts"} and any(
        edge.rule == problem.rule
        and edge.contract == problem.contract
        and problem.agent in {edge.writer.agent, edge.reader.agent}
        for edge in edges
    )


def _sentence(problem: Problem, agent: str, replaced: bool) -> str:
    other, ref = Build(problem.agent, problem.build), f"{problem.contract}/{problem.writes[0]}"
    if replaced or problem.rule == "rolling":
        return f"stop and withdraw {other} first, then deploy {agent}"
    if problem.rule == "outstanding":
        return f"have the outstanding {ref} handled first (replay or cancel its dead letters), then deploy {agent}"
    if problem.rule == "rollback":
        return f"deploy {other.agent} once more with {ref}, so that its previous build reads it too, then {agent}"
    if problem.rule == "fingerprint":
        return f"{_NONE} while {ref} is not the same on both sides"
    return (
        f"{_NONE} while {agent} does not read {ref}: "
        f"what {other.agent} writes is read by the builds of {agent} that are deployed, too"
    )
