"""Bars: what is reached, met and missed."""

from __future__ import annotations

import pytest

from bench.bars import Bar
from bench.measures.all import MEASURES
from tests.unit.bench.samples import series

RATE = Bar(text="rate", key="rate", case="a case", against="celery", least=1.6, aim=2.5)
LATENCY = Bar(text="p50", key="rate", case="a case", against="celery", least=0.75, aim=0.6, at_most=True)
ALONE = Bar(text="payments", key="rate", case="a case", least=200, unit="payments/s")


@pytest.mark.parametrize(
    ("bar", "figure", "verdict"),
    [
        (RATE, 1.59, "MISSED"),
        (RATE, 1.6, "met"),
        (RATE, 2.5, "reaches the aim"),
        (LATENCY, 0.76, "MISSED"),
        (LATENCY, 0.75, "met"),
        (LATENCY, 0.6, "reaches the aim"),
        (ALONE, 199.9, "MISSED"),
        (ALONE, 500, "met"),
        (ALONE, None, "not measured"),
    ],
)
def test_verdict(bar: Bar, figure: float | None, verdict: str) -> None:
    """A bar is met from its least on, and missed by the least bit less; without an aim it is met, however good it is."""
    assert bar.verdict(figure) == verdict


def test_figure_of_a_ratio() -> None:
    """It is the ratio to the side that the bar names, in the bar's case alone."""
    samples = [
        *series("handoffs", "rate", 20, 20),
        *series("celery", "rate", 10, 10),
        *series("dramatiq", "rate", 1, 1),
        *series("celery", "rate", 500, 500, case="another"),
    ]
    assert RATE.figure(samples) == 2.0


def test_figure_of_its_own() -> None:
    """Without a side to compare with it is the median."""
    assert ALONE.figure(series("handoffs", "rate", 100, 300, 200)) == 200


def test_figure_of_nothing() -> None:
    """What was not measured has no figure."""
    assert RATE.figure(series("handoffs", "rate", 1)) is None
    assert ALONE.figure([]) is None


def test_measures_have_names_of_their_own() -> None:
    """Each measure has another name, and each bar a figure that its measure's tables can show."""
    assert len({one.name for one in MEASURES}) == len(MEASURES)
    for measure in MEASURES:
        assert measure.columns
        for bar in measure.bars:
            assert bar.key in {column.key for column in measure.columns}, (measure.name, bar.text)


def test_an_aim_is_beyond_its_least() -> None:
    """Nothing reaches the aim of a bar and misses the bar."""
    for bar in (bar for measure in MEASURES for bar in measure.bars if bar.aim is not None):
        assert bar.aim is not None
        assert bar.verdict(bar.aim) == "reaches the aim"
        assert (bar.aim < bar.least) == bar.at_most
