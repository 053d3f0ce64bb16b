"""What the journal says of a ride gives its timing, whatever the order in which it was written."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from handoffs.tasks.rides.timings import Timings, latencies, percentiles, timing

STARTED = "2026-01-05T08:00:00.000+00:00"


def entry(kind: str, ms: int, step: str = "", run: str = "r1") -> dict[str, Any]:
    """An entry of so many milliseconds after the start."""
    at = f"2026-01-05T08:00:{ms // 1000:02}.{ms % 1000:03}+00:00"
    return {"kind": kind, "run": run, "at": at, "step": step}


IN_TIME = [
    entry("started", 0),
    entry("settled", 30, "1.match.1.b.1"),
    entry("settled", 20, "1.price.1.b.1"),
    entry("settled", 40, "1.eta.1.b.1"),
    entry("settled", 50, "2"),
]
LATE = [
    entry("started", 0),
    entry("settled", 30, "1.match.1.b.1"),
    entry("settled", 210, "1.price.1.f.1"),
    entry("fallback", 305, "1.eta.1"),
    entry("settled", 290, "1.price.1.b.1"),
    entry("late", 290, "1.price.1.b.1"),
    entry("settled", 320, "2"),
]


def test_ride_in_time() -> None:
    """Each branch took from the request to its outcome, and the dispatch from the last of them."""
    for entries in permutations(IN_TIME):
        found = timing(entries)
        assert found is not None
        assert [round(found.branch_ms(name)) for name in ("match", "price", "eta")] == [30, 20, 40]
        assert (round(found.whole_ms), round(found.joined_ms), found.fell_back) == (50, 10, False)


def test_ride_with_fallbacks() -> None:
    """A late outcome counts for nothing: what counts is what stood in, and when."""
    found = timing(LATE)
    assert found is not None
    assert {name: branch.fallback for name, branch in found.branches.items()} == {
        "match": "",
        "price": "flat-fare",
        "eta": "cached",
    }
    assert round(found.branch_ms("price")) == 210
    assert found.fell_back


@pytest.mark.parametrize("missing", range(len(IN_TIME)))
def test_ride_that_has_not_ended(missing: int) -> None:
    """There is no timing of a ride of which something is not known yet."""
    assert timing([one for number, one in enumerate(IN_TIME) if number != missing]) is None


def test_a_copy_of_a_message_was_faster() -> None:
    """Under load a joined message may be made twice: whichever copy tells of it, the ride has ended."""
    entries = [{**one, "kind": "deduplicated"} if one.get("step") == "2" else one for one in IN_TIME]
    assert timing(entries) == timing(IN_TIME)
    timings = Timings()
    timings.take(entries)
    assert timings.all() == [timing(IN_TIME)]


def test_rides_are_told_apart() -> None:
    """Entries of many rides come as they are written, also after the end of the ride."""
    timings = Timings()
    timings.take(IN_TIME[:2])
    timings.take([{**one, "run": "r2"} for one in LATE])
    assert [one.run for one in timings.all()] == ["r2"]
    timings.take(IN_TIME[2:])
    timings.take([entry("late", 900, "1.eta.1.b.1")])
    assert {one.run for one in timings.all()} == {"r1", "r2"}
    assert latencies(timings.all())["whole"] == {"p50": 185.0, "p95": 306.5, "p99": 317.3, "max": 320.0}


def test_percentiles_of_little() -> None:
    """One value is all its percentiles; nothing has none."""
    assert percentiles([]) is None
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0, "max": 7.0}
