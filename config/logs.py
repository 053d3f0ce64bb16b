"""Logs: one line a record, with the run in it where there is one, and nothing that could forge a line. A traceback follows its
record, line by line, each indented."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from handoffs.contracts.text import printable

_MOST_LINES = 200  # of a traceback
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


_INDENT = "    "

PROGRESS = "coordinator.progress"
"""What agents say of how far they are: one line a second at most of each, shown at the level ``WARNING`` as well, the default."""


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        line = printable(self.formatMessage(record), 4000)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        beside = [text for text in (record.exc_text, record.stack_info) if text]
        below = "\n".join(beside).splitlines()[:_MOST_LINES]
        return "\n".join([line, *(_INDENT + printable(one, 500) for one in below)])


@contextmanager
def no_lower(level: str) -> Iterator[None]:
    """Let nothing below ``level`` into the log of this package meanwhile, in a process whose log is somebody else's. A level that
    was given to that log before counts."""
    log = logging.getLogger("handoffs")
    if log.level != logging.NOTSET:
        yield
        return
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(logging.NOTSET)


def configure(level: str) -> None:
    """Send the log to standard error at ``level``; replaces the handlers that are there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger(PROGRESS).setLevel(logging.INFO if level == "WARNING" else logging.NOTSET)
    if level != "DEBUG":  # we say ourselves what became of a step: in one line, without trace
        logging.getLogger("celery.app.trace").setLevel(logging.ERROR)
        logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
