"""The demo: a thousand payments, the ledger down for some of them, and every run brought to its end."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from handoffs.contracts import CoordinationError
from handoffs.coordinator import Coordinator, Run
from handoffs.coordinator.client.batch import Batch, batch_letters, read_lines, start_batch
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.render.console import err, out, print_json, table
from handoffs.coordinator.render.run_timeline import run_timeline
from handoffs.tasks.payments.flow import payment
from handoffs.tasks.payments.sample import SAMPLE_FILE
from handoffs.tasks.payments.systems import gateway, ledger

_OUTAGE_FROM = 0.25
_OUTAGE_PARKS = 40
_LONGEST = 300.0
_LOOK_EVERY = 0.25  # seconds
_LOOK_SHARE = 0.05
"""Of a processor's time, at most, for looking takes it from the work that is looked at."""
_LOOK_SELDOM = 2.0  # seconds


@dataclass(slots=True)
class Figures:
    """What the demo prints: counts of payments, lines and letters, and whether the books are right."""

    payments: int = 0
    completed: int = 0
    booked: int = 0
    declined: int = 0
    held: int = 0
    invalid: int = 0
    repeated: int = 0
    parked: int = 0
    replayed: int = 0
    charged: int = 0
    doubled: int = 0
    balanced: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class _Scene:
    """What the live table shows."""

    coordinator: Coordinator
    lines: int
    batch: Batch = field(default_factory=Batch)
    statuses: Counter[str] = field(default_factory=Counter)
    phase: str = "starting payments"
    ledger_up: bool = True
    most_parked: int = 0
    done: set[str] = field(default_factory=set)
    seen: tuple[int, int, int, int] = (0, 0, 0, 0)
    """How many lines were read, accepted, repeated and refused when it was looked last: what is shown adds up."""
    began: float = field(default_factory=time.monotonic)
    pause: float = _LOOK_EVERY
    looked: float = 0.0

    def look(self) -> None:
        """Ask for the statuses of the runs that are not known to be completed: that they stay."""
        began = time.thread_time()
        batch = self.batch
        started = list(batch.runs.values())
        seen = (len(started), batch.repeated, len(batch.refused))
        runs = [run for run in started if run.id not in self.done]
        found = self.coordinator.statuses(runs) if runs else []
        self.done.update(run.id for run, status in zip(runs, found, strict=True) if status == "completed")
        self.statuses = Counter(status for status in found if status != "completed")
        self.statuses["completed"] = len(self.done)
        self.seen = (sum(seen), *seen)
        self.most_parked = max(self.most_parked, self.statuses["parked"])
        self.pause = min(max(_LOOK_EVERY, (time.thread_time() - began) / _LOOK_SHARE), _LOOK_SELDOM)
        self.looked = time.monotonic()

    def draw(self) -> RenderableType:
        ended, elapsed = self.statuses["completed"], time.monotonic() - self.began
        read, accepted, repeated, refused = self.seen
        grid = Table.grid(padding=(0, 2))
        for name, count, style in (
            ("lines read", read, ""),
            ("payments accepted", accepted, ""),
            ("running", self.statuses["running"], "cyan"),
            ("completed", ended, "green"),
            ("parked", self.statuses["parked"], "red"),
            ("repeated lines", repeated, ""),
            ("refused lines", refused, "yellow"),
        ):
            width = int(40 * count / max(self.lines, 1))
            grid.add_row(name, Text(str(count), style=style, justify="right"), Text("█" * width, style=style))
        state = (
            Text("up", style="green")
            if self.ledger_up
            else Text("DOWN: its database is locked", style="bold red")
        )
        grid.add_row("ledger", "", state)
        head = Text(
            f"payments  {self.phase}  {elapsed:.0f} s  {ended / max(elapsed, 0.1):.0f} payments/s",
            style="bold",
        )
        return Group(head, grid)


def run(coordinator: Coordinator, *, as_json: bool = False) -> None:
    """Run the demo with ``coordinator`` and print what happened."""
    lines = _lines(coordinator, SAMPLE_FILE)
    scene = _Scene(coordinator, len(lines))
    figures = Figures()
    with _shown(scene, as_json):
        _pay(scene, lines)
        letters = batch_letters(coordinator, scene.batch, timeout=30)
    figures.parked = scene.most_parked
    if not as_json:
        out.print(_parked_table(letters))
    with _shown(scene, as_json):
        scene.phase = "replaying"
        for letter in letters:
            letter.replay(by="demo")
            figures.replayed += 1
        _until_ended(scene)
    _count(scene, figures)
    if as_json:
        print_json(asdict(figures))
        return
    out.print(
        table("what happened", ("", ""), [(name, str(value)) for name, value in asdict(figures).items()])
    )
    out.print(f"refused lines: {', '.join(str(refusal.line) for refusal in scene.batch.refused)}")
    shown = scene.batch.runs[letters[0].run] if letters else next(iter(scene.batch.runs.values()))
    out.print(run_timeline(shown.id, shown.history()))


