"""Metering: what an attempt uses up, counted for its run and its flow, and whether the run has used up more than it may."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

from handoffs.coordinator.continuation.path import is_undo
from handoffs.coordinator.errors import OverBudget, ServerError
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.usage import COST, Amounts, Usage, plain
from handoffs.coordinator.handoff.open import Opened
from handoffs.coordinator.handoff.signs import StepSigns
from handoffs.coordinator.handoff.spans import tell_usage
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.store import Store
from handoffs.coordinator.store.usage import Spent


class StepMeter:
    """The meter of one attempt. Safe for threads.

    In a thread it counts at once. In a coroutine, where nobody may wait, it has a thread do that; what is not counted when the attempt ends is
    ``uncounted``, and is counted then.
    """

    def __init__(
        self,
        store: Store,
        opened: Opened,
        signs: StepSigns,
        patiently: Callable[[Callable[[], Spent]], Spent],
    ) -> None:
        """``patiently`` performs what needs Redis, waiting for it where it is away."""
        self._store = store
        self._place = opened.place
        self._signs = signs
        self._patiently = patiently
        came = opened.delivery
        self._attempt = f"{opened.edit}/{came.replays}/{came.attempt}/{came.waited}/{opened.place.step}"
        self._work = f"{opened.content[:32]}/{opened.generation}"
        self._exempt = is_undo(opened.place.step)
        self._lock = threading.Lock()
        self._used: dict[str, Counter[str]] = {}
        self._counted: dict[str, Counter[str]] = {}
        self._spent: Spent | None = None
        self._within = 0

    def use(self, amounts: Amounts, of: str, model: str = "") -> None:
        """Count so much more, of ``model`` where that is named. Raises :class:`OverBudget` where the run has used up more than it may, unless that was within a call
        whose result is to be recorded first."""
        self._signs.give()
        name = f"{self._work}/{of}/{self._place.step}" if of else self._attempt
        with self._lock:
            used = self._used.setdefault(name, Counter())
            if of:  # what a call has used up is said again by each attempt that is given its result
                self._used[name] = used | Counter(amounts)
            else:
                used.update(amounts)
        tell_usage(self._so_far, model)
        if (loop := _running_loop()) is not None:
            loop.run_in_executor(None, self._count_quietly)
        else:
            self._patiently(self._count)
        if not self._within:
            self.check()

    def _so_far(self) -> Amounts:
        """What the attempt has used up so far."""
        with self._lock:
            return sum(self._used.values(), Counter())

    @property
    def uncounted(self) -> dict[str, Amounts]:
        """What is not counted yet, by what names it."""
        with self._lock:
            return {name: dict(used) for name, used in self._used.items() if used != self._counted.get(name)}

    def check(self, *, asked: bool = False) -> None:
        """Raise :class:`OverBudget` where the run has used up more than it may, by what is known here; ``asked``: by what Redis says
        now, unless the run has no limit."""
        if self._exempt:
            return
        if asked and (self._spent is None or self._spent.limits):
            self._patiently(self._count)
        if self._spent is not None and self._spent.over:
            raise over_budget(self._place, self._spent)

    def begin(self) -> None:
        """A call begins whose result is to be recorded."""
        with self._lock:
            self._within += 1

    def end(self) -> None:
        """That call has ended."""
        with self._lock:
            self._within -= 1

    def _count(self) -> Spent:
        """Count what is not counted yet, and see what the run has used up."""
        said = self.uncounted
        found = self._spent = self._store.use(self._place.run, self._place.flow, said)
        with self._lock:
            self._counted.update({name: Counter(amounts) for name, amounts in said.items()})
        return found

    def _count_quietly(self) -> None:
        try:
            self._count()
        except ServerError:
            return  # it stays uncounted


def may_not_begin(opened: Opened, found: Spent | None) -> OverBudget | None:
    """Why a step does not begin, where its run has used up more than it may. What undoes a step, and what stands in for one, does: it is there
    for when something went wrong."""
    place = opened.place
    stands_in = any(place.step.startswith(f"{path}.{ways.FALLBACK}.") for path in opened.budgets)
    if found is None or not found.over or is_undo(place.step) or stands_in:
        return None
    return over_budget(place, found)


def over_budget(place: StepRef, found: Spent) -> OverBudget:
    """The error of a run that has used up more than it may."""
    used, limit = Usage.of(found.sums), Usage.of(found.limits)
    words = {
        name: f"a cost of {plain(used.cost)} where {plain(limit.cost)} is allowed"
        if name == COST
        else f"{used.tokens:,} {name} where {limit.tokens:,} are allowed"
        for name in found.over
    }
    return OverBudget(
        f"run {place.run} has used up {' and '.join(words.values())}",
        "no further step of it begins, and no further call is made",
        f"allow it more, then replay the step: coordinator runs allow {place.run} --tokens N --cost N",
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
