"""The commands. Each is a thin skin over the Python API."""

from __future__ import annotations

import inspect
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Unpack

import click
from celery import Celery
from rich.progress import Progress

from handoffs.config.flower import column_options, require_login, show_queues
from handoffs.config.health import HealthFile
from handoffs.config.health import main as print_health
from handoffs.config.settings import load
from handoffs.contracts import strictjson
from handoffs.contracts.errors import CoordinationError, InvalidInput
from handoffs.contracts.text import printable
from handoffs.coordinator.cli import deployments
from handoffs.coordinator.cli.actions import actions
from handoffs.coordinator.cli.contracts import contracts
from handoffs.coordinator.cli.events import events
from handoffs.coordinator.cli.flows import flows
from handoffs.coordinator.cli.interventions import edit_letter, edit_step, skip_letter
from handoffs.coordinator.cli.map import topology_map
from handoffs.coordinator.cli.schedules import schedules
from handoffs.coordinator.cli.session import configured, opened
from handoffs.coordinator.cli.trace import trace
from handoffs.coordinator.client.batch import Batch, batch_letters, read_lines, start_batch
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.continuation.path import is_story
from handoffs.coordinator.errors import LoadError, RunNotCompleted
from handoffs.coordinator.flow.loading import find_demo, load_modules
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.desk import Letter
from handoffs.coordinator.observe.outline import Outline, outline
from handoffs.coordinator.render.console import bar, err, out, print_json, table
from handoffs.coordinator.render.run_timeline import now_table, run_timeline
from handoffs.coordinator.render.trace_report import print_trace
from handoffs.coordinator.runs import due
from handoffs.coordinator.runtime.beat import Beat
from handoffs.coordinator.runtime.bootsteps import worker_engine
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.preflight import examine
from handoffs.coordinator.runtime.readiness import until_ready
from handoffs.coordinator.runtime.service import Service

_UNFINISHED = 3
_PULSE = 2.0  # seconds

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. A user's mistake ends in one line on standard error and a non-zero exit."""
    try:
        status = cli.main(args=arguments, prog_name="coordinator", standalone_mode=False)
        if isinstance(status, int) and status:
            sys.exit(status)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        err.print("coordinator: stopped")
        sys.exit(130)
    except CoordinationError as error:
        err.print(f"coordinator: {error}", markup=False, soft_wrap=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="handoff-coordinator", prog_name="coordinator")
def cli() -> None:
    """Coordinates agents: starts flows, shows runs, and brings back what failed.

    Settings come from COORDINATOR_* variables. With none set everything runs in this process, and ends with it.

    \b
    coordinator demo payments                                        see it work, no server needed
    coordinator start payments.payment --input payments.jsonl        a run for each line
    coordinator events emit NAME --payload '{...}'                   an event, to all who subscribe to it
    coordinator trace ID                                             what became of it, and of all that it led to
    coordinator map                                                  who is there, and what goes from whom to whom
    coordinator dead-letters list                                    what failed and waits
    coordinator dead-letters replay --flow payments.payment          go on where it failed
    """


cli.add_command(actions)
cli.add_command(contracts)
cli.add_command(flows)
cli.add_command(schedules)
cli.add_command(events)
cli.add_command(trace)
cli.add_command(topology_map)
for _command in deployments.COMMANDS:
    contracts.add_command(_command)


@cli.command()
@click.argument("flow")
@click.option(
    "--input", "file", type=click.Path(path_type=Path), help="A JSON Lines file: one run for each line."
)
@click.option("--payload", help="The input of one run, as a JSON object.")
@click.option("--key", help="The idempotency key of the one run; by default the payload's own.")
@click.option(
    "--timeout", type=float, default=300.0, show_default=True, help="Seconds to wait for runs to end."
)
@click.option("--no-wait", is_flag=True, help="Return when the runs are accepted (needs servers).")
@click.option(
    "--at",
    "begins",
    metavar="WHEN",
    help="Accept the runs now, and begin them then: 2026-12-01T09:00:00+01:00, or +90m. Implies --no-wait.",
)
@_json
def start(
    flow: str,
    file: Path | None,
    payload: str | None,
    key: str | None,
    timeout: float,
    no_wait: bool,
    begins: str | None,
    as_json: bool,
) -> None:
    """Start runs of FLOW, and wait until each has ended or is parked.

    Exit status: 0 all completed, 3 some line was refused or some run has not completed, 1 nothing could be done.
    """
    if (file is None) == (payload is None):
        raise click.UsageError("give either --input FILE or --payload JSON")
    at = _when(begins)
    with opened(quiet=True) as coordinator:
        no_wait = no_wait or at is not None
        if no_wait:
            refuse_embedded(coordinator.settings, "--at" if at is not None else "--no-wait")
        if payload is not None:
            _start_one(coordinator, flow, payload, key, None if no_wait else timeout, as_json, at)
        elif file is not None:
            _start_file(coordinator, flow, file, 0.0 if no_wait else timeout, as_json, at)


