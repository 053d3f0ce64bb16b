"""A three-step flow and a bare Celery chain of the same length and durability, in turns.

Neither side sends task events. Both run on the same RabbitMQ and Redis, with a worker of each in a process of its own (threads pool), quorum queues, late
acknowledgement and confirmed publishes. The bare chain stores its results in Redis, as Celery must for its caller to
learn of them. A round starts ``--runs`` runs as fast as it can and ends when the last is known to be complete.

    python -m bench.handoff [--rounds 5] [--runs 300] [--threads 16] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import bare, noop
from handoffs.config.settings import Settings
from handoffs.coordinator import Coordinator
from handoffs.coordinator.flow.trigger import agents_of
from tests.servers import open_servers
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Round:
    """One round: runs a second from the first start to the last completion, and the latency of a lone run in ms."""

    rate: float
    latency_ms: float


def main() -> None:
    """Run the benchmark and print both sides and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="counted rounds of each side (after one warm-up)"
    )
    parser.add_argument("--runs", type=int, default=300, help="runs in a round")
    parser.add_argument("--threads", type=int, default=16, help="threads of each worker")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with open_servers() as servers:
        space = f"bench-{uuid.uuid4().hex[:8]}"
        settings = Settings(
            broker_url=servers.broker_url,
            redis_url=servers.redis_url,
            journal_url="sqlite://",  # nothing is read from it here
            namespace=space,
            agents=("bench.noop",),
        )
        environment = {
            **os.environ,
            "COORDINATOR_BROKER_URL": servers.broker_url,
            "COORDINATOR_REDIS_URL": servers.redis_url,
            "COORDINATOR_NAMESPACE": space,
            "COORDINATOR_TASK_EVENTS": "false",
            "COORDINATOR_AGENTS": "bench.noop",
            "COORDINATOR_CONTRACTS_ENFORCED": "false",  # its contracts are not published
            "BENCH_SPACE": space,
            "BENCH_BROKER_URL": servers.broker_url,
            "BENCH_REDIS_URL": servers.redis_url,
        }
        app = bare.make_app(servers.broker_url, servers.redis_url, space)
        with ExitStack() as stack:
            coordinator = stack.enter_context(Coordinator(settings))
            coordinator.engine.publisher.declare(agents_of(noop.flow))
            stack.enter_context(_worker("handoffs.coordinator.worker", environment, options.threads))
            stack.enter_context(_worker("bench.worker", environment, options.threads))
            sides: dict[str, Callable[[int], Round]] = {
                "handoff": lambda runs: _handoff_round(coordinator, runs),
                "bare celery": lambda runs: _bare_round(app, runs),
            }
            rounds = _in_turns(sides, options.rounds, options.runs)
    _print(rounds, servers.versions, options)


def _in_turns(sides: dict[str, Callable[[int], Round]], rounds: int, runs: int) -> dict[str, list[Round]]:
    measured: dict[str, list[Round]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            result = side(runs)
            print(
                f"round {number or 'warm-up'}: {name}: {result.rate:.0f} runs/s, {result.latency_ms:.1f} ms",
                file=sys.stderr,
            )
            if number:
                measured[name].append(result)
    return measured


def _handoff_round(coordinator: Coordinator, runs: int) -> Round:
    lone = []
    for _ in range(10):
        began = time.perf_counter()
        coordinator.start(noop.flow, noop.payload()).result(timeout=30)
        lone.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    started = [coordinator.start(noop.flow, noop.payload()) for _ in range(runs)]
    wait_until(
        lambda: all(status == "completed" for status in coordinator.statuses(started)),
        description="every flow is complete",
        timeout=120,
        interval=0.05,
    )
    return Round(runs / (time.perf_counter() - began), statistics.median(lone))


def _bare_round(app: bare.Celery, runs: int) -> Round:
    chain = bare.make_chain(app)
    lone = []
    for _ in range(10):
        began = time.perf_counter()
        chain.apply_async((noop.payload().to_data(),)).get(timeout=30, interval=0.002)
        lone.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    results = [chain.apply_async((noop.payload().to_data(),)) for _ in range(runs)]
    for result in results:
        result.get(timeout=120)
    return Round(runs / (time.perf_counter() - began), statistics.median(lone))


@contextmanager
def _worker(app: str, environment: dict[str, str], threads: int) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        app,
        "worker",
        "-P",
        "threads",
        "-c",
        str(threads),
        "-l",
        "WARNING",
    ]
    quiet = ["--without-gossip", "--without-mingle"]
    process = subprocess.Popen([*command, *quiet, "-n", f"{app}@%h"], env=environment, cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _print(rounds: dict[str, list[Round]], versions: str, options: argparse.Namespace) -> None:
    figures = {
        name: {
            "runs_per_second": round(statistics.median(side.rate for side in sides), 1),
            "lowest": round(min(side.rate for side in sides), 1),
            "highest": round(max(side.rate for side in sides), 1),
            "latency_ms": round(statistics.median(side.latency_ms for side in sides), 2),
        }
        for name, sides in rounds.items()
    }
    pairs = zip(rounds["handoff"], rounds["bare celery"], strict=True)
    ratio = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
    pairs = zip(rounds["handoff"], rounds["bare celery"], strict=True)
    latency = statistics.median(ours.latency_ms / theirs.latency_ms for ours, theirs in pairs)
    if options.json:
        print(
            json.dumps(
                {
                    "servers": versions,
                    "sides": figures,
                    "rate_ratio": round(ratio, 3),
                    "latency_ratio": round(latency, 3),
                }
            )
        )
        return
    print(
        f"three steps, 1 KB, {options.runs} runs a round, {options.rounds} rounds, {options.threads} threads; {versions}"
    )
    print(f"{'':14}{'runs/s':>10}{'lowest':>10}{'highest':>10}{'ms alone':>10}")
    for name, side in figures.items():
        print(
            f"{name:14}{side['runs_per_second']:>10}{side['lowest']:>10}{side['highest']:>10}{side['latency_ms']:>10}"
        )
    print(f"handoff / bare celery, round by round, median: rate {ratio:.2f}, latency {latency:.2f}")


if __name__ == "__main__":
    main()
