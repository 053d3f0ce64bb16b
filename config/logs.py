"""Logs: one line a record, with the run in it where there is one, and nothing that could forge a line."""

from __future__ import annotations

import logging
import sys

from handoffs.contracts.text import printable

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), 4000)


def configure(level: str) -> None:
    """Send the log to standard error at ``level``; replaces the handlers that are there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":  # we say ourselves what became of a step: in one line, without trace
        logging.getLogger("celery.app.trace").setLevel(logging.ERROR)
        logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