@cli.group()
def runs() -> None:
    """Look at runs, hold them, and cancel them."""


@runs.command("list")
@click.option("--limit", default=50, show_default=True, help="How many of the newest.")
@_json
def list_runs(limit: int, as_json: bool) -> None:
    """The newest runs."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "listing runs")
        begun = coordinator.journal.history.recent_runs(limit)
        records = coordinator.engine.runs.states([entry["run"] for entry in begun])
        rows = [
            (
                entry["run"],
                entry["flow"],
                record.status if record else "ended",
                entry["at"],
                entry.get("due", ""),
            )
            for entry, record in zip(begun, records, strict=True)
        ]
        columns = ("run", "flow", "status", "started", "due")
        if as_json:
            _show(as_json, "runs", columns, rows)
        else:
            shown = [(*row[:3], f"due {row[4]}" if row[2] == "scheduled" else row[3]) for row in rows]
            out.print(table("runs", columns[:4], shown))


@runs.command("show")
@click.argument("run")
@_json
def show_run(run: str, as_json: bool) -> None:
    """The timeline of RUN: every attempt, outcome, failure and replay, as its flow is nested; and what it does now.

    Each line has a bar from when the step began to when it ended, with dots before it for how long it waited; ``*`` marks
    what takes no time. The words of conditions and budgets are those of the flow as it is loaded here.
    """
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "showing a run")
        found = coordinator.run(run)
        story, doing = found.history(), found.current()
        if as_json:
            now = [{**one.to_json(), "says": one.words()} for one in doing]
            print_json({"run": run, "status": found.status(), **_due(found), "now": now, "history": story})
        elif story and is_story(str(story[0].get("flow", ""))):
            print_trace(coordinator.trace(run))  # it has no flow along which it could be drawn
            out.print(_told(found.status(), found))
        else:
            out.print(run_timeline(run, story, _drawn(coordinator, story), doing))
            if doing:
                out.print(now_table(doing))
            out.print(_told(found.status(), found))
            if any(entry.get("emitted") or entry.get("story") for entry in story):
                hint = f"its events, and what came of them: coordinator trace {printable(run, 200)}"
                out.print(hint, markup=False, soft_wrap=True)


@runs.command("cancel")
@click.argument("run")
@click.option("--compensate", is_flag=True, help="Undo what was done, as its flow says, the last step first.")
@click.option("--by", default="", metavar="WHO", help="Who does it; it is in the run's history.")
def cancel_run(run: str, compensate: bool, by: str) -> None:
    """Cancel RUN: steps that run now finish, nothing further begins."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "cancelling a run")
        out.print(f"run {run}: {coordinator.run(run).cancel(by, compensate=compensate)}")


@runs.command("give-up")
@click.argument("run")
@click.option("--by", default="", metavar="WHO", help="Who does it; it is in the run's history.")
def give_up_run(run: str, by: str) -> None:
    """Abandon RUN, for example where a step is parked for good: undo what was done, and cancel it."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "giving up a run")
        out.print(f"run {run}: {coordinator.run(run).give_up(by)}")


@runs.command("signal")
@click.argument("run")
@click.argument("name")
@click.option("--payload", required=True, help="What the signal says, as a JSON object.")
@click.option("--by", default="", metavar="WHO", help="Who sends it; it is in the run's history.")
def signal_run(run: str, name: str, payload: str, by: str) -> None:
    """Send RUN the signal NAME, which it waits for or will wait for. Sending the same again changes nothing."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "sending a signal")
        found = coordinator.run(run)
        signals = found.flow.signals if found.flow else {}
        if name not in signals:
            there = ", ".join(sorted(signals)) or "none"
            raise LoadError(
                f"the flow of run {printable(run, 80)} waits for no signal {printable(name, 80)!r}",
                f"the signals that it waits for: {there}",
                "load its flow with COORDINATOR_AGENTS, and name one of them",
            )
        found.signal(name, signals[name].from_data(strictjson.loads(payload)), by)
        out.print(f"run {run}: {found.status()}")


