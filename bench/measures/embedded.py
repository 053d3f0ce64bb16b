"""Embedded: payments a second where everything is in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.bars import Bar
from bench.measures.measure import Bench, Column, Measure
from bench.peers.ours import Ours
from bench.peers.processes import WorkerEnded
from bench.samples import Sample
from handoffs.config.settings import PREFIX

_CASE = "payments"
_ROOT = Path(__file__).resolve().parents[2]


def _play(bench: Bench) -> Iterator[Sample]:
    bench.part_company()
    n, rounds = bench.of_size(tiny=3, quick=200, full=1_000), bench.rounds_of(3)
    for number, (seconds, cpu) in enumerate(_rounds(n, rounds), 1):
        yield Sample("embedded", _CASE, Ours.name, number, n, {"per_second": n / seconds}, cpu)


def _rounds(n: int, rounds: int) -> Iterator[tuple[float, dict[str, float]]]:
    """Seconds and processor time of each round."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    path = os.pathsep.join(filter(None, (str(_ROOT), str(_ROOT / "src"), clean.get("PYTHONPATH", ""))))
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers.embedded_payments", str(n), str(rounds)],
        cwd=_ROOT,
        env={**clean, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WorkerEnded(f"the embedded process ended with status {done.returncode}\n{done.stderr[-3000:]}")
    for line in done.stdout.splitlines():
        found = json.loads(line)
        yield found["seconds"], found["cpu"]


EMBEDDED = Measure(
    name="embedded",
    title="Embedded",
    explains="The payments of the reference system (fraud, authorisation, ledger, notification; the ledger and the gateway are SQLite "
    "files) in one process with no server but a `redis-server` of its own, where one is installed: broker, worker and journal are in it. "
    "From the first of `start_many()` until all have ended. Nothing is compared: the others have no such mode.",
    columns=(Column("per_second", "payments/s", 0),),
    play=_play,
    unit="payment",
    bars=(Bar(text="embedded", key="per_second", case=_CASE, least=200, unit="payments/s"),),
)
