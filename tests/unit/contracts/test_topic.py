"""Patterns of names, as a topic exchange of AMQP understands them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.topic import matches


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("media.ready", "media.ready", True),
        ("media.ready", "media.ready.now", False),
        ("media.*", "media.ready", True),
        ("media.*", "media", False),
        ("media.*", "media.ready.now", False),
        ("media.#", "media", True),
        ("media.#", "media.ready.now", True),
        ("#", "anything.at.all", True),
        ("#.ready", "ready", True),
        ("#.ready", "media.ready", True),
        ("#.ready", "media.ready.now", False),
        ("#.ready.#", "media.ready.now", True),
        ("*.ready", "ready", False),
        ("#.*", "media", True),
        ("#.#", "media", True),
    ],
)
def test_a_pattern(pattern: str, name: str, fits: bool) -> None:
    """``*`` is one word, ``#`` any number of them, none included."""
    assert matches(pattern, name) is fits


def by_the_book(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(by_the_book(pattern[1:], words[start:]) for start in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and by_the_book(pattern[1:], words[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=6),
)
def test_every_pattern(pattern: list[str], words: list[str]) -> None:
    """What fits is what fits word by word."""
    assert matches(".".join(pattern), ".".join(words)) == by_the_book(pattern, words)


def test_a_pattern_that_somebody_made_up_takes_no_time() -> None:
    """A worker may announce any pattern: many ``#`` do not keep anybody busy."""
    began = time.process_time()
    assert not matches(".".join(["#", "a"] * 50), ".".join(["a"] * 49 + ["b"] * 11))
    assert time.process_time() - began < 1
