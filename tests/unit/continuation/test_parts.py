"""The versions of joined parts: one word for each, or ranges of those that are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.continuation.parts import numbers_of, parts_of
from tests.examples import examples


def test_paths_and_versions() -> None:
    """Each word names a path of fields and items, and the version of what is there."""
    found = list(parts_of("a=urn:contract:x:1 lines.0-2,5.price=urn:contract:y:2"))
    assert found == [(["a"], "urn:contract:x:1"), (["lines", "0-2,5", "price"], "urn:contract:y:2")]
    assert list(numbers_of("0-2,5", 6)) == [0, 1, 2, 5]


@pytest.mark.parametrize(
    "word", ["", "x", "1-", "-1", "1,,2", "2-1", "1,1", "0-6", "6", "9" * 12, "0-1-2", "1 2"]
)
def test_no_numbers(word: str) -> None:
    """What is no ascending list of numbers of items is refused, however large it is, and not counted out."""
    with pytest.raises(InvalidData):
        list(numbers_of(word, 6))


def test_no_part() -> None:
    """A word without a version is refused."""
    with pytest.raises(InvalidData, match="which is no"):
        list(parts_of("a=urn:contract:x:1 nonsense"))


@examples(50)
@given(st.sets(st.integers(0, 60)))
def test_numbers_one_by_one(numbers: set[int]) -> None:
    """Numbers in a list of their own are read as they are."""
    if numbers:
        assert list(numbers_of(",".join(map(str, sorted(numbers))), 61)) == sorted(numbers)
