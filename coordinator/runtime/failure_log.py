"""The log of failures: the exception itself is on the record, for Sentry and others, and its trace is what is printed."""

from __future__ import annotations

import logging

from handoffs.coordinator.handoff.interruption import Escaped

FAILURES = "handoffs.coordinator.failures"
"""The name of the log of what agents raise: at INFO where it is tried again, at ERROR where it is parked."""

_log = logging.getLogger(FAILURES)


def log_failure(level: int, line: str, error: BaseException, trace: str) -> None:
    """Log what an agent raised: ``line``, and ``error`` as ``exc_info``.

    A handler that formats the record prints ``trace``, which is bounded and has no sensitive value of the input; without one only
    the line. Who takes the exception from ``exc_info`` gets it as it was raised.
    """
    if not _log.isEnabledFor(level):
        return
    if isinstance(error, Escaped):
        error = error.error
    file, number, function, _ = _log.findCaller(stacklevel=2)
    raised = (type(error), error, error.__traceback__)
    record = _log.makeRecord(_log.name, level, file, number, "%s", (line,), raised, function)
    record.exc_text = trace or f"{type(error).__name__} (raised by no agent's code)"
    _log.handle(record)
