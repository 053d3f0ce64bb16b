"""Figures: medians, percentiles, and the ratio of two sides that took turns."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.samples import Sample


def percentile(values: Sequence[float], per_cent: float) -> float:
    """The value below which so many per cent of the others are, between two values in proportion. Raises :class:`ValueError` for
    no values."""
    if not values:
        raise ValueError("no values have no percentile")
    ordered = sorted(values)
    at = (len(ordered) - 1) * per_cent / 100
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """The latencies of a round in milliseconds: ``p50_ms``, ``p95_ms``, ``p99_ms``."""
    return {f"p{per_cent}_ms": percentile(seconds, per_cent) * 1000 for per_cent in (50, 95, 99)}


def median(samples: Iterable[Sample], key: str) -> float | None:
    """The median of a figure; None where none of the samples has it."""
    found = [one.values[key] for one in samples if key in one.values]
    return statistics.median(found) if found else None


def ratio(ours: Iterable[Sample], theirs: Iterable[Sample], key: str) -> float | None:
    """The median of the ratios of neighbours: of the two sides' figures in the same round. None where no round has both."""
    known = {one.round: one.values[key] for one in theirs if one.values.get(key)}
    found = [one.values[key] / known[one.round] for one in ours if key in one.values and one.round in known]
    return statistics.median(found) if found else None


def cpu_ms(samples: Iterable[Sample]) -> dict[str, float]:
    """Milliseconds of processor time for one of what was counted, by group: medians over the rounds."""
    groups: dict[str, list[float]] = {}
    for one in samples:
        for group, seconds in one.cpu.items():
            groups.setdefault(group, []).append(seconds / one.n * 1000)
    return {group: statistics.median(found) for group, found in groups.items()}
