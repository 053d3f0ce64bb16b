"""What runs the commands of documents: it finds them, and notices where a document is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.documented import commands_of, missing_line, run_all

DOCUMENT = """# A page

```console
$ cd below; WORD=yes
$ echo "$WORD  $(basename $PWD)"
yes ...
```

    $ this is no block of ours

```sh
$ nor is this
```

<!-- needs: containers -->
```console
$ true
```

```console
$ echo one; echo two
...
two
```
"""


def test_the_commands_of_a_document() -> None:
    """Commands come in order, with what they print, their line, and what they need; other blocks have none."""
    found = commands_of(DOCUMENT)
    assert [(command.text, command.printed, command.line, command.needs) for command in found] == [
        ("cd below; WORD=yes", (), 4, ""),
        ('echo "$WORD  $(basename $PWD)"', ("yes ...",), 5, ""),
        ("true", (), 17, "containers"),
        ("echo one; echo two", ("...", "two"), 21, ""),
    ]


def test_they_are_run_in_one_shell(tmp_path: Path) -> None:
    """Folders and variables of one command are those of the next; what a test does before one is not taken for what it prints."""
    (tmp_path / "below").mkdir()
    run_all(commands_of(DOCUMENT), tmp_path, os.environ, before={"true": "echo done >before"}, timeout=20)
    assert (tmp_path / "below" / "before").read_text("utf-8") == "done\n"


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("$ true\n$ false", "ended with 1: line 3: false"),
        ("$ echo one\ntwo", "does not print 'two': line 2: echo one"),
        ("$ echo one; echo two\ntwo\none", "does not print 'one'"),
        ("$ echo one\none more", "does not print 'one more'"),
        ("$ exit 0\n$ true", "line 2 did not end"),
    ],
)
def test_a_document_that_is_wrong(tmp_path: Path, block: str, complaint: str) -> None:
    """A command that fails, one that prints something else, or in another order, and one that ends the shell: each is named."""
    with pytest.raises(AssertionError, match=complaint):
        run_all(commands_of(f"```console\n{block}\n```\n"), tmp_path, os.environ, timeout=20)


def test_a_block_that_begins_without_a_command() -> None:
    """What would be printed by no command is a mistake of the document."""
    with pytest.raises(AssertionError, match="line 2: a console block begins with a command"):
        commands_of("```console\nprinted\n```\n")


@pytest.mark.parametrize(
    ("expected", "printed", "missing"),
    [
        (("a ... c",), "a b c", ""),
        (("a...c",), "abc", ""),
        (("a   b",), "  a b", ""),
        (("a.c",), "abc", "a.c"),
        (("...", "b"), "a\nb", ""),
        (("a", "a"), "a", "a"),
    ],
)
def test_what_is_printed(expected: tuple[str, ...], printed: str, missing: str) -> None:
    """Dots stand for anything, spaces count once, and a line counts once."""
    assert missing_line(expected, printed) == missing
