"""`coordinator worker`, `serve`, `beat`, `flower` and `health`: the processes of an installation."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click
from celery import Celery

from handoffs.config.flower import default_options, require_installed, require_login
from handoffs.config.health import HealthFile
from handoffs.config.health import main as print_health
from handoffs.config.settings import SettingsError, load
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import quoted
from handoffs.coordinator.cli.parameters import Count
from handoffs.coordinator.cli.session import configured
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.installation import Installation
from handoffs.coordinator.render.console import tell
from handoffs.coordinator.runtime.beat import Beat
from handoffs.coordinator.runtime.bootsteps import worker_engine
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.preflight import examine
from handoffs.coordinator.runtime.readiness import until_ready
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from handoffs.coordinator.runtime.metrics import MetricsServer

_log = logging.getLogger(__name__)

_PULSE = 2.0  # seconds


@click.command("worker")
@click.argument("names", metavar="AGENT...", nargs=-1, required=True)
@click.option(
    "--pool",
    type=click.Choice(["prefork", "threads"]),
    default="prefork",
    show_default=True,
    help="Threads for agents that wait for others; processes for those that compute, and for hard time limits.",
)
@click.option("--concurrency", type=Count(1, 1000), default=4, show_default=True, help="Steps at a time.")
@click.option("--name", help="The node's name before the @; by default the agent's.")
def worker(names: tuple[str, ...], pool: str, concurrency: int, name: str | None) -> None:
    """Be a worker of each AGENT, until SIGTERM or Ctrl-C. It then finishes the steps it has begun.

    The same as Celery's own command, which has more options:

    \b
    celery -A handoffs.coordinator.worker worker -Q AGENT -n AGENT@%h
    """
    with _held_on_error():
        engine = worker_engine(load())
        for agent in names:
            if agent not in engine.agents:
                raise LoadError(
                    f"there is no agent called {quoted(agent, 120)}",
                    f"loaded are: {', '.join(sorted(engine.agents))}",
                    "name the module that declares it in COORDINATOR_AGENTS",
                )
    queues = ",".join(engine.topology.queue_name(agent) for agent in names)
    options = ["--pool", pool, "--concurrency", str(concurrency), "--queues", queues]
    _run_celery(engine.app, "worker", "--hostname", f"{name or names[0]}@%h", *options)


@click.command("serve")
def serve() -> None:
    """Be the coordinator process: keep dead letters and history in the journal, publish what a crash left behind.

    Runs until SIGTERM or Ctrl-C. Any number may run at once.
    """
    with _held_on_error():
        settings = configured()
        refuse_embedded(settings, "the coordinator process")
        if settings.metrics is not None and find_spec("prometheus_client") is None:
            raise SettingsError(
                "COORDINATOR_METRICS is set, and prometheus-client is not installed",
                "nobody would answer there",
                "pip install 'handoffs[metrics]', or unset it",
            )
        telemetry = Telemetry(settings)
        engine = Engine(settings)
        journal = Journal.of(settings, upgrades=True)
    telemetry.begin()
    health = HealthFile(settings.health_file)
    stop = _stop_signal()

    _examine(partial(examine, engine, journal), health, stop)
    service = Service(engine, journal)
    with _held_on_error():
        metrics = _metrics(service, engine, journal)
    service.start()
    tell("coordinator: serving" + (f", metrics on port {metrics.port}" if metrics else ""))
    if not journal.sealed_with:
        _log.warning("the messages of dead letters are %s", journal.sealed())
    while not stop.wait(_PULSE):
        fault = service.fault()
        health.say("held" if fault else "ready", fault or "keeps dead letters and history")
    health.say("stopping", "it keeps the rest of the history")
    if metrics is not None:
        metrics.close()
    service.stop()
    engine.close()
    journal.close()
    telemetry.end()


def _metrics(service: Service, engine: Engine, journal: Journal) -> MetricsServer | None:
    """What answers Prometheus, where that is wanted. Raises :class:`SettingsError` where nobody can listen there."""
    address = engine.settings.metrics
    if address is None:
        return None
    from handoffs.coordinator.runtime.metrics import MetricsServer  # noqa: PLC0415 - an extra, for who sets it

    try:
        return MetricsServer(service.tally, Installation(engine.services, journal), address)
    except OSError as error:
        raise SettingsError(
            f"COORDINATOR_METRICS={address}: {error.strerror or error}",
            "the coordinator process has not begun",
            "give it an address of this machine, and a port that is free",
        ) from None


@click.command("beat")
def beat() -> None:
    """Start a run for each time of each schedule that is declared.

    Runs until SIGTERM or Ctrl-C. Any number may run at once: a time is started once. Where no schedule is
    declared it stays, and does nothing. `coordinator schedules list` shows what there is.
    """
    with _held_on_error():
        settings = configured()
        refuse_embedded(settings, "beat")
        telemetry = Telemetry(settings)
        declared = load_modules(settings.agents).schedules.values()
    health = HealthFile(settings.health_file)
    stop = _stop_signal()
    telemetry.begin()
    with closing(Engine(settings)) as engine:
        _examine(partial(examine, engine), health, stop)
        tell(f"coordinator: beat, {len(declared)} schedules")
        Beat(engine.services, declared).run(stop, health)
    telemetry.end()


@click.command("flower")
@click.option("--port", type=Count(1, 65535), default=5555, show_default=True)
@click.option("--address", default="0.0.0.0", show_default=True, help="The address to listen on.")  # noqa: S104
def flower(port: int, address: str) -> None:
    """Show workers and tasks in Flower, behind a user and a password.

    FLOWER_BASIC_AUTH (user:password) must be set; Flower reads its other options from FLOWER_* variables too.
    """
    with _held_on_error():
        require_installed()
        engine = worker_engine(load())
        require_login()
    from handoffs.coordinator.runtime.flower import guard  # noqa: PLC0415 - Flower is there for this command only
    from handoffs.coordinator.runtime.flower_pages import instruct  # noqa: PLC0415 - so are its pages

    guard()
    instruct(engine)
    _run_celery(engine.app, "flower", f"--port={port}", f"--address={address}", *default_options())


@click.command("health")
def health() -> None:
    """Whether the process that COORDINATOR_HEALTH_FILE belongs to is at work. Exit status 1 where it is not.

    In a container's health check use the same in less time: python -m handoffs.config.health
    """
    raise click.exceptions.Exit(print_health())


def _run_celery(app: Celery, *arguments: str) -> NoReturn:
    """Run one of Celery's own commands, and end as it does: ``app.start()`` would drop its exit status."""
    from celery.bin.celery import celery  # noqa: PLC0415 - it loads every command, Flower too: not for `--help`

    celery.params[0].default = app
    try:
        status = celery.main(arguments, standalone_mode=False)
    except SystemExit as end:
        if isinstance(end.code, str):
            tell(end.code)
        status = end.code if end.code is None or isinstance(end.code, int) else 1
    raise click.exceptions.Exit(status or 0)


def _examine(examination: Callable[[], object], health: HealthFile, stop: threading.Event) -> None:
    """Look whether the servers are in order: once, or until they are where there is a health file to say why they are not."""
    if health.path is None:
        examination()
    else:
        until_ready(examination, health, _ended_by(stop))


def _stop_signal() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()

    def stopped(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    return stop


def _ended_by(stop: threading.Event) -> Callable[[float], None]:
    """A pause that ends the program once ``stop`` is set."""

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise click.exceptions.Exit(0)

    return pause


@contextmanager
def _held_on_error() -> Iterator[None]:
    """Where there is a health file, write an error that no time will mend into it and stay until SIGTERM or Ctrl-C: started anew,
    the process would only fail anew. Elsewhere the error ends the program."""
    health = HealthFile.of_environment()
    health.say("starting", "it looks at its settings and its modules")
    try:
        yield
    except CoordinationError as error:
        if health.path is None:
            raise
        stop = _stop_signal()
        health.say("held", str(error))
        tell(f"coordinator: held: {error}")
        stop.wait()
        raise click.exceptions.Exit(1) from None
