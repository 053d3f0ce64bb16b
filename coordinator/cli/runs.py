"""`coordinator runs`: look at runs, hold them, and cancel them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from handoffs.contracts.text import printable
from handoffs.coordinator.cli.interventions import edit_step
from handoffs.coordinator.cli.options import by_option, json_option, limit_option, payload_option
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.continuation.path import is_story
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.observe.outline import Outline, outline
from handoffs.coordinator.render.console import out, print_json, table
from handoffs.coordinator.render.run_timeline import now_table, run_timeline
from handoffs.coordinator.render.trace_report import print_trace


@click.group("runs")
def runs() -> None:
    """Look at runs, hold them, and cancel them."""


@runs.command("list")
@limit_option("the newest first")
@json_option
def list_runs(limit: int, as_json: bool) -> None:
    """The newest runs."""
    with on_servers("listing runs") as coordinator:
        begun = coordinator.journal.history.recent_runs(limit)
        records = coordinator.engine.runs.states([entry["run"] for entry in begun])
    columns = ("run", "flow", "status", "started", "due")
    rows = [
        (entry["run"], entry["flow"], record.status if record else "ended", entry["at"], entry.get("due", ""))
        for entry, record in zip(begun, records, strict=True)
    ]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        shown = [(*row[:3], f"due {row[4]}" if row[2] == "scheduled" else row[3]) for row in rows]
        out.print(table("runs", columns[:4], shown))


@runs.command("show")
@click.argument("run")
@json_option
def show_run(run: str, as_json: bool) -> None:
    """The timeline of RUN: every attempt, outcome, failure and replay, as its flow is nested; and what it does now.

    Each line has a bar from when the step began to when it ended, with dots before it for how long it waited; ``*`` marks
    what takes no time. The words of conditions and budgets are those of the flow as it is loaded here.
    """
    with on_servers("showing a run") as coordinator:
        found = coordinator.run(run)
        history = found.history()
        if as_json:
            doing = [{**one.to_json(), "says": one.words()} for one in found.current()]
            print_json(
                {"run": run, "status": found.status(), **due_of(found), "now": doing, "history": history}
            )
        elif history and is_story(str(history[0].get("flow", ""))):
            print_trace(coordinator.trace(run))  # it has no flow along which it could be drawn
            out.print(status_line(found))
        else:
            _print_run(coordinator, found, history)


@runs.command("cancel")
@click.argument("run")
@click.option("--compensate", is_flag=True, help="Undo what was done, as its flow says, the last step first.")
@by_option
def cancel_run(run: str, compensate: bool, by: str) -> None:
    """Cancel RUN: steps that run now finish, nothing further begins."""
    with on_servers("cancelling a run") as coordinator:
        out.print(f"run {run}: {coordinator.run(run).cancel(by, compensate=compensate)}")


@runs.command("give-up")
@click.argument("run")
@by_option
def give_up_run(run: str, by: str) -> None:
    """Abandon RUN, for example where a step is parked for good: undo what was done, and cancel it."""
    with on_servers("giving up a run") as coordinator:
        out.print(f"run {run}: {coordinator.run(run).give_up(by)}")


@runs.command("signal")
@click.argument("run")
@click.argument("name")
@payload_option("What the signal says")
@by_option
def signal_run(run: str, name: str, payload: dict[str, Any], by: str) -> None:
    """Send RUN the signal NAME, which it waits for or will wait for. Sending the same again changes nothing."""
    with on_servers("sending a signal") as coordinator:
        found = coordinator.run(run)
        signals = found.flow.signals if found.flow else {}
        if name not in signals:
            there = ", ".join(sorted(signals)) or "none"
            raise LoadError(
                f"the flow of run {printable(run, 80)} waits for no signal {printable(name, 80)!r}",
                f"the signals that it waits for: {there}",
                "load its flow with COORDINATOR_AGENTS, and name one of them",
            )
        found.signal(name, signals[name].from_data(payload), by)
        out.print(f"run {run}: {found.status()}")


@runs.command("pause")
@click.argument("run")
@by_option
def pause_run(run: str, by: str) -> None:
    """Hold RUN: steps that run now finish, nothing further begins until it is resumed."""
    with on_servers("pausing a run") as coordinator:
        out.print(f"run {run}: {coordinator.run(run).pause(by)}")


@runs.command("resume")
@click.argument("run")
@by_option
def resume_run(run: str, by: str) -> None:
    """Let a held RUN go on. It does within seconds."""
    with on_servers("resuming a run") as coordinator:
        out.print(f"run {run}: {coordinator.run(run).resume(by)}")


runs.add_command(edit_step)


def due_of(run: Run) -> dict[str, str]:
    """When a run is to begin, for programs; nothing where it began at once."""
    when = run.due()
    return {"due": when.isoformat()} if when else {}


def status_line(run: Run) -> str:
    """How a run is, and when it begins where that is to come."""
    status = run.status()
    due = "".join(f", due {when}" for when in due_of(run).values() if status == "scheduled")
    return f"status: {status}{due}"


def outline_of(coordinator: Coordinator, history: Sequence[dict[str, Any]]) -> Outline | None:
    """The flow of a run as it is loaded here, if it is."""
    flow = coordinator.flows.flows.get(history[0].get("flow", "")) if history else None
    return outline(flow) if flow else None


def _print_run(coordinator: Coordinator, run: Run, history: Sequence[dict[str, Any]]) -> None:
    doing = run.current()
    out.print(run_timeline(run.id, history, outline_of(coordinator, history), doing))
    if doing:
        out.print(now_table(doing))
    out.print(status_line(run))
    if any(entry.get("emitted") or entry.get("story") for entry in history):
        hint = f"its events, and what came of them: coordinator trace {printable(run.id, 200)}"
        out.print(hint, markup=False, soft_wrap=True)