def leave(coordinator: Coordinator) -> Run:
    """One more payment, while the ledger is locked: its run is parked, and is left to look at. The ledger works again after that."""
    data = json.loads(read_lines(SAMPLE_FILE)[0])
    data["payment_id"] = f"try-{uuid.uuid4().hex[:8]}"
    with ledger(coordinator.settings).outage():
        run = coordinator.start(payment, data)
        run.wait(timeout=_LONGEST)
    return run


def _lines(coordinator: Coordinator, file: Path) -> list[bytes]:
    """The sample. On servers that outlive the demo, each demo's payments get ids of their own."""
    lines = read_lines(file)
    if coordinator.settings.embedded:
        return lines
    own = f'"demo-{uuid.uuid4().hex[:8]}-pay-'.encode()
    return [line.replace(b'"pay-', own) for line in lines]


def _pay(scene: _Scene, lines: list[bytes]) -> None:
    """Start a payment for each line; when a quarter is started, take the ledger down until some runs are parked."""
    begin = threading.Event()
    outage = threading.Thread(target=_outage, args=(scene, begin), daemon=True)
    outage.start()

    def started(batch: Batch) -> None:
        scene.batch = batch
        if batch.lines >= _OUTAGE_FROM * len(lines):
            begin.set()

    scene.batch = start_batch(scene.coordinator, payment, lines, progress=started)
    begin.set()
    outage.join()
    scene.phase = "finishing what can be finished"
    _until_ended(scene)


def _outage(scene: _Scene, begin: threading.Event) -> None:
    """Lock the ledger's database for real, until enough runs are parked."""
    begin.wait()
    deadline = time.monotonic() + _LONGEST
    with ledger(scene.coordinator.settings).outage():
        scene.ledger_up = False
        while scene.statuses["parked"] < _OUTAGE_PARKS and time.monotonic() < deadline:
            time.sleep(scene.pause)
            scene.look()
    scene.ledger_up = True


def _until_ended(scene: _Scene) -> None:
    deadline = time.monotonic() + _LONGEST
    scene.look()
    while scene.statuses["running"]:
        if time.monotonic() > deadline:
            raise CoordinationError(
                f"{scene.statuses['running']} payments have not ended within {_LONGEST:.0f} s",
                "they go on",
                "are workers of all four agents running?",
            )
        time.sleep(scene.pause)
        scene.look()


def _parked_table(letters: list[Letter]) -> RenderableType:
    groups = Counter((letter.agent, letter.kind, letter.error, letter.text) for letter in letters)
    rows = [(str(count), *group) for group, count in groups.most_common(8)]
    return table(
        f"parked: {len(letters)} runs wait at the step that failed",
        ("runs", "agent", "kind", "error", "why"),
        rows,
    )


def _count(scene: _Scene, figures: Figures) -> None:
    runs: list[Run] = list(scene.batch.runs.values())
    outcomes = Counter(run.result(timeout=0).outcome for run in runs)
    settings = scene.coordinator.settings
    audit = ledger(settings).audit()
    figures.payments = len(runs)
    figures.completed = scene.statuses["completed"]
    figures.booked, figures.declined, figures.held = (
        outcomes["booked"],
        outcomes["declined"],
        outcomes["held"],
    )
    figures.invalid = len(scene.batch.refused)
    figures.repeated = scene.batch.repeated
    figures.charged = gateway(settings).charges().approved
    figures.doubled = audit.doubled
    figures.balanced = audit.balanced
    figures.seconds = round(time.monotonic() - scene.began, 1)


@contextmanager
def _shown(scene: _Scene, as_json: bool) -> Iterator[None]:
    """A live table on standard error while the block runs; nothing for programs."""
    if as_json:
        yield
        return
    stop = threading.Event()
    with Live(scene.draw(), console=err, refresh_per_second=4) as live:

        def redraw() -> None:
            while not stop.wait(_LOOK_EVERY):
                due = time.monotonic() >= scene.looked + scene.pause
                if due and scene.phase == "starting payments" and scene.ledger_up:
                    scene.look()
                live.update(scene.draw())

        painter = threading.Thread(target=redraw, daemon=True)
        painter.start()
        try:
            yield
        finally:
            stop.set()
            painter.join()
            live.update(scene.draw())
