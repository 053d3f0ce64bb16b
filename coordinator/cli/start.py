"""`coordinator start`: begin runs of a flow, one or one for each line of a file."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.cli.exits import UNFINISHED
from handoffs.coordinator.cli.letters import letter_table
from handoffs.coordinator.cli.options import json_option, no_wait_option, payload_option, timeout_option
from handoffs.coordinator.cli.runs import outline_of, status_line, tell_of_nobody
from handoffs.coordinator.cli.session import opened
from handoffs.coordinator.cli.unknown_fields import tell_of_unknown
from handoffs.coordinator.cli.unserved import tell_of_unserved
from handoffs.coordinator.client.batch import Batch, batch_letters, read_lines, start_batch
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.letter_view import letters_json
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.client.run_view import due_of
from handoffs.coordinator.errors import RunNotCompleted
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.current import unsettled
from handoffs.coordinator.render.console import bar, out, print_json, say, table, tell
from handoffs.coordinator.render.run_timeline import run_timeline
from handoffs.coordinator.runs import due
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded

_SHOWN = ("completed", "parked", "running", "cancelled")
_PAUSE = 0.1  # seconds
_EMBEDDED = (
    "coordinator: embedded: this runs in one process, and nothing of it is kept; to keep it, set COORDINATOR_BROKER_URL and"
    " COORDINATOR_REDIS_URL, and start workers"
)


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be started: the flow, when it is to begin, how many seconds to wait (None: not), and how to print it."""

    flow: str
    at: datetime | timedelta | None
    timeout: float | None
    as_json: bool
    at_step: str | None = None


@click.command("start")
@click.argument("flow")
@click.option(
    "--input", "file", type=click.Path(path_type=Path), help="A JSON Lines file: one run for each line."
)
@payload_option("The input of one run", required=False)
@click.option("--key", help="The idempotency key of the one run; by default the payload's own.")
@click.option(
    "--at-step",
    metavar="STEP",
    help="Begin in the middle: at this agent, or path of `coordinator flows show`. The payload is then what that step is given.",
)
@timeout_option("runs to end")
@no_wait_option("when the runs are accepted")
@click.option(
    "--at",
    "begins",
    metavar="WHEN",
    help="Accept the runs now, and begin them then: 2026-12-01T09:00:00+01:00, or +90m; at most 366 days ahead. Implies --no-wait.",
)
@json_option
def start(
    flow: str,
    file: Path | None,
    payload: dict[str, Any] | None,
    key: str | None,
    at_step: str | None,
    timeout: float,
    no_wait: bool,
    begins: str | None,
    as_json: bool,
) -> None:
    """Start runs of FLOW, and wait until each has ended or is parked.

    Exit status: 0 all completed, 3 some line was refused or some run has not completed, 1 nothing could be done.
    \f

    Many parameters because each is one of its options.
    """
    if (file is None) == (payload is None):
        raise click.UsageError("give either --input FILE or --payload JSON")
    if at_step is not None and payload is None:
        raise click.UsageError("--at-step is for one run: give what that step is given with --payload JSON")
    at = _when(begins)
    order = _Order(flow, at, None if no_wait or at is not None else timeout, as_json, at_step)
    with opened(quiet=True, recorded=True) as coordinator:
        if order.timeout is None:
            refuse_embedded(coordinator.settings, "--at" if at is not None else "--no-wait")
        if payload is not None:
            _start_one(coordinator, order, payload, key)
        elif file is not None:
            _start_file(coordinator, order, file)


def _when(text: str | None) -> datetime | timedelta | None:
    try:
        return due.read(text) if text is not None else None
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None


