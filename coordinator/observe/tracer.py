"""Tracer: reads the histories of a story, along the links between its runs, and what else is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from handoffs.contracts.text import printable, quoted
from handoffs.coordinator.errors import UnknownRun
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.chronicle import Chronicle, chronicle
from handoffs.coordinator.observe.standing import status_in_redis
from handoffs.coordinator.observe.step_state import kind_of, text_of
from handoffs.coordinator.observe.trace import Trace
from handoffs.coordinator.observe.tracing import TraceFacts, traced
from handoffs.coordinator.store.outstanding import Outstanding
from handoffs.coordinator.store.run_state import RunState
from handoffs.coordinator.store.runs import Runs

_MOST_RUNS = 500
_HIGHEST = 50

History = Callable[[str], list[dict[str, Any]]]


class Tracer:
    """Makes traces. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(
        self,
        runs: Runs,
        outstanding: Outstanding,
        journal: Journal,
        history: History,
        agents: Iterable[Agent] = (),
    ) -> None:
        self._runs = runs
        self._outstanding = outstanding
        self._journal = journal
        self._history = history
        self._expects = {
            agent.name: one.gather.until
            for agent in agents
            for one in agent.subscriptions
            if one.gather and isinstance(one.gather.until, str)
        }

    def trace(self, run_id: str) -> Trace:
        """The whole story of which ``run_id`` is the id, or the id of a run that one of its events began.

        Raises :class:`~handoffs.coordinator.errors.UnknownRun` where neither Redis nor the journal has it.
        """
        root, first = self._top(run_id)
        known = {root: first}
        fresh: set[str] = set()
        runs: dict[str, Chronicle] = {}
        todo = dict.fromkeys([root])
        while todo and len(runs) < _MOST_RUNS:
            run = next(iter(todo))
            del todo[run]
            entries = known.pop(run, None) or self._history(run)
            if not entries:
                continue  # it is told of where it was begun
            found, new = self._read(run, entries)
            fresh |= new
            runs[run] = found
            triggered = (one for some in found.triggered.values() for one in some)
            todo |= {one: None for one in triggered if one not in runs}
        statuses = zip(runs, self._runs.states(list(runs)), strict=True)
        told = self._journal.runs.states(runs)
        letters = (letter for run in runs for letter in self._journal.letters.ids(state="unheard", run=run))
        return traced(
            run_id, root, runs,
            TraceFacts(
                statuses={run: _status(record, runs[run], told.get(run, "")) for run, record in statuses},
                unheard=frozenset(printable(letter, 200) for letter in letters),
                fresh=fresh,
                expects=self._expects,
            ),
        )  # fmt: skip

    def _read(self, run: str, entries: list[dict[str, Any]]) -> tuple[Chronicle, set[str]]:
        """A history and what is outstanding; the events that were not told of yet when that was asked.

        An agent that is no longer outstanding has done its work by then, or does not want the event: so the history is read once
        more.
        """
        before = chronicle(run, entries)
        outstanding = self._outstanding.agents_of(run)
        if outstanding is None:
            return before, set()
        after = chronicle(run, self._history(run), outstanding)
        return after, after.events.keys() - before.events.keys()

    def _top(self, run_id: str) -> tuple[str, list[dict[str, Any]]]:
        """The story that a run hangs on, with its history; the run itself where there is none."""
        entries = self._history(run_id)
        if not entries:
            raise UnknownRun(
                f"there is no story and no run {quoted(run_id, 80)}",
                "there is nothing to trace",
                "give a correlation id; list runs: coordinator runs list",
            )
        seen = {run_id}
        while len(seen) < _HIGHEST:
            links = (text_of(entry, "story", 200) for entry in entries if kind_of(entry) == "started")
            above = next(filter(None, links), "")
            found = self._history(above) if above and above not in seen else []
            if not found:
                break
            seen.add(above)
            run_id, entries = above, found
        return run_id, entries


def _status(record: RunState | None, found: Chronicle, told: str) -> str:
    """As far as it is known: Redis forgets what has ended, and ``told`` is what the journal says of it."""
    if record is None:
        return "cancelled" if found.cancelled else "completed" if told == "completed" else "unknown"
    return status_in_redis(record)
