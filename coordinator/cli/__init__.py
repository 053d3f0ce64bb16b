"""The command line: tables for people, ``--json`` for programs."""

from coordinator.cli.commands import main

__all__ = ["main"]
