"""Exits: with which status a command ends, besides 0 (done) and 1 (nothing could be done)."""

from __future__ import annotations

import click

UNFINISHED = 3
"""Some of what was asked for was refused, or has not ended."""


class Malformed(click.ClickException):
    """A file that was named is not what it has to be. Ends with status 2."""

    exit_code = 2
