"""Rides on real servers while the ETA fleet is killed, comes back slow, and comes back well: latency over time.

The servers are started for it. Workers are processes: matching, ETA, and one for all others, with the threads pool; the
coordinator process is another. It prints the same table as ``coordinator demo rides``, says how exact the fallbacks were,
and draws a picture.

    python -m bench.rides_outage [--seconds 60] [--rate 20] [--picture rides.png] [--json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from rich.console import Console

from handoffs.config.settings import Settings
from handoffs.coordinator import Coordinator
from handoffs.tasks.rides.demo import latency_table, rush_hour
from handoffs.tasks.rides.flow import ride
from handoffs.tasks.rides.show import BUDGETS_MS, PHASES, Plan, Show
from handoffs.tasks.rides.stage import open_stage
from tests.servers import open_servers

_EXACT_MS = 50
_SHADES = {"stopped": ("#d62728", "ETA killed"), "slow": ("#ff7f0e", "ETA slower than its budget")}
_DOTS = {
    "": ("#1f77b4", "no fallback"),
    "cached": ("#2ca02c", "ETA of an earlier trip"),
    "estimated": ("#9467bd", "ETA as the crow flies"),
    "no-driver": ("#111111", "no driver in time"),
    "flat-fare": ("#8c564b", "flat fare"),
}


def main() -> None:
    """Run the benchmark, print the figures and draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long it takes, at least")
    parser.add_argument("--rate", type=float, default=20, help="rides a second")
    parser.add_argument("--picture", type=Path, default=Path("rides-outage.png"), help="where it is drawn")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with open_servers() as servers:
        settings = Settings(
            broker_url=servers.broker_url,
            redis_url=servers.redis_url,
            journal_url=servers.postgres_url,
            agents=("handoffs.tasks.rides",),
        )
        with Coordinator(settings) as coordinator, open_stage(coordinator, ride) as stage:
            show = Show(stage, Plan(options.seconds, options.rate, rush_hour(2_000), ride))
            show.play()
            figures = {**show.figures(), "where": servers.versions}
    _draw(show, figures, options.picture)
    _print(figures, options)


def _print(figures: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(
        f"{figures['requests']} rides, {options.rate:g} a second, {figures['lost']} lost; {figures['where']}"
    )
    Console(width=110, highlight=False).print(latency_table(figures))
    for phase, found in [
        ("all", figures["overrun_ms"]),
        *((p, figures["phases"][p]["overrun_ms"]) for p in PHASES),
    ]:
        if found:
            verdict = "within" if found["p99"] <= _EXACT_MS else "NOT within"
            print(
                f"fallbacks after their budget, from start(), {phase}: p50 {found['p50']} ms, p95 {found['p95']} ms,"
                f" p99 {found['p99']} ms, {verdict} {_EXACT_MS} ms"
            )
    print(f"ETA recovered in {figures['recovery_s']} s")
    print(f"drawn: {options.picture}")


def _draw(show: Show, figures: dict[str, Any], path: Path) -> None:
    """Each ride as a dot: when it was asked for, and how long it took; the outage is shaded."""
    mpl.use("Agg")
    rides, began = show.rides(), show.changes[0][0]
    figure, axes = pyplot.subplots(figsize=(11, 5), layout="constrained")
    for (start, phase), (end, _) in zip(
        show.changes, [*show.changes[1:], (rides[-1].started, "")], strict=True
    ):
        if phase in _SHADES:
            colour, label = _SHADES[phase]
            axes.axvspan(start - began, end - began, color=colour, alpha=0.12, label=label)
    for kind, (colour, label) in _DOTS.items():
        found = [
            one
            for one in rides
            if kind == next((b.fallback for b in one.branches.values() if b.fallback), "")
        ]
        if found:
            axes.scatter(
                [one.started - began for one in found],
                [one.whole_ms for one in found],
                s=7,
                color=colour,
                label=label,
            )
    axes.axhline(BUDGETS_MS["eta"], color="#555555", linewidth=0.8, linestyle="--", label="budget of ETA")
    axes.set(
        xlabel="seconds",
        ylabel="ms from request to dispatch",
        title=f"{figures['requests']} rides, {show.plan.rate:g} a second, {figures['lost']} lost",
        xlim=(0, rides[-1].started - began),
        ylim=(0, None),
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
