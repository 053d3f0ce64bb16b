"""Step report: what a history tells of one step; and what giving a run up would undo."""

from __future__ import annotations

from datetime import UTC, datetime

from handoffs.coordinator.observe.current import Current
from handoffs.coordinator.observe.step_report import step_report
from handoffs.coordinator.observe.would_undo import would_undo
from handoffs.coordinator.store.undo import Undo

AT = "2026-01-05T10:00:00.000+00:00"
FAILED = {
    "kind": "retried",
    "step": "2",
    "agent": "shop.a",
    "attempt": 1,
    "at": AT,
    "input": {"n": 1},
    "error": "Busy: no",
    "wait_ms": 300,
    "worker": "w1",
}
PARKED = {
    "kind": "parked",
    "step": "2",
    "agent": "shop.a",
    "attempt": 2,
    "at": AT,
    "input": {"n": 1},
    "error": "error: Bad: no",
    "trace": "Bad: no\n  here",
}
EDITED = {
    "kind": "edited",
    "step": "2",
    "at": AT,
    "input": {"n": 1},
    "output": {"n": 5},
    "by": "ann",
    "error": "wrong number",
}
SETTLED = {"kind": "settled", "step": "2", "agent": "shop.a", "attempt": 1, "at": AT, "took_ms": 12.5, "input": {"n": 5}, "output": {"n": 6},
           "read": "a/1", "original": "a/3", "migrated": ["a/1 to a/2"], "wrote": "b/2", "sent": {"3": "b/1"}, "message": "m-1"}  # fmt: skip


def test_a_step_is_told_with_its_attempts_and_versions() -> None:
    """What failed and when the next attempt came, who gave it another input and why, what came in, through which migration, what went out."""
    found = step_report("2", [FAILED, PARKED, EDITED, SETTLED])
    assert found is not None
    assert [one.kind for one in found.events] == ["retried", "parked", "edited", "settled"]
    assert (found.events[0].error, found.events[0].wait_ms, found.events[0].worker) == ("Busy: no", 300, "w1")
    assert found.events[1].trace == "Bad: no\n  here"
    assert (found.events[2].by, found.events[2].why, found.events[2].error) == ("ann", "wrong number", "")
    assert (found.input, found.read, found.original, found.migrated) == (
        {"n": 5},
        "a/1",
        "a/3",
        ("a/1 to a/2",),
    )
    assert (found.output, found.wrote, found.sent, found.message) == ({"n": 6}, "b/2", {"3": "b/1"}, "m-1")


def test_a_step_that_was_edited_has_its_new_input() -> None:
    """Until an attempt with it has ended; and it has made nothing by that."""
    found = step_report("2", [PARKED, EDITED])
    assert found is not None
    assert (found.input, found.output) == ({"n": 5}, None)


def test_of_a_step_without_history_nothing_is_told() -> None:
    """Neither of another path, nor of a signal that has its name."""
    assert step_report("3", [SETTLED]) is None
    assert step_report("approval", [{"kind": "signalled", "step": "approval", "at": AT}]) is None


def test_odd_values_are_left_out() -> None:
    """What was written by others does not stop anybody from looking."""
    found = step_report(
        "2", [{"kind": 5, "step": "2", "attempt": "x", "took_ms": "y", "migrated": 3, "sent": [], "at": 0}]
    )
    assert found is not None
    assert (found.events[0].attempt, found.migrated, found.sent) == (0, (), None)


def test_what_would_be_undone_is_told_in_its_order() -> None:
    """The last one first, with the agents; beside what is at work, and what nothing undoes."""
    undos = [Undo("2", "shop.refund", "urn:contract:b:2"), Undo("1", "shop.unstock", "urn:contract:a:1")]
    history = [{**SETTLED, "step": step} for step in ("1", "2", "3", "0.undo", "shop.mail@0123456789abcdef")]
    doing = [Current("4", "shop.d", "running", datetime.now(UTC)), Current("5", "shop.e", "queued", None)]
    found = would_undo(undos, history, doing)
    assert [(one.step, one.agent, one.undone_by, one.contract) for one in found.undone] == [
        ("2", "shop.a", "shop.refund", "b/2"),
        ("1", "shop.a", "shop.unstock", "a/1"),
    ]
    assert found.at_work == ("4",)
    assert found.stays == ("3",)
    assert found.to_json()["undone"][0]["undone_by"] == "shop.refund"
