"""Batch: starts a run for each line of a JSON Lines file. A bad line is kept with its reason and stops nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from handoffs.contracts import strictjson, textfile
from handoffs.contracts.errors import CoordinationError, InvalidInput, InvalidJson
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.text import printable
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.letters.letter import Letter

_MOST_NAMES = 1_000
_MOST = 268_435_456
"""Octets of a file of lines: they are in memory at once."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not accepted: its number from 1, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class Batch:
    """What became of the lines that are not empty: how many there were, ``runs`` by id, how many lines were repetitions, and
    those that were refused. ``fields`` are the names that any of them has on its first level, a thousand at most."""

    lines: int = 0
    runs: dict[str, Run] = field(default_factory=dict)
    repeated: int = 0
    refused: list[Refused] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)


def read_lines(path: Path) -> list[bytes]:
    """The lines of a file, as :func:`~handoffs.contracts.textfile.lines` gives them.

    Raises :class:`~handoffs.contracts.errors.CoordinationError` where it cannot be read, has more than 256 MiB, is not UTF-8, or is
    empty.
    """
    shown = printable(path, 200)
    try:
        found = textfile.lines(textfile.read(path, _MOST))
    except InvalidJson as error:
        raise CoordinationError(f"{shown}: {error.cause}", "nothing was started", error.remedy) from None
    except OSError as error:
        raise CoordinationError(
            f"{shown} cannot be read: {error.strerror or error}",
            "nothing was started",
            "name a JSON Lines file",
        ) from None
    if not found:
        raise CoordinationError(
            f"{shown} is empty", "nothing was started", "put one JSON object on each line"
        )
    return found


def start_batch(
    coordinator: Coordinator,
    flow: Flow,
    lines: Iterable[bytes],
    *,
    at: datetime | timedelta | None = None,
    progress: Callable[[Batch], None] = lambda _: None,
) -> Batch:
    """Start a run for each line that is not empty, to begin ``at`` a time, many at once; ``progress`` is called after each.

    Raises :class:`~handoffs.coordinator.errors.Interrupted` where a server fails: what was accepted stays accepted, and starting
    the same lines again gives the same runs.
    """
    batch, numbered = Batch(), _Numbered(lines, coordinator.engine.settings.envelope_limits)
    for started in coordinator.start_many(flow, numbered.payloads(), at=at):
        number, bad = numbered.passed()
        error = started.error
        if error is not None and not isinstance(error, CoordinationError):
            raise error
        _note(batch, bad, progress)
        if error is None:
            run = started.get()
            batch.repeated += run.id in batch.runs or not run.created
            batch.runs[run.id] = run
        _note(batch, [(number, error)], progress)
    _note(batch, numbered.left(), progress)
    batch.fields = numbered.fields
    return batch


def _note(
    batch: Batch, lines: Iterable[tuple[int, CoordinationError | None]], progress: Callable[[Batch], None]
) -> None:
    """Note what became of lines: the error that each was refused with, or None."""
    for number, error in lines:
        batch.lines += 1
        if error is not None:
            batch.refused.append(Refused(number, f"{type(error).__name__}: {error.cause}"))
        progress(batch)


class _Numbered:
    """The lines of a file as payloads, and which those were that were read and of which nothing is noted yet."""

    def __init__(self, lines: Iterable[bytes], limits: Limits) -> None:
        self._lines = lines
        self._limits = limits
        self.fields: set[str] = set()
        self._read: deque[tuple[int, InvalidInput | None]] = deque()

    def payloads(self) -> Iterator[Any]:
        """What the lines say that can be read, one after the other."""
        for number, line in enumerate(self._lines, 1):
            if not line.strip():
                continue
            try:
                payload = strictjson.loads(textfile.unmarked(line), self._limits)
            except InvalidInput as error:
                self._read.append((number, error))
            else:
                self._read.append((number, None))
                if isinstance(payload, dict) and len(self.fields) < _MOST_NAMES:
                    self.fields |= payload.keys()
                yield payload

    def passed(self) -> tuple[int, list[tuple[int, InvalidInput | None]]]:
        """The number of the next line that was given as a payload, and the bad ones before it."""
        bad = []
        while self._read[0][1] is not None:
            bad.append(self._read.popleft())
        return self._read.popleft()[0], bad

    def left(self) -> list[tuple[int, InvalidInput | None]]:
        """The bad lines after all that were given."""
        return list(self._read)


def batch_letters(coordinator: Coordinator, batch: Batch, *, timeout: float) -> list[Letter]:
    """The dead letters of the batch that wait. Those of runs that were parked a moment ago may still be on their way:
    waits until each parked run has one, at most ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        letters = coordinator.desk.waiting(batch.runs)
        parked = coordinator.statuses(list(batch.runs.values())).count("parked")
        if len({letter.run for letter in letters}) >= parked or time.monotonic() > deadline:
            return letters
        time.sleep(0.05)
