"""Idempotency keys: one customer's id is no other place's key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.handoff.open import turned

_KEYS = st.one_of(
    st.from_regex(r"(a|1|#|2|\n|\u0665){0,6}", fullmatch=True),
    st.builds("{}#{}".format, st.sampled_from(["17", "17#2", "", "#"]), st.integers(0, 12)),
)
_PLACES = st.tuples(_KEYS, st.sampled_from([None, 2, 3, 12]))


@given(st.lists(_PLACES, min_size=2, max_size=20, unique=True))
def test_no_two_places_share_a_key(places: list[tuple[str, int | None]]) -> None:
    """Whatever a customer is called: another key, or another place in the flow, is another key."""
    keys = [turned(key, {"turn": turn} if turn else {}) for key, turn in places]
    assert len(set(keys)) == len(places)


def test_ordinary_keys_stay_as_they_are() -> None:
    """At its first place a key is plain, so that what was known by it before still is."""
    assert [turned(key, {}) for key in ("17", "a/b", "#", "17#", "17#x")] == ["17", "a/b", "#", "17#", "17#x"]
    assert turned("17", {"turn": 2}) == "17#2"
    assert turned("17#2", {}) == "17#2#1"
