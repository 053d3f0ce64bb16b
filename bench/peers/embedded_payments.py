"""Embedded payments: a program of its own that has payments made in embedded mode, and prints how long each round took as JSON.

python -m bench.peers.embedded_payments 1000 3     # payments in a round, rounds
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import uuid
from typing import Any

import psutil

from bench.cpu import Meter
from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator import Coordinator
from handoffs.coordinator.client.batch import read_lines
from handoffs.tasks.payments.flow import payment
from handoffs.tasks.payments.sample import SAMPLE_FILE

_WITHIN = 300.0  # seconds
_WARM = 10


def main() -> None:
    """Play the rounds. Raises :class:`SystemExit` where a payment does not end as completed."""
    count, rounds = map(int, sys.argv[1:3])
    with Coordinator(Settings()) as coordinator:
        _seconds(coordinator, max(count // _WARM, 1))
        children = [child.pid for child in psutil.Process().children()]
        for _ in range(rounds):
            meter = Meter({"its Redis": children} if children else {})
            seconds = _seconds(coordinator, count)
            cpu = meter.read()
            print(
                json.dumps({"seconds": seconds, "cpu": {"the process": cpu.pop("client"), **cpu}}), flush=True
            )


def _seconds(coordinator: Coordinator, count: int) -> float:
    payloads = payments(count)
    began = time.perf_counter()
    runs = [started.get() for started in coordinator.start_many(payment, payloads)]
    for run in runs:
        if (status := run.wait(_WITHIN)) != "completed":
            raise SystemExit(f"a payment is {status}: {run.history()}")
    seconds = time.perf_counter() - began
    if len({run.id for run in runs}) != count:
        raise SystemExit("two payments were one run")
    return seconds


def payments(count: int) -> list[dict[str, Any]]:
    """Payments of the sample that are accepted, again and again, each with an id of its own."""
    sample = itertools.cycle([found for line in read_lines(SAMPLE_FILE) if (found := _accepted(line))])
    return [{**found, "payment_id": f"pay-{uuid.uuid4().hex}"} for found in itertools.islice(sample, count)]


def _accepted(line: bytes) -> dict[str, Any] | None:
    """The payment of a line; None where it is none, as some of the sample's."""
    try:
        found: dict[str, Any] = strictjson.loads(line)
        payment.accepts.from_data(found)
    except InvalidInput:
        return None
    return found


if __name__ == "__main__":
    main()
