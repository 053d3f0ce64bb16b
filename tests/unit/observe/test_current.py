"""What a run is doing now, from what Redis and the history know of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoffs.coordinator.observe.current import Current, current
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.observe.summary import summary
from handoffs.coordinator.store.run_state import RunRecord

NOW = datetime.now(UTC)
SENT = (NOW - timedelta(seconds=60)).timestamp()


def record(**fields: Any) -> RunRecord:
    values = {"status": "running", "parked": {}, "settled": ()}
    return RunRecord(id="r", flow="f", key="", started=SENT, **{**values, **fields})


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def entry(kind: str, seconds: float, step: str = "2", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "step": step, "at": ago(seconds).isoformat(), **fields}


def one(story: list[dict[str, Any]] | None = None, **fields: Any) -> Current:
    [found] = current(record(**fields), {"2": (SENT, "shop.pay", "shop.order/1")}, story or [])
    assert (found.step, found.agent, found.contract) == ("2", "shop.pay", "shop.order/1")
    return found


def test_on_its_way() -> None:
    """A step that was sent is queued, delayed until its time, running once it was begun, or held with its run."""
    queued = one()
    assert (queued.words(), queued.since) == ("queued", datetime.fromtimestamp(SENT, UTC))
    later = NOW + timedelta(days=1, seconds=90)  # the tests before this one may take long
    delayed = one(delayed={"2": later.timestamp()})
    assert (delayed.state, delayed.words(NOW)) == ("delayed", "delayed, 24.02 h left")
    assert one(delayed={"2": ago(30).timestamp()}).since == ago(30)
    running = one(began={"2": ago(5).timestamp()}, delayed={"2": ago(30).timestamp()})
    assert (running.words(), running.since) == ("running", ago(5))
    held = {"2": {"at": ago(3).isoformat()}}
    assert one(held=held, paused=True).words() == "held (paused)"
    assert one(held=held).words() == "queued"


def test_tried_again() -> None:
    """A step whose last attempt failed says which attempt is next and when, until it begins, is parked or replayed."""
    story = [
        entry("retried", 20, attempt=1, wait_ms=100),
        entry("retried", 10, attempt=2, wait_ms=22_000),
        entry("retried", 1, step="3", attempt=7, wait_ms=5),
    ]
    found = one(story, began={"2": ago(11).timestamp()})
    assert found.words(NOW) == "retrying (attempt 3, next in 12 s)"
    assert (found.since, found.until) == (ago(10), ago(-12))
    assert found.words(ago(-13)) == "retrying (attempt 3, due)"
    assert one(story, began={"2": ago(9).timestamp()}).state == "running"
    assert one([*story, entry("parked", 8), entry("replayed", 7)]).state == "queued"


def test_waits_as_it_asked() -> None:
    """A step whose error said when to come back waits until then, and its attempt has the number that it had."""
    story = [entry("retried", 20, attempt=1, wait_ms=100), entry("waits", 10, attempt=2, wait_ms=22_000)]
    found = one(story, began={"2": ago(11).timestamp()})
    assert found.words(NOW) == "waits as it asked (attempt 2 again in 12 s)"
    assert (found.state, found.until, found.to_json()["asked"]) == ("retrying", ago(-12), True)
    assert found.words(ago(-13)) == "waits as it asked (attempt 2 again, due)"
    assert "asked" not in one(story[:1]).to_json()


def test_says_until_when() -> None:
    """The line of such an entry in a history says until when, in the time of where it is read, and why."""
    told = entry("waits", 0, attempt=2, wait_ms=90_000, error="Transient: 429")
    at = moment(ago(0) + timedelta(seconds=90))
    assert "T" not in at
    assert summary(told) == f"attempt 2 waits until {at}: Transient: 429"
    assert summary({**told, "at": "soon"}) == "attempt 2 waits: Transient: 429"


def test_what_waits_for_people() -> None:
    """Parked steps say why, waits say for what; both since when. What is settled, or came too late, is left out."""
    reason = {
        "agent": "shop.pay",
        "kind": "error",
        "error": "Broken",
        "text": "no",
        "at": ago(4).isoformat(),
        "attempt": 3,
    }
    wait = {"signal": "go", "schema": "urn:contract:shop.order:1", "since": ago(9).timestamp() * 1000}
    sent = dict.fromkeys(("1", "2", "10.b.1", "9"), (SENT, "shop.pay", "shop.order/1"))
    found = current(
        record(
            parked={"2": reason},
            awaited={"3.a.1": wait, "11": {**wait, "since": None}},
            settled=("1",),
            spent=("10",),
        ),
        sent,
        [],
    )
    told = [(one.step, one.words()) for one in found]
    assert told == [
        ("2", "parked: error: Broken: no"),
        ("3.a.1", 'waiting for signal "go" of shop.order/1'),
        ("9", "queued"),
        ("11", 'waiting for signal "go" of shop.order/1'),
    ]
    assert [one.since for one in found[:2]] == [ago(4), pytest.approx(ago(9), abs=timedelta(milliseconds=1))]
    assert found[0].to_json() == {
        "step": "2", "agent": "shop.pay", "state": "parked", "since": ago(4).isoformat(timespec="milliseconds"),
        "attempt": 3, "error": "error: Broken: no",
    }  # fmt: skip
    assert "since" not in found[3].to_json()


@pytest.mark.parametrize("status", ["completed", "cancelled", "scheduled"])
def test_nothing(status: str) -> None:
    """A run that has ended, or has not begun, does nothing."""
    assert current(record(status=status), {"2": (SENT, "a", "b/1")}, []) == []
