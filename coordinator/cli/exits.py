"""Exits: with which status a command ends, besides 0 (done) and 1 (nothing could be done), and where an error came from."""

from __future__ import annotations

import traceback
from pathlib import Path

import click

UNFINISHED = 3
"""Some of what was asked for was refused, or has not ended."""

NOBODY_READS = 141
"""The pipe that the result was written to was closed, as by ``head``: what a shell gives for a program that SIGPIPE ends."""


ALTERED = 4
"""The journal is not as it was written."""


class Malformed(click.ClickException):
    """A file that was named is not what it has to be. Ends with status 2."""

    exit_code = 2


class Refusal(click.ClickException):
    """What was asked for cannot be done to what it was asked for, and nothing was changed. Ends with status 1."""


def raised_at(error: BaseException) -> str:
    """Where an error was raised, in words; empty where it was not."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
