"""The demo: rides while the ETA fleet is stopped, comes back slow and comes back well; every ride ends in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from handoffs.contracts import CoordinationError
from handoffs.contracts.reference.rides import RideRequested
from handoffs.coordinator import Coordinator
from handoffs.coordinator.render.console import err, out, print_json, table
from handoffs.tasks.rides import systems
from handoffs.tasks.rides.flow import ride
from handoffs.tasks.rides.requests import Requests, make_requests, read_requests
from handoffs.tasks.rides.show import FALLBACKS, PHASES, Plan, Show
from handoffs.tasks.rides.stage import open_stage
from handoffs.tasks.rides.timings import latencies

_SEED, _A_DAY, _RUSH_HOUR = 7, 4_000, 7
_LATELY = 3.0  # seconds
_STATES: Final = {
    "warming up": ("starting", "cyan"),
    "before": ("up", "green"),
    "stopped": ("STOPPED", "bold red"),
    "slow": ("SLOWER than its budget", "bold yellow"),
    "after": ("up again", "green"),
}
_PHASES: Final = {"before": "up", "stopped": "stopped", "slow": "slow", "after": "up again"}
_HOW_TO_STOP: Final = "see what budgets are good for, in another terminal: docker compose stop eta; and later: docker compose start eta"
_COLUMNS = ("p50", "p95", "p99", "max")


def run(
    coordinator: Coordinator,
    *,
    as_json: bool = False,
    seconds: float = 20.0,
    rate: float = 10.0,
    file: Path | None = None,
    running: bool = False,
) -> None:
    """Run the demo with ``coordinator`` and print what happened.

    ``file`` has the requests, one a line; by default they are made. With ``running`` the fleets that work on the servers
    already take the rides, and who runs them may stop ETA meanwhile. Raises
    :class:`~handoffs.contracts.CoordinationError` where the file cannot be read, or has none, or no worker is there.
    """
    if coordinator.settings.eager:
        raise CoordinationError(
            "the demo of rides is about time, and in eager mode there is none",
            "nothing was started",
            "unset COORDINATOR_EAGER",
        )
    found = _requests(file, seconds, rate)
    with open_stage(coordinator, ride, running=running) as stage:
        if running and not as_json:
            err.print(_HOW_TO_STOP)
        show = Show(stage, Plan(seconds, rate, found.rides, ride))
        with _shown(show, as_json):
            show.play()
    figures = {**show.figures(), "refused": len(found.refused)}
    if as_json:
        print_json(figures)
    else:
        _print(figures, found)


def _requests(file: Path | None, seconds: float, rate: float) -> Requests:
    if file is None:
        return Requests(rush_hour(int(seconds * rate)))
    found = read_requests(file)
    if not found.rides:
        raise CoordinationError(
            f"no line of the file is a ride request ({found.refused[0].cause})",
            "nothing was started",
            "write one ride request as a JSON object a line",
        )
    return found


def rush_hour(count: int) -> list[RideRequested]:
    """At least so many requests, from seven in the morning on."""
    day = make_requests(systems.city(), max(_A_DAY, 3 * count), _SEED)
    return [one for one in day if one.requested_at.hour >= _RUSH_HOUR]


def _print(figures: dict[str, Any], found: Requests) -> None:
    out.print(latency_table(figures))
    overrun = figures["overrun_ms"]
    lost = figures["lost"]
    out.print(f"{figures['requests']} rides, {lost} lost", style="green" if not lost else "bold red")
    if overrun:
        out.print(
            f"fallbacks took over {overrun['p50']:.0f} ms after the budget (p99: {overrun['p99']:.0f} ms);"
            f" ETA recovered in {figures['recovery_s']:.1f} s"
        )
    if found.refused:
        lines = ", ".join(str(refusal.line) for refusal in found.refused[:20])
        more = ", ..." if len(found.refused) > 20 else ""
        out.print(f"{len(found.refused)} lines are no ride request: {lines}{more}", style="yellow")


def latency_table(figures: dict[str, Any]) -> RenderableType:
    """Figures of a show: by phase, the latency of each agent and of the whole, and how often what stood in for whom."""
    names = [phase for phase in PHASES if phase != "slow" or figures["where"] != "running"]
    phases = [figures["phases"][phase] for phase in names]
    budgets = figures["budgets_ms"]
    rows: list[tuple[str, ...]] = [("rides", *(str(of["requests"]) for of in phases))]
    for name in ("whole", "matching", "pricing", "eta", "dispatcher"):
        within = f" (within {budgets[name]})" if name in budgets else ""
        rows.append((name + within, *(_percentiles(of["latency_ms"][name]) for of in phases)))
    rows.append(("fallbacks", *(_share(of["fallback_share"]) for of in phases)))
    for kind in FALLBACKS:
        counts = [of["fallbacks"][kind] for of in phases]
        if any(counts):
            rows.append((f"  {kind}", *(str(count or "") for count in counts)))
    titles = [f"ETA {_PHASES[phase]}" for phase in names]
    return table("p50, p95, p99 in milliseconds", ("", *titles), rows)


def _percentiles(found: dict[str, float] | None) -> str:
    return "  ".join(f"{_ms(found, name):>3}" for name in ("p50", "p95", "p99"))


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _ms(found: dict[str, float] | None, name: str) -> str:
    return f"{found[name]:.0f}" if found else "-"


class _Scene:
    """What the live table shows: the last seconds."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._began = time.monotonic()

    def draw(self) -> RenderableType:
        now, rides = time.time(), self._show.rides()
        lately = [one for one in rides if one.ended > now - _LATELY]
        found = latencies(lately)
        state, style = _STATES[self._show.phase]
        asked, elapsed = len(self._show.runs), time.monotonic() - self._began
        head = Text.assemble(
            (f"rides  {elapsed:.0f} s  {len(lately) / _LATELY:.1f} a second  ", "bold"),
            f"asked for {asked}  dispatched {len(rides)}  under way {asked - len(rides)}",
        )
        grid = Table.grid(padding=(0, 2))
        grid.add_row("", *(Text(f"{name} ms", justify="right", style="dim") for name in _COLUMNS))
        for name, took in found.items():
            cells = [_ms(took, column) for column in _COLUMNS]
            grid.add_row(name, *(Text(cell, justify="right") for cell in cells))
        share = sum(one.fell_back for one in lately) / len(lately) if lately else 0.0
        foot = Text.assemble(
            "ETA fleet ", (state, style), f"   fallbacks {share:.0%} ", ("█" * int(30 * share), "yellow")
        )
        return Group(head, grid, foot)


@contextmanager
def _shown(show: Show, as_json: bool) -> Iterator[None]:
    """A live table on standard error while the block runs; nothing for programs."""
    if as_json:
        yield
        return
    scene, stop = _Scene(show), threading.Event()
    with Live(scene.draw(), console=err, refresh_per_second=4) as live:

        def redraw() -> None:
            while not stop.wait(0.5):
                live.update(scene.draw())

        painter = threading.Thread(target=redraw, daemon=True)
        painter.start()
        try:
            yield
        finally:
            stop.set()
            painter.join()
            live.update(scene.draw())
