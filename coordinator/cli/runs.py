"""`coordinator runs`: look at runs, hold them, and cancel them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click

from handoffs.contracts.contract import Contract
from handoffs.contracts.text import printable, quoted
from handoffs.coordinator.cli.ended import refuse_ended
from handoffs.coordinator.cli.exports import export_run
from handoffs.coordinator.cli.interventions import edit_step
from handoffs.coordinator.cli.options import (
    by_option,
    json_option,
    payload_option,
    reason_option,
)
from handoffs.coordinator.cli.run_compare import compare_runs
from handoffs.coordinator.cli.run_lists import find_runs, list_runs
from handoffs.coordinator.cli.run_watch import watch_run
from handoffs.coordinator.cli.servers import on_servers
from handoffs.coordinator.cli.unserved import tell_of_unserved
from handoffs.coordinator.cli.would_undo import dry_run_option, print_would_undo
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.client.run_view import run_json
from handoffs.coordinator.continuation.path import is_story
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.observe.outline import Outline, outline
from handoffs.coordinator.observe.unattended import nobody
from handoffs.coordinator.render.console import out, print_json, say, say_lines, tell
from handoffs.coordinator.render.run_timeline import now_table, run_timeline
from handoffs.coordinator.render.trace_report import print_trace
from handoffs.coordinator.store.run_state import ENDED

_TRACES = 3
"""Of how many parked steps it is shown where they failed."""


@click.group("runs")
def runs() -> None:
    """Look at runs, hold them, and cancel them."""


@runs.command("show")
@click.argument("run")
@json_option
def show_run(run: str, as_json: bool) -> None:
    """The timeline of RUN: every attempt, outcome, failure and replay, as its flow is nested; and what it does now.

    Each line has a bar from when the step began to when it ended, with dots before it for how long it waited; ``*`` marks
    what takes no time. The words of conditions and budgets are those of the flow as it is loaded here.
    """
    with on_servers("showing a run") as coordinator:
        found = coordinator.find_run(run)
        history = found.history()
        if as_json:
            print_json(run_json(found, history))
        elif history and is_story(str(history[0].get("flow", ""))):
            print_trace(coordinator.trace(found.id))  # it has no flow along which it could be drawn
            _say_usage(found)
            say(status_line(found))
        else:
            _print_run(coordinator, found, history)
        if found.status() not in ENDED:
            tell_of_unserved(coordinator)


@runs.command("cancel")
@click.argument("run")
@click.option("--compensate", is_flag=True, help="Undo what was done, as its flow says, the last step first.")
@dry_run_option
@reason_option
@by_option
def cancel_run(run: str, compensate: bool, dry_run: bool, by: str, why: str) -> None:
    """Cancel RUN: steps that run now finish, nothing further begins."""
    with on_servers("cancelling a run") as coordinator:
        found = coordinator.find_run(run)
        before = found.status()
        if dry_run:
            print_would_undo(found, compensate=compensate)
            return
        status = found.cancel(by, compensate=compensate, why=why)
        if compensate or before != "cancelled":  # to cancel it once more closes what still waits
            refuse_ended(
                found, "completed" if status == "completed" else before, "cancelled", undo=compensate
            )
        say(f"run {found.id}: {status}")


@runs.command("give-up")
@click.argument("run")
@dry_run_option
@reason_option
@by_option
def give_up_run(run: str, dry_run: bool, by: str, why: str) -> None:
    """Abandon RUN, for example where a step is parked for good: undo what was done, and cancel it."""
    with on_servers("giving up a run") as coordinator:
        found = coordinator.find_run(run)
        before = found.status()
        if dry_run:
            print_would_undo(found, compensate=True)
            return
        status = found.give_up(by, why=why)
        refuse_ended(found, "completed" if status == "completed" else before, "given up", undo=True)
        say(f"run {found.id}: {status}")


@runs.command("allow")
@click.argument("run")
@click.option("--tokens", type=int, help="It may use up so many in all.")
@click.option("--cost", type=float, help="It may cost so much in all.")
@reason_option
@by_option
def allow_run(run: str, tokens: int | None, cost: float | None, by: str, why: str) -> None:
    """Say what RUN may use up in all, from now on: the limit that its flow gives it (spending=...) is that no more.

    \b
    coordinator runs allow RUN --tokens 100000
    coordinator dead-letters replay --run RUN       its steps that are parked as over-budget go on

    What is not given stays as it is.
    """
    with on_servers("allowing a run more") as coordinator:
        found = coordinator.find_run(run)
        found.allow(tokens, cost, by=by, why=why)
        say(f"run {found.id}: it may use up {found.spending()}")


@runs.command("signal")
@click.argument("run")
@click.argument("name")
@payload_option("What the signal says")
@reason_option
@by_option
def signal_run(run: str, name: str, payload: dict[str, Any], by: str, why: str) -> None:
    """Send RUN the signal NAME, which it waits for or will wait for. Sending the same again changes nothing."""
    with on_servers("sending a signal") as coordinator:
        found = coordinator.find_run(run)
        found.signal(name, signal_contract(found, name).from_data(payload), by, why=why)
        say(f"the signal {quoted(name, 80)} was taken; {status_after(found)}")


@runs.command("pause")
@click.argument("run")
@reason_option
@by_option
def pause_run(run: str, by: str, why: str) -> None:
    """Hold RUN: steps that run now finish, nothing further begins until it is resumed."""
    with on_servers("pausing a run") as coordinator:
        found = coordinator.find_run(run)
        status = found.pause(by, why=why)
        refuse_ended(found, status, "paused")
        say(f"run {found.id}: {status}")


@runs.command("resume")
@click.argument("run")
@reason_option
@by_option
def resume_run(run: str, by: str, why: str) -> None:
    """Let a held RUN go on. It does within seconds."""
    with on_servers("resuming a run") as coordinator:
        found = coordinator.find_run(run)
        refuse_ended(found, found.status(), "resumed")
        say(f"run {found.id}: {found.resume(by, why=why)}")


runs.add_command(list_runs)
runs.add_command(find_runs)
runs.add_command(watch_run)
runs.add_command(edit_step)
runs.add_command(compare_runs)
runs.add_command(export_run)


def signal_contract(run: Run, name: str) -> type[Contract]:
    """The contract of a signal of a run. Raises :class:`~handoffs.coordinator.errors.LoadError` where its flow, as it is loaded here, waits
    for none of that name."""
    signals = run.flow.signals if run.flow else {}
    if name not in signals:
        there = ", ".join(sorted(signals)) or "none"
        raise LoadError(
            f"the flow of run {printable(run.id, 80)} waits for no signal {quoted(name, 80)}",
            f"the signals that it waits for: {there}",
            "load its flow with COORDINATOR_AGENTS, and name one of them",
        )
    return signals[name]


def status_after(run: Run) -> str:
    """A run and what it does now, once something was done to it."""
    return f"run {run.id}: {status_line(run).removeprefix('status: ')}"


def _say_usage(run: Run) -> None:
    """The same for people."""
    used, may = run.usage(), run.spending()
    if used or may:
        say(f"usage: {used}{f' of at most {may}' if may else ''}")


def status_line(run: Run) -> str:
    """How a run is, and when it begins where that is to come."""
    status = run.status()
    due = f", due {moment(run.due())}" if status == "scheduled" else ""
    waits = [f"{one.words()} of {one.contract} since {moment(one.since) or '?'}" for one in run.waiting()]
    if waits and status == "running":
        return f"status: waiting for {' and '.join(waits)}"
    return f"status: {status}{due}" + (f", waits for {' and '.join(waits)}" if waits else "")


def tell_of_nobody(run: Run) -> None:
    """Say, to standard error, for which agents of a run nobody is at work."""
    if missing := run.unattended():
        tell(f"coordinator: {'; '.join(nobody(missing))}")


def outline_of(coordinator: Coordinator, history: Sequence[Mapping[str, Any]]) -> Outline | None:
    """The flow of a run as it is loaded here, if it is."""
    flow = coordinator.flows.flows.get(history[0].get("flow", "")) if history else None
    return outline(flow) if flow else None


def _print_traces(parked: Collection[str], history: Sequence[Mapping[str, Any]]) -> None:
    """Print where the steps failed that are parked, of each the last time; of the first few of them."""
    traces = {
        entry["step"]: entry["trace"]
        for entry in history
        if entry.get("kind") == "parked" and entry.get("trace") and entry.get("step") in parked
    }
    for step, trace in list(traces.items())[:_TRACES]:
        say_lines(f"step {step}: {trace}\n")
    if len(traces) > _TRACES:
        say(f"and {len(traces) - _TRACES} more: coordinator dead-letters show LETTER")


def _print_run(coordinator: Coordinator, run: Run, history: Sequence[Mapping[str, Any]]) -> None:
    doing = run.current()
    out.print(run_timeline(run.id, history, outline_of(coordinator, history), doing))
    if doing:
        out.print(now_table(doing))
    _print_traces({one.step for one in doing if one.state == "parked"}, history)
    _say_usage(run)
    say(status_line(run))
    tell_of_nobody(run)
    if any(entry.get("emitted") or entry.get("story") for entry in history):
        hint = f"its events, and what came of them: coordinator trace {printable(run.id, 200)}"
        say(hint)
