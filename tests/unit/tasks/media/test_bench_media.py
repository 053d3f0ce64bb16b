"""The benchmark of media: what it says of memory."""

from __future__ import annotations

import pytest

from bench.media_samples import Sample, growth


def samples(memory: list[float]) -> list[Sample]:
    """Samples of one process, a hundred titles apart."""
    return [
        Sample(2.0 * number, 10_000, 100 * number, 0, {}, {"drm": octets}, 0, 0.0)
        for number, octets in enumerate(memory)
    ]


def test_flat() -> None:
    """A process that takes its memory at the beginning, and no more, is flat."""
    found = growth(samples([20.0] * 10 + [120.0] * 90))["drm"]
    assert found == {"quarter_mb": 120.0, "end_mb": 120.0, "peak_mb": 120.0, "per_1000_titles_mb": 0.0}


def test_growing() -> None:
    """One that takes a megabyte more for every hundred titles takes ten for a thousand."""
    found = growth(samples([float(number) for number in range(100)]))["drm"]
    assert found["peak_mb"] == 99.0
    assert found["per_1000_titles_mb"] == pytest.approx(10, rel=0.1)


def test_nobody_was_looked_at() -> None:
    """A load that ended before the first sample has no figures, and is no error."""
    assert growth([]) == {}
