"""Logs: one line a record, with the run in it where there is one, and nothing that could forge a line. A traceback follows its
record, line by line, each indented; or each record is a JSON object, for programs."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from handoffs.config.at_work import place
from handoffs.contracts.text import printable

_MOST_LINES = 200  # of a traceback
_LONGEST = 4000  # characters of a message
_TOLD = ("run", "step")  # of the place, in a line of text

Form = Literal["text", "json"]
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


_INDENT = "    "
_SAID = re.compile(r"\b(run|flow|step)=([^\s;,:]+)")
"""Where a line of our own says which run it is about."""

PROGRESS = "coordinator.progress"
"""What agents say of how far they are: one line a second at most of each, shown at the level ``WARNING`` as well, the default."""


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        if not _SAID.search(record.message):
            record.message += "".join(f" {name}={value}" for name, value in place().items() if name in _TOLD)
        line = printable(self.formatMessage(record), 4000)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        beside = [text for text in (record.exc_text, record.stack_info) if text]
        below = "\n".join(beside).splitlines()[:_MOST_LINES]
        return "\n".join([line, *(_INDENT + printable(one, 500) for one in below)])


class _Json(logging.Formatter):
    """A record as a JSON object in a line: ``time`` (UTC), ``level``, ``logger``, ``message``; where it is about a step ``run``, ``flow``,
    ``step``, ``agent``, ``attempt`` and ``trace``; and ``error``, a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message[:_LONGEST],
            **dict(_SAID.findall(message[:_LONGEST])),
            **place(),
        }
        if (
            record.exc_info or record.exc_text
        ):  # where there is a text, it is what may be shown: secrets are masked
            trace = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
            found["error"] = "\n".join(trace.splitlines()[:_MOST_LINES])
        return json.dumps(found, ensure_ascii=True)


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


def configure(level: str, form: Form = "text") -> None:
    """Send the log to standard error at ``level``; replaces the handlers that are there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable(_FORMAT) if form == "text" else _Json())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger(PROGRESS).setLevel(logging.INFO if level == "WARNING" else logging.NOTSET)
    if level != "DEBUG":  # we say ourselves what became of a step: in one line, without trace
        logging.getLogger("celery.app.trace").setLevel(logging.ERROR)
        logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
