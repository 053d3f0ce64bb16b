"""What has become of a run, as one sees it from outside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handoffs import Contract, Run
from handoffs.coordinator.store.runs import Runs
from tests.flows.memory import Done, Json, plain
from tests.flows.universe import WARM, Story, unmasked

_DONE = {"settled", "skipped"}
_OPERATED = {"paused", "resumed", "cancelled", "given-up", "signalled", "refused", "skipped"}
_KINDS = (
    {"started", "begun", "retried", "waits", "parked", "replayed", "edited", "emitted", "late", "fallback"}
    | _DONE
    | _OPERATED
)


_ALIKE = {"deduplicated": "settled"}
"""A copy of a message may find what another one has made a moment before that is recorded: who told it does not matter."""


@dataclass
class Observed:
    """What has become of a run, by its record, its history, its letters and what its agents have done. ``told`` are the events
    that the history tells of, by their message ids."""

    status: str
    result: Any
    waits: dict[str, str]
    marked: set[str]
    parked: dict[str, tuple[str, str]]
    effects: dict[str, tuple[str, str]]
    held: set[str]
    hand: set[str]
    attempts: dict[str, list[str]] = field(default_factory=dict)
    edits: dict[str, list[Json]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    settled: dict[str, Done] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    fallbacks: dict[str, tuple[str, str]] = field(default_factory=dict)
    operated: Counter[str] = field(default_factory=Counter)
    begun: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    ended: int | None = None

    def spent(self, path: str) -> bool:
        return path in self.fallbacks or any(one.startswith(f"{path}.f.") for one in self.begun)

    def cached(self, path: str) -> Json | None:
        kind, text = self.fallbacks.get(path, ("", ""))
        found: Json | None = None if kind != "cache" else _parsed(text)
        return found


def observed(runs: Runs, run: Run, story: Story) -> Observed:
    """What has become of ``run``. Asserts what holds at any time. Steps that hear an event are where it was emitted."""
    assert not story.crowded, "more items at a time than the limit"
    done = Counter(dict(story.effects))  # as it is now: an agent that was let go may be at work still
    names = dict(story.handed)
    assert all(len(one) == 1 for one in names.values()), "two effects have one name for systems outside"
    assert len({*map(frozenset, names.values())}) == len(names), "an effect has two names"
    history = [
        {**unmasked(dict(entry)), "kind": _ALIKE.get(entry["kind"], entry["kind"])} for entry in run.history()
    ]
    fallbacks = [entry["step"] for entry in history if entry["kind"] == "fallback"]
    assert len(fallbacks) == len(set(fallbacks)), (
        fallbacks
    )  # each took a place once, however many budgets are around it
    unsaid = Counter(story.path(entry["step"]) for entry in history if is_undecided(entry))
    effects = Counter[tuple[str, str]]()
    for (path, agent, key), times in done.items():
        effects[agent, key] += max(times - unsaid[path], 1)
    assert not effects or max(effects.values()) == 1, "an effect was taken twice under one key"
    record = runs.get(run.id)
    assert record is not None
    assert not (odd := [entry for entry in history if entry["kind"] not in _KINDS]), odd
    status = run.status()
    seen = Observed(
        status,
        plainly(run.result(0)) if status == "completed" else None,
        {path: name for path, _, name in (wait.partition(" ") for wait in record.waits)},
        set(map(story.path, record.parked)),
        {story.path(letter.step): (letter.agent, letter.contract) for letter in run.letters()},
        {path: (agent, _own(key, story)) for path, agent, key in list(story.effects)},
        set(record.held),
        set(story.hand),
    )
    for entry in history:
        kind, path = entry["kind"], story.path(entry.get("step", ""))
        came = _came(entry)
        if came:
            seen.attempts.setdefault(path, []).append(f"{entry['attempt']}: {came}")
        seen.begun.add(path)
        seen.told |= {one["id"] for one in entry.get("emitted", ())}
        if kind in _OPERATED:
            seen.operated[kind] += 1
        if kind in _DONE:
            assert path not in seen.settled, f"step {path} was settled twice"
            read = plain(entry["input"]) if kind == "settled" else ""
            seen.settled[path] = Done(entry["agent"], read, entry.get("output", {}), kind)
            seen.order.append(path)
        elif kind == "parked":
            raised = entry["error"].startswith("error: ")
            assert not raised or entry.get("trace"), f"it is not told where it failed: {entry}"
            seen.failed.add(path)
        elif kind == "edited":
            seen.edits.setdefault(path, []).append(entry["output"])
        elif kind == "late":
            seen.late.add(path)
        elif kind == "fallback":
            seen.fallbacks[path] = (entry["fallback"].split()[0], plain(entry["output"]))
        elif kind in {"cancelled", "given-up"}:
            seen.ended = len(seen.order)
    return seen


def is_undecided(entry: Mapping[str, Any]) -> bool:
    """Whether a step was parked since it could not be said what follows: its outcome does not stand."""
    return entry["kind"] == "parked" and "cannot be answered" in entry["error"]


def _came(entry: Json) -> str:
    """What came of an attempt, where the entry tells of one."""
    if entry["kind"] in {"retried", "waits"}:
        return f"again in {entry.get('wait_ms', 0)} ms"
    return entry["kind"] if entry["kind"] in {"parked", "settled"} else ""


def _own(key: str, story: Story) -> str:
    """The key that the agent derived; none where it had to take that of the message."""
    given, _, _ = key.partition("#")
    first = given.split(".")[0]
    return given if first == story.name and not first.endswith(WARM) else ""


def _parsed(text: str) -> Json:
    found: Json = json.loads(text)
    return found


def plainly(value: Any) -> Any:
    """A result as JSON data."""
    if isinstance(value, Contract):
        return value.to_data()
    if isinstance(value, list):
        return [plainly(item) for item in value]
    return {name: plainly(item) for name, item in value.items()} if isinstance(value, dict) else value
