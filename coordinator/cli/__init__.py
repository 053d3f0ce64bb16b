"""The command line: tables for people, ``--json`` for programs."""

from handoffs.coordinator.cli.main import main

__all__ = ["main"]