@runs.command("pause")
@click.argument("run")
@click.option("--by", default="", metavar="WHO", help="Who does it; it is in the run's history.")
def pause_run(run: str, by: str) -> None:
    """Hold RUN: steps that run now finish, nothing further begins until it is resumed."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "pausing a run")
        out.print(f"run {run}: {coordinator.run(run).pause(by)}")


@runs.command("resume")
@click.argument("run")
@click.option("--by", default="", metavar="WHO", help="Who does it; it is in the run's history.")
def resume_run(run: str, by: str) -> None:
    """Let a held RUN go on. It does within seconds."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "resuming a run")
        out.print(f"run {run}: {coordinator.run(run).resume(by)}")


@cli.group("dead-letters")
def dead_letters() -> None:
    """Look at what failed, and send it on its way again."""


_filters: list[Callable[[Any], Any]] = [
    click.option("--flow", default="", help="Only of this flow."),
    click.option("--agent", default="", help="Only of this agent."),
    click.option("--run", default="", help="Only of this run."),
    click.option("--kind", default="", help="Only of this kind: error, invalid-input, time-limit, ..."),
]


def _filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_filters):
        command = option(command)
    return command


@dead_letters.command("list")
@_filtered
@click.option("--all", "everything", is_flag=True, help="Also those that were replayed or settled.")
@_json
def list_letters(everything: bool, as_json: bool, **filters: Unpack[LetterFilter]) -> None:
    """What waits: why, where, since when."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "listing dead letters")
        filters["state"] = None if everything else "waiting"
        letters = coordinator.dead_letters(**filters)
        if as_json:
            print_json([shown(letter) for letter in letters])
        else:
            out.print(letter_table(letters))


@dead_letters.command("show")
@click.argument("letter")
@_json
def show_letter(letter: str, as_json: bool) -> None:
    """One dead letter: its error, its input with sensitive values masked, and what to do."""
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "showing a dead letter")
        found = coordinator.desk.letter(letter)
        if as_json:
            print_json(shown(found))
        else:
            rows = [
                (name, json.dumps(value) if isinstance(value, (dict, list)) else value)
                for name, value in shown(found).items()
            ]
            out.print(table(f"dead letter {letter}", ("", ""), rows))


dead_letters.add_command(edit_letter)
dead_letters.add_command(skip_letter)
runs.add_command(edit_step)


@dead_letters.command("replay")
@click.argument("letters", nargs=-1)
@_filtered
@click.option("--all", "everything", is_flag=True, help="Everything that waits.")
@_json
def replay_letters(
    letters: tuple[str, ...], everything: bool, as_json: bool, **filters: Unpack[LetterFilter]
) -> None:
    """Replay LETTERS by id, or those that a filter selects: each run goes on at the step that failed."""
    if not letters and not everything and not any(filters.values()):
        raise click.UsageError("name letters, give a filter such as --flow, or say --all")
    with opened() as coordinator:
        refuse_embedded(coordinator.settings, "replaying dead letters")
        chosen = (
            [coordinator.desk.letter(letter).id for letter in letters]
            if letters
            else list(coordinator.journal.letters.ids(**filters))
        )
        done, refused = [], []
        with bar() as progress:
            for letter in progress.track(chosen, description="replaying"):
                try:
                    coordinator.desk.replay(letter)
                    done.append(letter)
                except CoordinationError as error:
                    refused.append({"letter": letter, "reason": str(error)})
        if as_json:
            print_json({"replayed": done, "refused": refused})
        else:
            out.print(f"{len(done)} replayed")
            for refusal in refused:
                err.print(f"{refusal['letter']}: {refusal['reason']}", markup=False)
        if refused:
            raise click.exceptions.Exit(_UNFINISHED)


@cli.command()
@_json
def agents(as_json: bool) -> None:
    """The agents that are loaded; each has a queue of its name."""
    settings = load()
    rows = [
        (
            agent.name,
            settings.prefix + agent.name,
            str(agent.accepts.ref()),
            str(agent.emits.ref()),
            agent.retry.attempts,
        )
        for agent in load_modules(settings.agents).agents.values()
    ]
    _show(as_json, "agents", ("agent", "queue", "accepts", "emits", "attempts"), rows)


@cli.command()
@_json
def check(as_json: bool) -> None:
    """Whether settings, modules and servers are in order. Exit status 1 where one is not."""
    settings = configured()
    load_modules(settings.agents)
    if settings.embedded:
        _show(as_json, "check", ("what", "state"), [("servers", "none set: embedded in each process")])
        return
    with opened() as coordinator:
        coordinator.engine.register(coordinator.flows.agents.values())
        rows = examine(coordinator.engine, coordinator.journal)
        _show(as_json, "check", ("what", "state"), rows)


@cli.command()
@click.argument("names", metavar="AGENT...", nargs=-1, required=True)
@click.option(
    "--pool",
    type=click.Choice(["prefork", "threads"]),
    default="prefork",
    show_default=True,
    help="Threads for agents that wait for others; processes for those that compute, and for hard time limits.",
)
@click.option("--concurrency", type=click.IntRange(1), default=4, show_default=True, help="Steps at a time.")
@click.option("--name", help="The node's name before the @; by default the agent's.")
def worker(names: tuple[str, ...], pool: str, concurrency: int, name: str | None) -> None:
    """Be a worker of each AGENT, until told to stop (SIGTERM or Ctrl-C). It then finishes the steps it has begun.

    The same as Celery's own command, which has more options:

    \b
    celery -A handoffs.coordinator.worker worker -Q AGENT -n AGENT@%h
    """
    with _held_on_error():
        engine = worker_engine(load())
        for agent in names:
            if agent not in engine.agents:
                raise LoadError(
                    f"there is no agent called {printable(agent, 120)!r}",
                    f"loaded are: {', '.join(sorted(engine.agents))}",
                    "name the module that declares it in COORDINATOR_AGENTS",
                )
    queues = ",".join(engine.topology.queue_name(agent) for agent in names)
    options = ["--pool", pool, "--concurrency", str(concurrency), "--queues", queues]
    _run_celery(engine.app, "worker", "--hostname", f"{name or names[0]}@%h", *options)


@cli.command()
def serve() -> None:
    """Be the coordinator process: keep dead letters and history in the journal, publish what a crash left behind.

    Runs until it is told to stop (SIGTERM or Ctrl-C). Any number may run at once.
    """
    with _held_on_error():
        settings = configured()
        refuse_embedded(settings, "the coordinator process")
        engine = Engine(settings)
        journal = Journal(settings.journal, upgrades=True)
    health = HealthFile(settings.health_file)
    stop = _stop_signal()

    def examined() -> None:
        examine(engine, journal)

    if settings.health_file:
        until_ready(examined, health, _ended_by(stop))
    else:
        examined()
    service = Service(engine, journal)
    service.start()
    err.print("coordinator: serving")
    while not stop.wait(_PULSE):
        fault = service.fault()
        health.say("held" if fault else "ready", fault or "keeps dead letters and history")
    health.say("stopping", "it keeps the rest of the history")
    service.stop()
    engine.close()
    journal.close()


@cli.command()
def beat() -> None:
    """Start a run for each time of each schedule that is declared.

    Runs until it is told to stop (SIGTERM or Ctrl-C). Any number may run at once: a time is started once. Where no schedule is
    declared it stays, and does nothing. `coordinator schedules list` shows what there is.
    """
    with _held_on_error():
        settings = configured()
        refuse_embedded(settings, "beat")
        declared = load_modules(settings.agents).schedules.values()
    health = HealthFile(settings.health_file)
    stop = _stop_signal()
    with closing(Engine(settings)) as engine:
        if settings.health_file:
            until_ready(partial(examine, engine), health, _ended_by(stop))
        else:
            examine(engine)
        err.print(f"coordinator: beat, {len(declared)} schedules")
        Beat(engine.services, declared).run(stop, health)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5555, show_default=True)
@click.option("--address", default="0.0.0.0", show_default=True, help="The address to listen on.")  # noqa: S104
def flower(port: int, address: str) -> None:
    """Show workers and tasks in Flower, behind a user and a password.

    FLOWER_BASIC_AUTH (user:password) must be set; Flower reads its other options from FLOWER_* variables too.
    """
    with _held_on_error():
        engine = worker_engine(load())
        require_login()
    topology = engine.topology
    own = [topology.dead_letters, topology.unheard_events, topology.timers]
    show_queues([*map(topology.queue_name, engine.agents), *(str(queue.name) for queue in own)])
    _run_celery(engine.app, "flower", f"--port={port}", f"--address={address}", *column_options())


@cli.command()
def health() -> None:
    """Whether the process that COORDINATOR_HEALTH_FILE belongs to is at work. Exit status 1 where it is not.

    In a container's health check use the same in less time: python -m handoffs.config.health
    """
    raise click.exceptions.Exit(print_health())


@cli.command()
@click.argument("system")
@click.option("--seconds", type=click.FloatRange(3, 3600), help="How long it is to take (rides: 20).")
@click.option(
    "--rate", type=click.FloatRange(0.1, 1000), help="How many requests are made in a second (rides: 10)."
)
@click.option(
    "--input",
    "file",
    type=click.Path(path_type=Path),
    help="A JSON Lines file of ride requests (rides: made).",
)
@click.option("--titles", type=click.IntRange(1, 100_000), help="How many titles at once (media: 50).")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="A new folder for the files (media: gone in the end).",
)
@click.option(
    "--running",
    is_flag=True,
    default=None,
    help="On servers: with the workers that run there already, such as those of docker compose (rides, media).",
)
@click.option(
    "--film",
    metavar="JSON",
    help="With --running: the film in their object store, as handoffs.tasks.media.upload prints it there (media).",
)
@_json
def demo(system: str, as_json: bool, **options: Any) -> None:
    """Show a reference SYSTEM at work: payments, rides, or media.

    payments: a thousand payments, the ledger down for some; what is parked is replayed until every run has ended.

    rides: the ETA fleet is stopped for a while and comes back slow; dispatch goes on within its budgets. On servers it
    starts workers of its own, in a namespace of its own.

    media: one title, transcoded for real where ffmpeg is installed, agent by agent; then many titles at once, every rendition
    counted. On servers it starts fleets of its own, in a namespace of its own.

    On what `make up` has started, make demo-up SYSTEM=... says all that is needed.
    """
    module = find_demo(system)
    given = {name: value for name, value in options.items() if value is not None}
    for name in given.keys() - inspect.signature(module.run).parameters.keys():
        raise click.UsageError(f"the demo of {system} has no --{'input' if name == 'file' else name}")
    with opened(quiet=True) as coordinator:
        module.run(coordinator, as_json=as_json, **given)


def shown(letter: Letter) -> dict[str, Any]:
    """A letter as people may see it: everything but the message itself."""
    row = letter.row
    fields = {name: getattr(row, name) for name in row.__slots__ if name != "message"}
    edits = [
        {"number": edit.number, "at": edit.at, "who": edit.who, "why": edit.why} for edit in letter.edits
    ]
    return {**fields, "remedy": letter.remedy, "edits": edits}


def letter_table(letters: Sequence[Letter]) -> Any:
    """Letters as a table."""
    rows = [
        (row.id, row.state, row.flow, f"{row.step} {row.agent}", row.kind, row.text, row.last_failed_at)
        for row in (letter.row for letter in letters)
    ]
    return table(
        f"dead letters: {len(rows)}", ("letter", "state", "flow", "step", "kind", "why", "since"), rows
    )


def _run_celery(app: Celery, *arguments: str) -> NoReturn:
    """Run one of Celery's own commands, and end as it does: ``app.start()`` would drop its exit status."""
    from celery.bin.celery import celery  # noqa: PLC0415 - it loads every command, Flower too: not for `--help`

    celery.params[0].default = app
    raise click.exceptions.Exit(celery.main(arguments, standalone_mode=False) or 0)


