"""Course: the steps of a flow, who hands over to whom, and how they are nested."""

from __future__ import annotations

from coordinator.agent import Agent
from coordinator.catalogue.model import FlowEntry, Fork, Giver, Row, StepEntry
from coordinator.flow import Flow
from coordinator.step import Parallel, Step, positions


def course(flow: Flow) -> FlowEntry:
    """What the documents tell of a flow."""
    accepts = flow.accepts.ref()
    steps: list[StepEntry] = []
    row, results = _row(flow.step, "", (Giver("", accepts),), steps)
    return FlowEntry(flow.name, accepts, tuple(steps), row, results)


def _row(
    step: Step, prefix: str, givers: tuple[Giver, ...], steps: list[StepEntry]
) -> tuple[Row, tuple[Giver, ...]]:
    """The row of a sequence, and who gives what follows it; adds its steps to ``steps``."""
    row: list[StepEntry | Fork] = []
    for path, part in positions(step, prefix):
        if isinstance(part, Agent):
            entry = StepEntry(path, part.name, part.accepts.ref(), part.emits.ref(), givers)
            steps.append(entry)
            row.append(entry)
            givers = (Giver(path, part.emits.ref()),)
        elif isinstance(part, Parallel):
            branches: list[tuple[str, Row]] = []
            joined: list[Giver] = []
            for name, branch in part.branches:
                inner, ends = _row(branch, f"{path}.{name}.", givers, steps)
                branches.append((name, inner))
                joined += [Giver(end.path, end.contract, _within(name, end.part)) for end in ends]
            row.append(Fork(tuple(branches)))
            givers = tuple(joined)
    return tuple(row), givers


def _within(branch: str, part: str) -> str:
    return f"{branch}.{part}" if part else branch
