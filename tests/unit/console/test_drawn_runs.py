"""Drawn runs: bars of a timeline, columns of a histogram, and moments as they are typed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.console.runs.bars import WIDE, bars_of
from handoffs.coordinator.console.runs.histogram import HIGH, histogram
from handoffs.coordinator.console.runs.histogram import WIDE as ALL
from handoffs.coordinator.console.when import when
from handoffs.coordinator.observe.facets import StartedRuns
from handoffs.coordinator.observe.nested import Item
from handoffs.coordinator.observe.timeline import Line, Span

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECONDS = st.floats(0, 1e7, allow_nan=False)


@given(st.lists(st.tuples(SECONDS, SECONDS, SECONDS, st.booleans()), max_size=20))
def test_bars_stay_within_their_drawing(spans: list[tuple[float, float, float, bool]]) -> None:
    """Each can be seen, none reaches beyond the whole, and who waited did so before the bar."""
    lines = [
        Item(Line("1", "settled", Span(*sorted((ready, begin, begin + took))), moment))
        for ready, begin, took, moment in spans
    ]
    for bar in bars_of(lines, 100).bars:
        assert 0 <= bar.ready <= bar.left + 0.1
        assert bar.width > 0
        assert bar.left + bar.width <= WIDE + 0.2


def test_a_bar_is_as_long_as_its_step_took() -> None:
    """From half of the time to its end; what is a moment has no length of its own, and what has no time no bar."""
    whole = Line("run", "started", Span(0, 0, 0), True)
    step = Line("1", "settled", Span(1, 2, 4))
    found = bars_of([Item(whole, [Item(step)]), Item(Line("more"))], 10)
    assert found.seconds == 4
    assert [(bar.depth, bar.left, bar.width) for bar in found.bars] == [
        (0, 0.0, 4.0),
        (1, 500.0, 500.0),
        (0, 0.0, 0.0),
    ]
    assert (found.bars[1].ready, found.bars[1].took, found.bars[0].took) == (250.0, 2, None)


def test_lines_that_are_too_many_are_counted() -> None:
    """The first ones are drawn, on the scale of all."""
    lines = [Item(Line(str(number), "settled", Span(0, number, number + 1))) for number in range(30)]
    found = bars_of(lines, 10)
    assert (len(found.bars), found.hidden, found.seconds) == (10, 20, 30)


@given(st.lists(st.integers(0, 10**9), max_size=150))
def test_columns_stand_beside_one_another(counts: list[int]) -> None:
    """Whoever has any runs is seen, the most are as high as the whole, and none overlap."""
    columns = histogram(
        [StartedRuns(AT + number * MINUTE, count) for number, count in enumerate(counts)], MINUTE
    )
    for column, count in zip(columns, counts, strict=True):
        assert (column.height > 0) == (count > 0)
        assert 0 <= column.y <= HIGH
        assert column.until - column.since == MINUTE
    assert all(one.x + one.width <= other.x + 0.02 for one, other in itertools.pairwise(columns))
    assert all(one.x + one.width <= ALL for one in columns)
    assert not any(counts) or max(one.height for one in columns) == HIGH


def test_a_moment_is_typed_in_many_ways() -> None:
    """ISO 8601 with a time zone, or in UTC without; a plus sign that an address made a blank of; nothing."""
    assert when("2026-01-05T10:00:00Z") == AT
    assert when("2026-01-05T10:00") == AT
    assert when("2026-01-05T11:00:00 01:00") == AT
    assert when("2026-01-05") == AT - timedelta(hours=10)
    assert when("") is None
    ago = when("2h")
    assert ago is not None
    assert timedelta(hours=1, minutes=59) < datetime.now(UTC) - ago < timedelta(hours=2, minutes=1)


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "2w",
        "999999999d",
        "999999d",
        "-2h",
        "2026-13-01",
        "\x00",
        "2" * 70,
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """As bad input, whatever it is."""
    with pytest.raises(ValueError, match="30min"):
        when(text)
