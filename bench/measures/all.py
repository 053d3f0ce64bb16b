"""All measures, in the order in which they are played and shown."""

from __future__ import annotations

from bench.measures.chains import CHAINS
from bench.measures.drain import DRAIN
from bench.measures.embedded import EMBEDDED
from bench.measures.fanout import FAN_OUT
from bench.measures.guarantees import GUARANTEES
from bench.measures.latency import LATENCY
from bench.measures.measure import Measure
from bench.measures.open_runs import OPEN_RUNS
from bench.measures.payloads import PAYLOADS
from bench.measures.rates import RATES
from bench.measures.replay import REPLAY
from bench.measures.start_many import START_MANY
from bench.measures.throughput import THROUGHPUT
from bench.measures.waits import WAITS

MEASURES: tuple[Measure, ...] = (
    THROUGHPUT,
    LATENCY,
    RATES,
    FAN_OUT,
    CHAINS,
    PAYLOADS,
    WAITS,
    START_MANY,
    OPEN_RUNS,
    REPLAY,
    DRAIN,
    EMBEDDED,
    GUARANTEES,
)
