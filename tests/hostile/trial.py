"""People: what they give to the command line, the environment and the folder of published contracts, tried in this process.

A command that is given something malformed ends with a status that is not 0 and a few lines on standard error, within seconds: no
traceback, nothing that a terminal would obey, and nothing that nobody thought of.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unicodedata import category
from unittest.mock import patch

from handoffs.config.settings import PREFIX
from handoffs.coordinator.cli import main

_SECONDS, _LINES = 20.0, 5
UNFORESEEN = "COORDINATOR_LOG_LEVEL=DEBUG shows"


@dataclass(frozen=True, slots=True)
class Try:
    """A command line in an environment.

    Attributes
    ----------
    name
        Which of its generator's kinds it is; the same for many.
    arguments, environment
        The command line, and the variables beside those that are there.
    lines
        How many lines may be told on standard error.
    refused
        Whether it must be refused; None where it may be right as well.
    secret
        What must not be shown; nothing where that is empty.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    lines: int = _LINES
    refused: bool | None = None
    secret: str = ""


Prepared = Callable[[Random, Path], Try]
"""A generator: what it needs it writes into a folder, which is empty and becomes the working directory."""


@dataclass(slots=True)
class Answer:
    """What became of one: the status, both outputs, and how long it took."""

    status: int
    out: str
    err: str
    seconds: float

    def problems(self, tried: Try) -> Iterator[str]:
        """What is wrong with it."""
        if "Traceback" in self.err or UNFORESEEN in self.err:
            yield "nobody thought of it"
        shown = {sign for sign in self.out + self.err if sign not in "\n\t"}
        if odd := {sign for sign in shown if category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}:
            yield f"it prints {sorted(map(ascii, odd))}"
        if len(self.err.splitlines()) > tried.lines:
            yield f"it tells {len(self.err.splitlines())} lines"
        if self.status and not self.err.strip() and not self.out.strip():
            yield "it does not say why"
        if tried.refused and not self.status:
            yield "it is not refused"
        if tried.refused is False and self.status:
            yield "it is right, and refused"
        if self.seconds > _SECONDS:
            yield f"it takes {self.seconds:.0f} s"
        if tried.secret and tried.secret in self.out + self.err:
            yield "it shows what was given"


def answer(tried: Try, folder: Path) -> Answer:
    """Try it in a folder."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    began, status = time.monotonic(), 0
    with _in(folder, tried.environment), redirect_stdout(out), redirect_stderr(err):
        try:
            main(tried.arguments)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    taken = time.monotonic() - began
    return Answer(status, _written(out), _written(err), taken)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    octets = stream.buffer
    assert isinstance(octets, io.BytesIO)
    return octets.getvalue().decode()


@contextmanager
def _in(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    before, path = Path.cwd(), list(sys.path)
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    os.chdir(folder)
    try:
        with patch.dict(os.environ, {**kept, "COLUMNS": "100", **environment}, clear=True):
            yield
    finally:
        os.chdir(before)
        sys.path[:] = path
