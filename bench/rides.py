"""How long the agents of *rides* think: their functions alone, one call after another, without queues and envelopes.

Each gets the same requests of one day, in order. The first call of all also lays out the city and is reported apart.

    python -m bench.rides [--requests 1000] [--seed 7] [--json]
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable
from typing import Any

from handoffs.config.settings import Settings
from handoffs.contracts.reference.rides import RideQuoted, RideRequested
from handoffs.coordinator import Context
from handoffs.tasks.rides import dispatch, eta, match, price, systems
from handoffs.tasks.rides.requests import make_requests

BUDGETS_MS = {"matching": 500, "pricing": 200, "eta": 300, "dispatcher": None}


def main() -> None:
    """Run the benchmark and print percentiles in milliseconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1000, help="requests that each agent gets")
    parser.add_argument("--seed", type=int, default=7, help="of the requests")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    began = time.perf_counter()
    systems.fleet()
    first_ms = (time.perf_counter() - began) * 1000
    figures = {
        name: _percentiles(took)
        for name, took in _measured(make_requests(systems.city(), options.requests, options.seed)).items()
    }
    if options.json:
        print(json.dumps({"first_use_ms": first_ms, "agents_ms": figures}, indent=2))
        return
    print(f"{options.requests} requests; city and fleet are made in {first_ms:.1f} ms, once in a process")
    print(f"{'ms':<12}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}{'budget':>8}")
    for name, found in figures.items():
        print(
            f"{name:<12}" + "".join(f"{ms:>8.2f}" for ms in found.values()) + f"{BUDGETS_MS[name] or '-':>8}"
        )


def _measured(rides: list[RideRequested]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in BUDGETS_MS}
    logger = logging.LoggerAdapter(logging.getLogger("bench"), {})
    settings = Settings.model_construct()

    def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments)
        took[name].append((time.perf_counter() - began) * 1000)
        return result

    for ride in rides:
        context = Context("bench", "rides.dispatch", "1", "bench", ride.ride_id, 1, None, settings, logger)
        quoted = RideQuoted(
            match=timed("matching", match, ride, context),
            price=timed("pricing", price, ride),
            eta=timed("eta", eta, ride, context),
        )
        timed("dispatcher", dispatch, quoted, context)
    return took


def _percentiles(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(took)}


if __name__ == "__main__":
    main()
