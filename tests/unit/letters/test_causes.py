"""Causes: each kind of failure has one, with what it means and what helps first."""

from __future__ import annotations

import pytest

from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.causes import SAID, Act, Cause, advice, cause_of


@pytest.mark.parametrize("kind", FailureKind)
def test_each_kind_has_a_cause_a_meaning_a_remedy_and_an_act(kind: FailureKind) -> None:
    """No kind is forgotten: a new one fails here until it is told what helps."""
    told = advice(kind, "any")
    assert told.means
    assert told.remedy
    assert told.cause == cause_of(kind)
    assert SAID[told.cause]


def test_each_cause_has_a_kind() -> None:
    """Each word by which people sort letters stands for something."""
    assert {cause_of(kind) for kind in FailureKind} == set(Cause)


def test_what_a_newer_release_wrote_has_failed() -> None:
    """A kind that nobody knows here is replayed first, and means nothing in particular."""
    told = advice("tomorrow", "any")
    assert (told.cause, told.first, told.means, told.remedy) == (Cause.FAILED, Act.REPLAY, "", "")


@pytest.mark.parametrize(
    ("letter", "first"),
    [("lost:1", Act.RUN), ("stranded:1", Act.RUN), ("garbled:1", Act.RUN), ("history:0/1", Act.ARCHIVE)],
)
def test_what_has_no_message_is_not_replayed_first(letter: str, first: Act) -> None:
    """There is nothing that could be sent again: its run is looked at, or it is put away."""
    assert advice(FailureKind.ERROR, letter).first == first
