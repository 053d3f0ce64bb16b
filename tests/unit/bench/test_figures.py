"""Medians, percentiles and ratios."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import cpu_ms, latencies, median, percentile, ratio
from tests.unit.bench.samples import sample, series

numbers = st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=1, max_size=50)


@given(numbers, st.floats(min_value=0, max_value=100))
def test_percentile_lies_within(values: list[float], per_cent: float) -> None:
    """A percentile is no less than the least and no more than the most."""
    assert min(values) <= percentile(values, per_cent) <= max(values) * (1 + 1e-12)


@given(numbers)
def test_percentile_grows(values: list[float]) -> None:
    """A higher percentile is no less than a lower one; that of 0 is the least, and that of 100 the most."""
    found = [percentile(values, per_cent) for per_cent in (0, 25, 50, 75, 100)]
    assert all(low <= high * (1 + 1e-12) for low, high in pairwise(found))
    assert (found[0], found[-1]) == (min(values), max(values))


def test_percentile_between() -> None:
    """Between two values it is in proportion."""
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.5


def test_percentile_of_nothing() -> None:
    """No values have no percentile."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_latencies_are_in_milliseconds() -> None:
    """Seconds become milliseconds."""
    assert latencies([0.010, 0.020, 0.030])["p50_ms"] == pytest.approx(20)


@given(
    st.lists(st.floats(min_value=1, max_value=1000), min_size=1, max_size=9),
    st.floats(min_value=0.1, max_value=10),
)
def test_ratio_of_proportional_sides(theirs: list[float], factor: float) -> None:
    """A side that is always so many times the other has that ratio, however much both vary from round to round."""
    ours = series("handoffs", "rate", *(one * factor for one in theirs))
    assert ratio(ours, series("celery", "rate", *theirs), "rate") == pytest.approx(factor)


def test_ratio_is_of_neighbours() -> None:
    """It is the median of the rounds' ratios, and not the ratio of the medians."""
    ours, theirs = series("handoffs", "rate", 10, 90, 40), series("celery", "rate", 10, 30, 80)
    assert ratio(ours, theirs, "rate") == 1.0
    assert median(ours, "rate") == 40
    assert median(theirs, "rate") == 30


def test_ratio_without_a_neighbour() -> None:
    """A round that the other side did not play, or in which it did nothing, has no ratio; without any there is none."""
    ours = series("handoffs", "rate", 10, 20)
    assert ratio(ours, series("celery", "rate", 5), "rate") == 2.0
    assert ratio(ours, series("celery", "rate", 0, 10), "rate") == 2.0
    assert ratio(ours, [], "rate") is None
    assert ratio(ours, series("celery", "other", 1, 1), "rate") is None


def test_processor_time_is_told_for_one() -> None:
    """Seconds of a round become milliseconds for one of what it counted, and the median of the rounds, group by group."""
    samples = [
        sample("handoffs", 1, {}, cpu={"workers": 0.1, "client": 0.01}),
        sample("handoffs", 2, {}, cpu={"workers": 0.3}),
        sample("handoffs", 3, {}, cpu={"workers": 0.2}),
    ]
    assert cpu_ms(samples) == pytest.approx({"workers": 20.0, "client": 1.0})
