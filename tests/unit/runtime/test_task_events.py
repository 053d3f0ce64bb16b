"""Task events: what is shown of them is what a worker sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery.events import Event
from celery.utils.time import utcoffset
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import is_plain
from handoffs.coordinator.runtime.task_events import read_event

NOW = 1_800_000_000.0
TASK: dict[str, Any] = {
    "type": "task-received", "hostname": "w1@host", "pid": 7, "clock": 3, "utcoffset": -5.5, "timestamp": NOW, "uuid": "u-1",
    "name": "shop.one", "args": "run=1", "root_id": "r-1", "parent_id": None, "retries": 0, "eta": None, "expires": None,
}  # fmt: skip
WORKER: dict[str, Any] = {
    "type": "worker-heartbeat", "hostname": "w1@host", "pid": 7, "clock": 3, "utcoffset": 0, "timestamp": NOW, "freq": 2.0, "active": 1,
    "processed": 5, "loadavg": [0.5, 1, 2.25], "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = {**TASK, **WORKER}


@pytest.mark.parametrize("event", [TASK, WORKER])
def test_what_a_worker_sends_is_read(event: dict[str, Any]) -> None:
    """Each field as it is; those that are not set stay so."""
    assert read_event(event, NOW) == {name: value for name, value in event.items() if value not in (None, "")}


def test_other_fields_are_left_out() -> None:
    """What Flower would keep in the place of something of its own, and what only a later Celery sends, is not taken over."""
    more = {
        "kwargs": "{'a': 1}",
        "cluster_state": None,
        "worker": 1,
        "state": "x",
        "heartbeats": "x",
        "local_received": 0,
    }
    assert read_event({**TASK, **more}, NOW) == read_event(TASK, NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "task-made-up"), ("type", []), ("type", "task"), ("hostname", None), ("hostname", "a" * 256), ("hostname", "a\x1b[2J"),
        ("hostname", "\u202e"), ("timestamp", None), ("timestamp", NOW + 100_000), ("timestamp", NOW - 100_000), ("timestamp", float("nan")),
        ("timestamp", "now"), ("utcoffset", 25), ("clock", -1), ("clock", 2**53), ("clock", True), ("clock", 1.5), ("pid", "7"),
        ("uuid", None), ("uuid", ["u"]), ("uuid", "\u00fc"), ("name", {"a": 1}), ("args", ["run"]), ("retries", 0.5), ("runtime", float("inf")),
    ],
)  # fmt: skip
def test_what_no_worker_sends_is_refused(name: str, value: Any) -> None:
    """A field of another type, out of all bounds, or missing makes it no event, and why is said without the value."""
    with pytest.raises(InvalidInput) as caught:
        read_event({**TASK, name: value}, NOW)
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("active", "<b>"),
        ("active", -1),
        ("freq", 0),
        ("freq", 1e9),
        ("loadavg", [1, 2]),
        ("loadavg", ["<b>"] * 3),
        ("sw_ver", 5),
    ],
)
def test_a_number_is_a_number(name: str, value: Any) -> None:
    """Flower's page writes some of them into the page as they come."""
    with pytest.raises(InvalidInput, match=f"its {name} is malformed"):
        read_event({**WORKER, name: value}, NOW)


def test_texts_are_shown_in_part_and_escaped() -> None:
    """Of long ones the beginning, in so much memory, whatever the characters; nothing in them is obeyed by a terminal. A traceback keeps its
    lines, and its end."""
    trace = "Traceback:\n" + "  line\n" * 10_000 + "ValueError: \x1b[2J\u202e"
    given = {
        "type": "task-failed",
        "exception": "\U0001f600" * 10_000,
        "traceback": trace,
        "result": "a\x00b\nc",
    }
    read = read_event({**TASK, **given}, NOW)
    assert read["exception"] == "\U0001f600" * 197 + "..."
    assert len(read["traceback"].splitlines()) == 200
    assert read["traceback"].endswith("  line\nValueError: \\u001b[2J\\u202e")
    assert read["result"] == "a\\u0000b\\u000ac"


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON) | JSON)
def test_whatever_comes_is_read_or_refused(given_: Any) -> None:
    """Nothing else is raised, and what is read is small and plain, and can be compared."""
    for event in (given_, {**TASK, **given_} if isinstance(given_, dict) else given_):
        try:
            read = read_event(event, NOW)
        except InvalidInput:
            continue
        assert len(json.dumps(read, allow_nan=False)) < 80_000
        assert is_plain(read["hostname"])
        assert abs(read["timestamp"] - NOW) <= 86_400


def test_what_celery_makes_is_an_event() -> None:
    """As Celery's own maker of events fills them in."""
    event = Event("worker-online", hostname="w1@host", utcoffset=utcoffset(), pid=1, clock=1, freq=2.0)
    assert read_event(json.loads(json.dumps(event)), event["timestamp"]) == event
