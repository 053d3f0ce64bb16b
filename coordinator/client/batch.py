"""Batch: starts a run for each line of a JSON Lines file. A bad line is kept with its reason and stops nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from handoffs.contracts import strictjson
from handoffs.contracts.errors import CoordinationError, InvalidInput
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.letters.letter import Letter


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not accepted: its number from 1, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class Batch:
    """What became of the lines: ``runs`` by id, how many lines were repetitions, and those that were refused."""

    lines: int = 0
    runs: dict[str, Run] = field(default_factory=dict)
    repeated: int = 0
    refused: list[Refused] = field(default_factory=list)


def read_lines(path: Path) -> list[bytes]:
    """The lines of a file. Raises :class:`~handoffs.contracts.errors.CoordinationError` where it cannot be read or is empty."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CoordinationError(
            f"{path} cannot be read: {error.strerror or error}",
            "nothing was started",
            "name a JSON Lines file",
        ) from None
    if not lines:
        raise CoordinationError(f"{path} is empty", "nothing was started", "put one JSON object on each line")
    return lines


def start_batch(
    coordinator: Coordinator,
    flow: Flow,
    lines: Iterable[bytes],
    *,
    at: datetime | timedelta | None = None,
    progress: Callable[[Batch], None] = lambda _: None,
) -> Batch:
    """Start a run for each line, to begin ``at`` a time; ``progress`` is called after each.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails: what was accepted stays accepted, and starting
    the same lines again gives the same runs.
    """
    batch = Batch()
    for number, line in enumerate(lines, 1):
        batch.lines = number
        try:
            run = coordinator.start(flow, strictjson.loads(line), at=at)
        except (InvalidInput, Conflict) as error:
            batch.refused.append(Refused(number, f"{type(error).__name__}: {error.cause}"))
        else:
            batch.repeated += run.id in batch.runs or not run.created
            batch.runs[run.id] = run
        progress(batch)
    return batch


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
