"""Metrics: what an installation does, for Prometheus. The coordinator process has the endpoint; its figures are those of all workers.

docs/metrics.md lists them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from handoffs.config.addresses import Address
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.tally import BUCKETS, Durations, Tally
from handoffs.coordinator.observe.topology import LandscapeMap

_log = logging.getLogger(__name__)

_FRESH = 5.0
"""Seconds for which what was looked up is told again: however many ask, servers are asked that often."""


class State(Protocol):
    """What can be looked up of an installation. Both raise :class:`~handoffs.coordinator.errors.ServerError`."""

    def landscape(self) -> LandscapeMap:
        """The agents and queues that there are now."""

    def letters(self) -> Mapping[str, tuple[int, str]]:
        """How many letters wait, and when the oldest of them failed first, by why they were parked."""


class MetricsServer:
    """Answers ``GET /metrics``, from a thread of its own."""

    def __init__(self, tally: Tally, state: State, address: Address) -> None:
        """Begin to answer at ``address``. Raises :class:`OSError` where nobody can."""
        registry = CollectorRegistry()
        registry.register(Handoffs(tally, state))
        self._server, self._thread = start_http_server(address.port, address.host, registry)
        self.port = self._server.server_port

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


class Handoffs(Collector):
    """Makes the metrics whenever they are asked for."""

    def __init__(self, tally: Tally, state: State) -> None:
        self._tally = tally
        self._state = state
        self._lock = threading.Lock()
        self._known: list[Metric] = []
        self._at = -_FRESH

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from self._counted()
        with self._lock:
            if time.monotonic() - self._at >= _FRESH:
                self._known, self._at = list(self._looked_up()), time.monotonic()
            yield from self._known

    def _counted(self) -> Iterator[Metric]:
        found = self._tally.read()
        yield _counter(
            "runs_started",
            "Runs that were accepted.",
            ["flow"],
            (((flow,), n) for flow, n in found.started.items()),
        )
        by_word = (
            ("steps", "Steps that got an outcome: settled, deduplicated, late, skipped.", "outcome", found.outcomes),
            ("attempts_failed", "Attempts that failed and are tried again: retried, or waits as the error asked.", "then", found.failures),
            ("steps_parked", "Steps that were parked, by why.", "reason", found.parked),
            ("fallbacks", "Budgets that were spent, by what took the step's place.", "by", found.fallbacks),
        )  # fmt: skip
        for name, said, word, counts in by_word:
            values = (((*place, which), count) for (place, which), count in counts.items())
            yield _counter(name, said, ["flow", "agent", word], values)
        yield _counter("events_emitted", "Events that were emitted.", ["flow", "agent"], found.events.items())
        yield _histogram(
            "agent_seconds",
            "How long agents ran for outcomes that are settled.",
            ["flow", "agent"],
            found.took.items(),
        )
        yield _histogram("history_lag_seconds", "How old entries of the history were when the journal had them.", [], [((), found.lag)])  # fmt: skip

    def _looked_up(self) -> Iterator[Metric]:
        """What the servers say now; where one of them says nothing, that is said, and no zero."""
        found: list[Metric] = []
        try:
            found += [*_of_letters(self._state.letters()), *_of_agents(self._state.landscape())]
        except ServerError as error:
            _log.warning("the metrics are not complete: %s", error)
            found = []
        up = GaugeMetricFamily(
            "handoffs_servers_up", "1 where RabbitMQ, Redis and the journal answered, or else 0."
        )
        up.add_metric([], 1.0 if found else 0.0)
        yield up
        yield from found


def _of_letters(letters: Mapping[str, tuple[int, str]]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "handoffs_letters_waiting", "Dead letters that wait for a person.", labels=["reason"]
    )
    oldest = GaugeMetricFamily(
        "handoffs_letter_oldest_timestamp_seconds",
        "When the oldest dead letter that waits failed first.",
        labels=["reason"],
    )
    for reason, (count, since) in letters.items():
        waiting.add_metric([reason], count)
        oldest.add_metric([reason], _timestamp(since))
    yield waiting
    yield oldest


def _of_agents(found: LandscapeMap) -> Iterator[Metric]:
    gauges = {
        name: GaugeMetricFamily(f"handoffs_{name}", said, labels=["agent"])
        for name, said in (
            ("workers_live", "Worker processes that are at work as an agent."),
            ("steps_outstanding", "Steps that are on their way to an agent, or at work there."),
            ("agent_letters_waiting", "Dead letters of an agent that wait for a person."),
        )
    }
    queues = GaugeMetricFamily(
        "handoffs_queue_messages", "Messages that are ready in a queue.", labels=["queue"]
    )
    consumers = GaugeMetricFamily("handoffs_queue_consumers", "Consumers of a queue.", labels=["queue"])
    for agent in found.agents:
        for name, count in (("workers_live", agent.live), ("steps_outstanding", agent.outstanding), ("agent_letters_waiting", agent.parked)):  # fmt: skip
            gauges[name].add_metric([agent.name], count)
    both = [(agent.queue, agent.depth, agent.consumers) for agent in found.agents]
    both += [(queue.name, queue.depth, queue.consumers) for queue in found.queues]
    for name, depth, reading in both:
        if depth is not None:
            queues.add_metric([name], depth)
            consumers.add_metric([name], reading or 0)
    yield from (*gauges.values(), queues, consumers)


def _counter(name: str, said: str, labels: list[str], values: Iterable[tuple[Sequence[str], int]]) -> Metric:
    family = CounterMetricFamily(f"handoffs_{name}", said, labels=labels)
    for words, count in values:
        family.add_metric(list(words), count)
    return family


def _histogram(
    name: str, said: str, labels: list[str], values: Iterable[tuple[Sequence[str], Durations]]
) -> Metric:
    family = HistogramMetricFamily(f"handoffs_{name}", said, labels=labels)
    for words, found in values:
        family.add_metric(list(words), _buckets(found.within), found.total)
    return family


def _buckets(within: Iterable[int]) -> list[tuple[str, float]]:
    """Counts as Prometheus has them: each with all that are below it."""
    total, found = 0, []
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), within, strict=True):
        total += count
        found.append((bound, float(total)))
    return found


def _timestamp(at: str) -> float:
    written = datetime.fromisoformat(at)
    return (written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp()
