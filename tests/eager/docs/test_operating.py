"""The page on operating: each command that it shows is one of ours, with options that there are."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from handoffs.coordinator.cli.command_line import cli

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"
COMMANDS = [
    line.removeprefix("$ coordinator ").split(" > ")[0]
    for token in MarkdownIt().parse(PAGE.read_text("utf-8"))
    if token.type == "fence" and not token.info
    for line in token.content.splitlines()
    if line.startswith("$ coordinator ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_is_understood(line: str) -> None:
    """It is parsed as it stands; what it would do is tried elsewhere."""
    command: click.Command = cli
    name, arguments = "coordinator", shlex.split(line)
    context = None
    while isinstance(command, click.Group):
        context = command.make_context(name, arguments, parent=context)
        arguments = [*context._protected_args, *context.args]
        if not arguments:
            break
        found, child, arguments = command.resolve_command(context, arguments)
        assert found is not None
        assert child is not None
        name, command = found, child
    else:
        command.make_context(name, arguments, parent=context)


def test_the_page_has_commands() -> None:
    """That they are found at all."""
    assert len(COMMANDS) > 15
