"""The commands of a document, taken from its fenced ``console`` blocks, and run in one shell as a reader would.

A line that begins with ``$`` is a command; what follows is what it prints: each line is looked for in order, spaces count once, and
``...`` stands for anything, in a line or for lines. A block after the comment ``<!-- needs: WORD -->`` needs what the word says.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_NEEDS = re.compile(r"<!-- needs: ([a-z]+) -->")
_END = "--- ended"


@dataclass(frozen=True)
class Command:
    """A command, the lines that it is to print, the line of the document that it is in, and what it needs."""

    text: str
    printed: tuple[str, ...]
    line: int
    needs: str = ""


def commands_of(document: str) -> list[Command]:
    """The commands of a document in Markdown, in order."""
    found: list[Command] = []
    needs = ""
    for token in MarkdownIt().parse(document):
        if token.type == "fence" and token.info == "console":
            assert token.map is not None
            found += _commands(token.content, token.map[0] + 2, needs)
        marked = _NEEDS.fullmatch(token.content.strip()) if token.type == "html_block" else None
        needs = marked[1] if marked else ""
    return found


def _commands(block: str, first: int, needs: str) -> list[Command]:
    lines = block.splitlines()
    assert lines[0].startswith("$ "), f"line {first}: a console block begins with a command"
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    return [
        Command(lines[start][2:], tuple(filter(str.strip, lines[start + 1 : end])), first + start, needs)
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def run_all(
    commands: Sequence[Command],
    folder: Path,
    environment: Mapping[str, str],
    *,
    before: Mapping[str, str] | None = None,
    timeout: float,
) -> None:
    """Run the commands in one shell in ``folder``, and fail at the first that ends with another status than 0, or prints something else
    than the document says. ``before`` is what a test does just ahead of a command, by its text."""
    assert commands
    prepared = before or {}
    assert prepared.keys() <= {command.text for command in commands}
    script = "\n".join(_step(number, command, prepared) for number, command in enumerate(commands))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    ended = re.split(rf"^{_END} (\d+)\n", done.stdout, flags=re.MULTILINE)
    printed, statuses = ended[0::2], ended[1::2]
    for command, status, text in zip(commands, statuses, printed, strict=False):
        told = f"line {command.line}: {command.text}\n{text[-6000:]}"
        assert status == "0", f"ended with {status}: {told}"
        missing = missing_line(command.printed, text)
        assert not missing, f"does not print {missing!r}: {told}"
    assert len(statuses) == len(commands), (
        f"line {commands[len(statuses)].line} did not end: {printed[-1][-6000:]}"
    )


def _step(number: int, command: Command, before: Mapping[str, str]) -> str:
    """A command, in the shell itself, for it may change its folder and its variables; at the first failure the shell ends."""
    ahead = f"{{ {before[command.text]}\n}} >/dev/null || exit 99\n" if command.text in before else ""
    return f"{ahead}{{ {command.text}\n}}; status=$?; echo; echo '{_END}' $status; [ $status -eq 0 ] || exit $status"


def missing_line(expected: Sequence[str], printed: str) -> str:
    """The first line that is expected and not printed after those before it; empty where all are."""
    rest = iter(_squeezed(line) for line in printed.splitlines())
    for line in expected:
        parts = _squeezed(line).split("...")
        pattern = re.compile(".*".join(map(re.escape, parts)))
        if line.strip() != "..." and not any(pattern.fullmatch(said) for said in rest):
            return line
    return ""


def _squeezed(line: str) -> str:
    return " ".join(line.split())
