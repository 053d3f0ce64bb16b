"""Case: the file of a test that was written of something that has happened."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from handoffs.coordinator.cases.literal import assigned, plain

SETTINGS = [
    "",
    "@pytest.fixture",
    "def coordinator_settings(coordinator_settings):",
    '    return coordinator_settings.model_copy(update={"agents": tuple(MODULES)})',
    "",
]
"""The lines of the fixture that has the coordinator of the test load the modules of the agents."""


@dataclass(frozen=True, slots=True)
class ExportedCase:
    """A test that makes happen again what has happened, as the text of a module for pytest.

    ``masked`` says where sensitive values were left out, each in words and as a JSON pointer (``INPUT /card``): the test fails, and says
    so, until they are filled in.
    """

    text: str
    masked: tuple[str, ...] = ()


def head(title: str, written_by: str, more: Iterable[str]) -> list[str]:
    """The docstring of a file, in lines."""
    return [f'"""{plain(title, 400)}', "", f"Written by: {plain(written_by)}", *more, '"""', ""]


def modules_block(modules: Iterable[str]) -> list[str]:
    """The constant that names the modules of the agents, in lines."""
    return [
        "# The modules that declare the agents, as in COORDINATOR_AGENTS.",
        assigned("MODULES", list(modules)),
        "",
    ]


def test_name(*words: str) -> str:
    """The name of a test, of words in which anything may be."""
    slug = re.sub(r"[^a-z0-9]+", "_", " ".join(words).lower()).strip("_")
    return f"test_{slug[:70].strip('_')}"


def joined(lines: Iterable[str]) -> str:
    """The text of a file."""
    return "\n".join(lines) + "\n"
