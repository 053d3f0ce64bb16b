"""Run view: a run as JSON values, the same for every command and every page."""

from __future__ import annotations

from typing import Any

from handoffs.coordinator.client.history import History
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.flow.usage import plain
from handoffs.coordinator.observe.run_summary import wait_json


def run_json(run: Run, history: History) -> dict[str, Any]:
    """A run for programs."""
    return {
        "run": run.id,
        "key": run.key() or None,
        "status": run.status(),
        "waiting": [wait_json(one) for one in run.waiting()],
        **due_of(run),
        "now": [{**one.to_json(), "says": one.words()} for one in run.current()],
        **usage_of(run),
        "history": history.to_json(),
    }


def due_of(run: Run) -> dict[str, str]:
    """When a run is to begin, for programs; nothing where it began at once."""
    when = run.due()
    return {"due": when.isoformat()} if when else {}


def usage_of(run: Run) -> dict[str, Any]:
    """What a run has used up, and what it may, for programs; nothing where nobody counted or limited anything."""
    used, may = run.usage(), run.spending()
    limits = (
        {}
        if may is None
        else {"spending": {"tokens": may.tokens, "cost": None if may.cost is None else plain(may.cost)}}
    )
    return {**({"usage": used.to_json()} if used or may else {}), **limits}
