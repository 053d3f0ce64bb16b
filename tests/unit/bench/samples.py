"""Samples for tests."""

from __future__ import annotations

from collections.abc import Mapping

from bench.samples import Sample


def sample(
    side: str,
    number: int,
    values: Mapping[str, float],
    *,
    case: str = "a case",
    cpu: Mapping[str, float] | None = None,
) -> Sample:
    """A sample of a measure of ten runs."""
    return Sample("a-measure", case, side, number, 10, values, cpu or {})


def series(side: str, key: str, *figures: float, case: str = "a case") -> list[Sample]:
    """Samples of rounds one after the other."""
    return [sample(side, number, {key: figure}, case=case) for number, figure in enumerate(figures, 1)]
