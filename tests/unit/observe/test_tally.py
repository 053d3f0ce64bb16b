"""The tally: what the history tells is counted, whatever stands in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.history import Entry, EntryKind
from handoffs.coordinator.observe.tally import BUCKETS, MOST_NAMES, OTHERS, Durations, Tally

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
PLACE = ("shop.order", "shop.price")


def _entry(kind: EntryKind, **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(seconds=2)).isoformat(timespec="milliseconds")
    return Entry(kind, "run", "shop.order", at, agent="shop.price", **more).fields()


def _heard(*entries: Any) -> Any:
    tally = Tally()
    tally.hear(entries, NOW)
    return tally.read()


def test_each_kind_is_counted_as_what_it_is() -> None:
    """A run's start, outcomes, failures, parking with its reason, fallbacks and events are counted apart."""
    found = _heard(
        Entry(EntryKind.STARTED, "run", "shop.order", NOW.isoformat()).fields(),
        _entry(EntryKind.SETTLED, took_ms=12.0, emitted=[{}, {}]),
        _entry(EntryKind.DEDUPLICATED),
        _entry(EntryKind.LATE),
        _entry(EntryKind.SKIPPED),
        _entry(EntryKind.RETRIED),
        _entry(EntryKind.WAITS),
        _entry(EntryKind.PARKED, error="invalid-input: InvalidData: no"),
        _entry(EntryKind.FALLBACK, fallback="cache age=12.3s"),
        _entry(EntryKind.PAUSED),
    )
    assert found.started == {"shop.order": 1}
    assert found.outcomes == {(PLACE, word): 1 for word in ("settled", "deduplicated", "late", "skipped")}
    assert found.failures == {(PLACE, "retried"): 1, (PLACE, "waits"): 1}
    assert found.parked == {(PLACE, "invalid-input"): 1}
    assert found.fallbacks == {(PLACE, "cache"): 1}
    assert found.events == {PLACE: 2}
    assert found.took == {PLACE: Durations([0, 0, 1, *[0] * (len(BUCKETS) - 2)], 0.012)}
    assert (sum(found.lag.within), found.lag.total) == (10, pytest.approx(18.0))


@pytest.mark.parametrize("kind", FailureKind)
def test_each_reason_is_known(kind: FailureKind) -> None:
    """What a step is parked for is the label, for every reason that there is."""
    assert _heard(_entry(EntryKind.PARKED, error=f"{kind}: ValueError: no")).parked == {(PLACE, str(kind)): 1}


@pytest.mark.parametrize("error", ["", "no", "made-up: x", "x" * 10_000])
def test_other_reasons_are_one(error: str) -> None:
    """A text that is no reason of ours makes no label."""
    assert _heard(_entry(EntryKind.PARKED, error=error)).parked == {(PLACE, OTHERS): 1}


def test_names_are_bounded() -> None:
    """However many agents are named, so many are told apart; the others are counted together, and those that were known go on."""
    entries = [
        {**_entry(EntryKind.DEDUPLICATED), "agent": f"made.up{number}"} for number in range(MOST_NAMES + 500)
    ]
    found = _heard(*entries, entries[0])
    assert len(found.outcomes) == MOST_NAMES + 1
    assert found.outcomes[(OTHERS, OTHERS), "deduplicated"] == 500
    assert found.outcomes[("shop.order", "made.up0"), "deduplicated"] == 2


ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()))  # fmt: skip


@given(
    entry=st.dictionaries(st.sampled_from([*Entry.__slots__, "odd"]), ODD),
    kind=st.one_of(ODD, st.sampled_from(EntryKind)),
)
def test_nothing_odd_ends_it(entry: dict[str, Any], kind: Any) -> None:
    """Whatever stands in an entry, it and the ones after it are heard, and no name is a label that is none."""
    found = _heard({**entry, "kind": kind}, _entry(EntryKind.SETTLED))
    assert found.outcomes[PLACE, "settled"] == 1
    for (flow, agent), _ in [*found.outcomes, *found.parked, *found.failures, *found.fallbacks]:
        assert "\n" not in flow + agent


@given(seconds=st.lists(st.floats(0, 1000)))
def test_durations_are_all_within_something(seconds: list[float]) -> None:
    """Each is counted once, in the first bucket that it fits into."""
    found = Durations()
    for one in seconds:
        found.add(one)
    assert sum(found.within) == len(seconds)
    for number, bound in enumerate(BUCKETS):
        assert sum(found.within[: number + 1]) == sum(one <= bound for one in seconds)


def test_what_was_read_stays_as_it_was() -> None:
    """What is read is a copy: later entries do not change it."""
    tally = Tally()
    tally.hear([_entry(EntryKind.SETTLED, took_ms=1.0)], NOW)
    before = tally.read()
    tally.hear([_entry(EntryKind.SETTLED, took_ms=1.0)], NOW)
    assert (before.outcomes[PLACE, "settled"], sum(before.took[PLACE].within)) == (1, 1)
