"""Run case: a run as a test: what it began with, the signals that came, and what its agents made, whose functions it does not call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from handoffs.coordinator.cases.case import SETTINGS, ExportedCase, head, joined, modules_block, test_name
from handoffs.coordinator.cases.literal import assigned, text_of
from handoffs.coordinator.cases.secrets import Secrets

_ANSWERING = '''\
def answering(agent, outcomes):
    """What stands in for an agent: it gives the outcome that an input had; without one, its own function is called."""

    def answer(payload, context):
        found = [outcome for given, outcome in outcomes if given == payload.redacted()]
        return agent.emits.from_data(found[0]) if found else agent.run(payload, context)

    return answer
'''
_SHOWN = '''\
def shown(result):
    """A result as people may see it: sensitive values masked."""
    if isinstance(result, dict):
        return {name: shown(one) for name, one in result.items()}
    if isinstance(result, list):
        return [shown(one) for one in result]
    return result.redacted() if isinstance(result, Contract) else result
'''


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that came: after how many seconds since the one before, or since the start, and its payload, masked."""

    after: float
    name: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunStory:
    """What is told of a run; all data has sensitive values masked.

    ``start`` is what it began with, at the first step or at that called ``begins``;
    ``outcomes`` are, by agent, the pairs of an input and its outcome; ``silent`` the agents that had none and are not parked;
    ``parked`` the agent, the reason and the error's class of each step that is. ``held`` says that time has to be held, and ``rest``
    how many seconds it took from the last signal to the end. ``result`` is None where there is none, or it is forgotten; ``branches`` says that it is no
    contract, but several of them by branch.
    """

    id: str
    flow: str
    status: str
    start: dict[str, Any]
    steps: list[str]
    ordered: bool
    outcomes: dict[str, list[tuple[Any, Any]]]
    silent: list[str] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    parked: list[list[str]] = field(default_factory=list)
    held: bool = False
    rest: float = 0.0
    result: Any = None
    branches: bool = False
    begins: str = ""


def run_case(story: RunStory, modules: Sequence[str]) -> ExportedCase:
    """The test of a run. ``modules`` declare its flow and its agents."""
    secrets = Secrets()
    one = {agent: pairs[0][1] for agent, pairs in story.outcomes.items() if _alike(agent, pairs, story)}
    several = {agent: pairs for agent, pairs in story.outcomes.items() if agent not in one}
    constants = _constants(story, secrets, one, several)
    functions = [*([_SHOWN, ""] if story.branches else []), *([_ANSWERING, ""] if several else [])]
    names = ["Contract"] * story.branches + ["Permanent"] * bool(story.silent)
    lines = [
        *head(
            f"A run as a test: {story.id} of {story.flow}, which is {story.status}.",
            f"coordinator runs export {story.id} --as-test",
            ["", "Its agents are not called: they give what they gave then. One that is parked is called."],
        ),
        "import pytest",
        "",
        *([f"from handoffs import {', '.join(names)}", ""] if names else []),
        *modules_block(modules),
        *secrets.block(),
        *constants,
        *SETTINGS,
        "",
        *functions,
        *_test(story, secrets, one, several),
    ]
    return ExportedCase(joined(lines), tuple(secrets.places))


def _alike(agent: str, pairs: Sequence[tuple[Any, Any]], story: RunStory) -> bool:
    """Whether an agent made one thing only, and is not called for anything else."""
    parked = any(one[0] == agent for one in story.parked)
    return not parked and all(outcome == pairs[0][1] for _, outcome in pairs)


def _constants(
    story: RunStory,
    secrets: Secrets,
    one: dict[str, Any],
    several: dict[str, list[tuple[Any, Any]]],
) -> list[str]:
    made = {agent: secrets.unmasked(outcome, f"OUTCOME of {agent}") for agent, outcome in one.items()}
    answers = {
        agent: [
            [given, secrets.unmasked(outcome, f"OUTCOMES of {agent} number {number}")]
            for number, (given, outcome) in enumerate(pairs, 1)
        ]
        for agent, pairs in several.items()
    }
    signals = [
        [signal.after, signal.name, secrets.unmasked(signal.payload, f"SIGNALS number {number}")]
        for number, signal in enumerate(story.signals, 1)
    ]
    told: list[tuple[str, str, Any]] = [
        ("", "FLOW", story.flow),
        ("", "START", secrets.unmasked(story.start, "START")),
        ("After how many seconds, which signal, and what it said.", "SIGNALS", signals),
        ("What each agent made.", "OUTCOME", made),
        ("What each agent made of what.", "OUTCOMES", answers),
        ("Agents that had no outcome.", "SILENT", story.silent),
        ("", "STEPS", story.steps if story.ordered else sorted(story.steps)),
        ("The agent, the reason and the error of each step that is parked.", "PARKED", story.parked),
    ]
    lines: list[str] = []
    for comment, name, value in told:
        if value or name in {"START", "STEPS"}:
            lines += [*([f"# {comment}"] if comment else []), assigned(name, value), ""]
    return lines if story.result is None else [*lines, assigned("RESULT", story.result), ""]


def _test(
    story: RunStory,
    secrets: Secrets,
    one: dict[str, Any],
    several: dict[str, list[tuple[Any, Any]]],
) -> list[str]:
    steps = "run.history().steps" if story.ordered else "sorted(run.history().steps)"
    lines = [
        f"def {test_name(story.flow, story.status)}(coordinator):",
        '    """The flow goes the same way, and ends in the same."""',
        *secrets.check(),
    ]
    if one:
        lines += ["    for agent, outcome in OUTCOME.items():", "        coordinator.fake(agent, outcome)"]
    if several:
        lines += [
            "    for agent, outcomes in OUTCOMES.items():",
            "        coordinator.fake(agent, answering(coordinator.flows.agents[agent], outcomes))",
        ]
    if story.silent:
        lines += [
            "    for agent in SILENT:",
            '        coordinator.fake(agent, Permanent("it had no outcome in the run"))',
        ]
    if story.held:
        lines += ["    coordinator.hold_time()"]
    begins = f"at_step={text_of(story.begins)}, given=START" if story.begins else "START"
    lines += [f"    run = coordinator.start(FLOW, {begins})"]
    if story.signals:
        lines += [
            "    for seconds, name, payload in SIGNALS:",
            "        coordinator.advance(seconds=seconds)",
            "        run.signal(name, run.flow.signals[name].from_data(payload))",
        ]
    if story.held and story.rest:
        lines += [f"    coordinator.advance(seconds={story.rest})"]
    lines += [f'    assert run.status() == "{story.status}"', f"    assert {steps} == STEPS"]
    if story.parked:
        lines += [
            "    parked = [[one.agent, one.reason, one.error_class] for one in run.letters()]",
            "    assert sorted(parked) == PARKED",
        ]
    if story.result is not None:
        told = "shown(run.result())" if story.branches else "run.result().redacted()"
        lines += [f"    assert {told} == RESULT"]
    return lines