def _stop_signal() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()

    def stopped(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    return stop


def _ended_by(stop: threading.Event) -> Callable[[float], None]:
    """A pause that ends the program when it is told to stop."""

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise click.exceptions.Exit(0)

    return pause


@contextmanager
def _held_on_error() -> Iterator[None]:
    """Where somebody reads the health file, an error that no time will mend is said there, and the process stays until
    it is told to stop: started anew, it would only fail anew. Elsewhere the error ends the program."""
    health = HealthFile.of_environment()
    health.say("starting", "it looks at its settings and its modules")
    try:
        yield
    except CoordinationError as error:
        if health.path is None:
            raise
        stop = _stop_signal()
        health.say("held", str(error))
        err.print(f"coordinator: held: {error}", markup=False, soft_wrap=True)
        stop.wait()
        raise click.exceptions.Exit(1) from None


def _show(as_json: bool, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        out.print(table(title, columns, rows))


def _start_one(
    coordinator: Coordinator,
    flow: str,
    payload: str,
    key: str | None,
    timeout: float | None,
    as_json: bool,
    at: datetime | timedelta | None,
) -> None:
    try:
        run = coordinator.start(flow, strictjson.loads(payload), idempotency_key=key, at=at)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None
    if timeout is not None:
        run.wait(timeout)
    status = run.status()
    story = run.history()
    if as_json:
        print_json({"run": run.id, "status": status, **_due(run), "history": story})
    else:
        out.print(run_timeline(run.id, story, _drawn(coordinator, story), run.current()))
        out.print(_told(status, run))
        if status == "parked":
            err.print(f"coordinator: {_reason(run)}", markup=False)
    if timeout is not None and status != "completed":
        raise click.exceptions.Exit(_UNFINISHED)


def _when(text: str | None) -> datetime | timedelta | None:
    try:
        return due.read(text) if text is not None else None
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None


def _due(run: Run) -> dict[str, str]:
    when = run.due()
    return {"due": when.isoformat()} if when else {}


def _told(status: str, run: Run) -> str:
    """How a run is, and when it begins where that is to come."""
    return f"status: {status}" + "".join(
        f", due {when}" for when in _due(run).values() if status == "scheduled"
    )


def _drawn(coordinator: Coordinator, story: Sequence[dict[str, Any]]) -> Outline | None:
    """The flow of a run as it is loaded here, if it is."""
    flow = coordinator.flows.flows.get(story[0].get("flow", "")) if story else None
    return outline(flow) if flow else None


def _reason(run: Run) -> str:
    try:
        run.result(0)
    except RunNotCompleted as error:
        return str(error)
    return ""


def _start_file(
    coordinator: Coordinator,
    flow: str,
    file: Path,
    timeout: float,
    as_json: bool,
    at: datetime | timedelta | None,
) -> None:
    lines = read_lines(file)
    loaded = coordinator.flows.flow(flow)
    with bar() as progress:
        batch = _start_lines(coordinator, loaded, lines, progress, at)
        statuses = await_batch(coordinator, batch, timeout, progress)
    letters = batch_letters(coordinator, batch, timeout=5) if statuses["parked"] else []
    report = {
        "flow": flow,
        "lines": len(lines),
        "runs": len(batch.runs),
        "repeated": batch.repeated,
        "refused": len(batch.refused),
        **{status: statuses[status] for status in ("completed", "parked", "running", "cancelled")},
        **({"scheduled": statuses["scheduled"]} if at is not None else {}),
    }
    if as_json:
        refused = [{"line": refusal.line, "reason": refusal.reason} for refusal in batch.refused]
        print_json(
            {**report, "refused_lines": refused, "dead_letters": [shown(letter) for letter in letters]}
        )
    else:
        if batch.refused:
            rows = [(refusal.line, refusal.reason) for refusal in batch.refused]
            out.print(table("refused lines", ("line", "reason"), rows))
        if letters:
            out.print(letter_table(letters))
        out.print(
            table(f"{file.name} -> {flow}", ("", ""), [(name, str(value)) for name, value in report.items()])
        )
    if batch.refused or statuses["completed"] + statuses["scheduled"] != len(batch.runs):
        raise click.exceptions.Exit(_UNFINISHED)


def _start_lines(
    coordinator: Coordinator,
    flow: Any,
    lines: list[bytes],
    progress: Progress,
    at: datetime | timedelta | None,
) -> Batch:
    task = progress.add_task("starting", total=len(lines))
    return start_batch(
        coordinator, flow, lines, at=at, progress=lambda batch: progress.update(task, completed=batch.lines)
    )


def await_batch(coordinator: Coordinator, batch: Batch, timeout: float, progress: Progress) -> Counter[str]:
    """Wait until each run has ended or is parked, at most ``timeout`` seconds. Gives the number of runs by status."""
    runs = list(batch.runs.values())
    task = progress.add_task("running", total=len(runs))
    deadline = time.monotonic() + timeout
    while True:
        statuses: Counter[str] = Counter(coordinator.statuses(runs)) if runs else Counter()
        progress.update(task, completed=len(runs) - statuses["running"])
        if not statuses["running"] or time.monotonic() > deadline:
            return statuses
        time.sleep(0.1)
