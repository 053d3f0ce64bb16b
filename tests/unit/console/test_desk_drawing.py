"""Drawing and diff of the desk: bars lie within their picture, and a diff says no more and no less than what differs."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.console.desk.drawing import bars
from handoffs.coordinator.console.forms.diff import DiffLine, difference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=4), inner, max_size=6),
    max_leaves=30,
)


@given(st.lists(st.integers(0, 10**9), max_size=60))
def test_bars_lie_within_their_picture(counts: list[int]) -> None:
    """One for each count that is above zero, none over another, the highest as high as the picture, and none too low to be seen."""
    drawn = bars(counts, 100, 20)
    assert [one.count for one in drawn] == [count for count in counts if count]
    for one in drawn:
        assert 0 <= one.x <= one.x + one.width <= 100.02
        assert 0 <= one.y <= 20
        assert abs(one.y + one.height - 20) < 0.02
        assert one.height >= 2
    assert all(left.x + left.width <= right.x + 0.02 for left, right in pairwise(drawn))
    if drawn:
        assert max(one.height for one in drawn) == 20


def _lines(value: Any) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).splitlines()


def _without(lines: list[DiffLine], kind: str) -> list[str]:
    return [one.text for one in lines if one.kind not in (kind, "left out")]


@given(JSON, JSON)
def test_a_diff_says_what_differs(before: Any, after: Any) -> None:
    """Nothing for the same; otherwise what is shown of each is a part of it, in order, and what is left out is the same in both."""
    lines = difference(before, after)
    old, new = _lines(before), _lines(after)
    assert bool(lines) == (old != new)
    left = sum(int(one.text.split()[0]) for one in lines if one.kind == "left out")
    if lines:
        assert len(_without(lines, "added")) + left == len(old)
        assert len(_without(lines, "removed")) + left == len(new)
        if not left:
            assert (_without(lines, "added"), _without(lines, "removed")) == (old, new)


def test_what_is_far_from_the_difference_is_left_out() -> None:
    """Three lines around it are shown, and how many are not."""
    before = {f"field-{number:03}": number for number in range(100)}
    lines = difference(before, {**before, "field-050": -1})
    assert [one.kind for one in lines].count("left out") == 2
    assert len(lines) == 2 + 2 * 3 + 2


def test_very_long_values_are_bounded() -> None:
    """Of values with too many lines as much is shown as is allowed, and it takes no time."""
    lines = difference(list(range(50_000)), list(range(1, 50_000)))
    assert len(lines) == 4_000