def _start_one(coordinator: Coordinator, order: _Order, payload: dict[str, Any], key: str | None) -> None:
    try:
        if order.at_step is not None:
            run = coordinator.start(
                order.flow, idempotency_key=key, at=order.at, at_step=order.at_step, given=payload
            )
        else:
            run = coordinator.start(order.flow, payload, idempotency_key=key, at=order.at)
            tell_of_unknown(coordinator.flows.flow(order.flow).accepts, payload)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None
    _tell_of_embedded(coordinator)
    if order.timeout is not None:
        run.wait(order.timeout)
    status = run.status()
    doing = run.current()  # first: what is settled meanwhile is in the history
    history = run.history()
    if order.as_json:
        print_json({"run": run.id, "status": status, **due_of(run), "history": history.to_json()})
    else:
        out.print(run_timeline(run.id, history, outline_of(coordinator, history), unsettled(doing, history)))
        say(status_line(run))
        if status == "parked":
            tell(f"coordinator: {_reason(run)}")
    if status == "running":
        tell_of_nobody(run)
    if status in {"running", "parked"}:
        tell_of_unserved(coordinator)
    if order.timeout is not None and status != "completed":
        raise click.exceptions.Exit(UNFINISHED)


def _tell_of_embedded(coordinator: Coordinator) -> None:
    if coordinator.settings.embedded:
        tell(_EMBEDDED)


def _reason(run: Run) -> str:
    """Why a run has no result."""
    try:
        run.result(0)
    except RunNotCompleted as error:
        return str(error)
    return ""


def _start_file(coordinator: Coordinator, order: _Order, file: Path) -> None:
    lines = read_lines(file)
    flow = coordinator.flows.flow(order.flow)
    with bar() as progress:
        task = progress.add_task("starting", total=sum(map(bool, lines)))

        def started(batch: Batch) -> None:
            progress.update(task, completed=batch.lines)

        batch = start_batch(coordinator, flow, lines, at=order.at, progress=started)
        tell_of_unknown(flow.accepts, batch.fields)
        if batch.runs:
            _tell_of_embedded(coordinator)
        statuses = _await_batch(coordinator, batch, order.timeout or 0.0, progress)
    if statuses["running"]:
        running = (run for run in batch.runs.values() if run.status() == "running")
        for run in itertools.islice(running, 1):
            tell_of_nobody(run)
    if statuses["running"] or statuses["parked"]:
        tell_of_unserved(coordinator)
    letters = batch_letters(coordinator, batch, timeout=5) if statuses["parked"] else []
    report = {
        "flow": order.flow,
        "lines": batch.lines,
        "runs": len(batch.runs),
        "repeated": batch.repeated,
        "refused": len(batch.refused),
        **{status: statuses[status] for status in _SHOWN},
        **({"scheduled": statuses["scheduled"]} if order.at is not None else {}),
    }
    if order.as_json:
        refused = [{"line": refusal.line, "reason": refusal.reason} for refusal in batch.refused]
        shown = list(letters_json(coordinator.desk, letters))
        print_json({**report, "refused_lines": refused, "dead_letters": shown})
    else:
        _print_batch(f"{file.name} -> {order.flow}", report, batch, letters)
    if batch.refused or statuses["completed"] + statuses["scheduled"] != len(batch.runs):
        raise click.exceptions.Exit(UNFINISHED)


def _print_batch(title: str, report: dict[str, Any], batch: Batch, letters: list[Letter]) -> None:
    if batch.refused:
        rows = [(refusal.line, refusal.reason) for refusal in batch.refused]
        out.print(table("refused lines", ("line", "reason"), rows))
    if letters:
        out.print(letter_table(letters))
    out.print(table(title, ("", ""), [(name, str(value)) for name, value in report.items()]))


def _await_batch(coordinator: Coordinator, batch: Batch, timeout: float, progress: Progress) -> Counter[str]:
    """Wait until each run has ended or is parked, at most ``timeout`` seconds. Gives the number of runs by status."""
    runs = list(batch.runs.values())
    task = progress.add_task("running", total=len(runs))
    deadline = time.monotonic() + timeout
    while True:
        statuses: Counter[str] = Counter(coordinator.statuses(runs)) if runs else Counter()
        progress.update(task, completed=len(runs) - statuses["running"])
        if not statuses["running"] or time.monotonic() > deadline:
            return statuses
        time.sleep(_PAUSE)
