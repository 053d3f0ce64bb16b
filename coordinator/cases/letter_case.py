"""Letter case: a dead letter as a test: the agent alone, with the input with which it was parked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handoffs.coordinator.cases.case import SETTINGS, ExportedCase, head, joined, modules_block, test_name
from handoffs.coordinator.cases.literal import assigned, plain
from handoffs.coordinator.cases.secrets import Secrets
from handoffs.coordinator.handoff.failure import FailureKind

SHOWN_BY_INPUT = frozenset(
    {FailureKind.ERROR, FailureKind.INVALID_INPUT, FailureKind.INVALID_OUTPUT, FailureKind.TOO_LARGE}
)
"""Why a step was parked, where the agent and its input are all of it. The rest is of servers, of time, or of other runs."""


@dataclass(frozen=True, slots=True)
class LetterStory:
    """What is told of a dead letter. ``input`` has sensitive values masked; ``text`` is what the error said.
    ``refused``: it is no input that an agent may get."""

    id: str
    flow: str
    step: str
    agent: str
    reason: str
    error_class: str
    text: str
    input: dict[str, Any]
    refused: bool = False


def letter_case(story: LetterStory, modules: Sequence[str]) -> ExportedCase:
    """The test of a dead letter. ``modules`` declare its agent."""
    secrets = Secrets()
    given = secrets.unmasked(story.input, "INPUT")
    title = (
        f"A dead letter as a test: step {story.step} of {story.flow} ({story.agent}) is parked: "
        f"{story.reason}, {story.error_class}."
    )
    lines = [
        *head(
            title,
            f"coordinator dead-letters export {story.id} --as-test",
            [
                "",
                "It passes while the fault is there. Once that is mended, let it say what is right instead.",
            ],
        ),
        "import pytest",
        "",
        "from handoffs import CoordinationError, Flow" if story.refused else "from handoffs import Flow",
        "",
        *modules_block(modules),
        assigned("AGENT", story.agent),
        "",
        *secrets.block(),
        assigned("INPUT", given),
        "",
        "# What it said: " + plain(story.text, 400),
        *(_refused(story, secrets) if story.refused else _parked(story, secrets)),
    ]
    return ExportedCase(joined(lines), tuple(secrets.places))


def _parked(story: LetterStory, secrets: Secrets) -> list[str]:
    return [
        assigned("PARKED", [story.agent, story.reason, story.error_class]),
        "",
        *SETTINGS,
        "",
        f"def {test_name(story.agent, 'is parked')}(coordinator):",
        '    """With this input the agent is parked, for the same reason and by the same error."""',
        *secrets.check(),
        '    run = coordinator.start(Flow("exported", coordinator.flows.agents[AGENT]), INPUT)',
        '    assert run.status() == "parked"',
        "    letter = run.letters().only()",
        "    assert [letter.agent, letter.reason, letter.error_class] == PARKED",
    ]


def _refused(story: LetterStory, secrets: Secrets) -> list[str]:
    return [
        assigned("REFUSED", story.error_class),
        "",
        *SETTINGS,
        "",
        f"def {test_name(story.agent, 'refuses its input')}(coordinator):",
        '    """No agent may get this input: it is refused, by the same error, before anything is started."""',
        *secrets.check(),
        "    with pytest.raises(CoordinationError) as refused:",
        '        coordinator.start(Flow("exported", coordinator.flows.agents[AGENT]), INPUT)',
        "    assert type(refused.value).__name__ == REFUSED",
    ]
