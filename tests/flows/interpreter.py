"""What a flow means, in plain Python: no message, no store, no worker. The engine is judged by this.

It remembers what has happened in a run, by path. :meth:`Interpreter.rest` walks the flow as it is written, again and again,
until nothing further happens; the operations in between change what is remembered. Everything that can run has run then:
an item of an :func:`~handoffs.coordinator.flow.step.each` with a limit begins when the item ``limit`` places before it is done.

Events. What is emitted is heard, whatever becomes of the run, and the run does not wait for those who hear it.

Questions. What is asked at once of an outcome is asked before that stands: where it cannot be answered, the step is parked.

Keys. A run finds the answers of the one before that had the same keys: the same content has the same outcome, and another is a
conflict.

Time. Budgets and timeouts of at most ``SHORT`` are spent while somebody waits, longer ones never are. Without a clock each
is spent when nothing else can be done, the shorter one first: so while a short one has not been, none within it is.
"""

from __future__ import annotations

import json
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, Protocol

from handoffs.coordinator.errors import Unanswerable
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import Budget, Cached, Constant, Fallback
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import (
    Choice,
    Compensate,
    Delay,
    Each,
    Emit,
    Parallel,
    Repeat,
    Retrying,
    Step,
    parts,
    positions,
)
from tests.flows.memory import Answers, Done, Json, Memory, hearing, is_fact, plain, static

Work = Callable[[Agent, str, Json, int], Json]
"""What an agent makes of an input at the step of that path, at the attempt of that number (from 1). Raises what the agent
raises, or :class:`AtWork`."""
SHORT = timedelta(milliseconds=150)


class AtWork(Exception):
    """The agent has begun, and does not come back before somebody lets it."""


class Panic(BaseException):
    """As an extension's: no ``Exception``."""


class TooMuch(Exception):
    """The agent has made more than any message has room for: that is parked at once, whatever the policy."""


class _Failed(Exception):
    """The agent has failed at this step, and is not tried again."""


_RAISED = (Exception, CancelledError, SystemExit, GeneratorExit, Panic, BaseExceptionGroup)
"""What agents raise here: anything but what ends the test itself."""


class _Stuck(Exception):
    """Nothing comes out of here before something else happens."""


Asked = Callable[[Json], None]
"""Asks what is asked at once of a value, and raises :class:`Unanswerable` where that has no answer."""


def _nothing_more(_: Json) -> None:
    """Nothing is asked before somebody has worked on it."""


class Seen(Protocol):
    """What was seen of a run, where the meaning of its flow leaves a choice."""

    def spent(self, path: str) -> bool:
        """Whether a budget was spent although its step would have come: a short one, on a busy machine."""

    def in_time(self, path: str) -> bool:
        """Whether the outcome of that step came before what could take its place, where both could come at once."""

    def cached(self, path: str) -> Json | None:
        """Which earlier outcome the budget fell back to, if any: several may be the last, at the same time."""


class Interpreter:
    """One run of ``flow``, started with ``given``, where its agents do ``work``. ``kept`` are the outcomes that earlier runs
    of it have left for those who fall back to them, ``certain`` that these are there,
    ``answers`` what they have left under keys, ``ears`` the agents that hear
    events. ``later``: its time has not come."""

    def __init__(
        self,
        flow: Flow,
        given: Json,
        work: Work,
        seen: Seen,
        *,
        clock: bool,
        kept: set[tuple[str, str]],
        ears: Sequence[Agent] = (),
        later: bool = False,
        answers: Answers | None = None,
        certain: bool = True,
    ) -> None:
        self.flow, self.given, self.work, self.seen, self.clock = flow, given, work, seen, clock
        self.ears = ears
        self.memory = Memory(kept=set(kept), scheduled=later)
        self.undo: dict[str, Step] = {}
        self.policies: dict[str, Retry] = {}
        self._certain = dict(kept) if certain else {}
        self._answers = answers or {}
        self._asked: Asked = _nothing_more  # of what comes out of here
        self._dead = False  # nothing further begins here: what has begun comes too late
        self._frozen = False  # a shorter budget around this is not spent yet
        self._last = ""  # whose outcome it is that goes on here,
        self._good = True  # and not a fallback

    # Operations

    def begin(self) -> None:
        """Its time has come."""
        self.memory.scheduled = False

    def replay(self, path: str) -> None:
        self.memory.parked.pop(path, None)

    def skip(self, path: str, made: Json) -> None:
        agent, _ = self.memory.parked.pop(path)
        self.memory.settled[path] = Done(agent, "", made, "skipped")

    def edit(self, path: str, value: Json) -> None:
        """A step that is parked, or held with its run, does its work with this input from now on."""
        self.memory.parked.pop(path, None)
        self.memory.edits.setdefault(path, []).append(value)

    def signal(self, name: str, payload: Json) -> None:
        """The first one that waits for it takes it; where nobody does, it is kept for who will."""
        waiting = min((path for path, wanted in self.memory.waits.items() if wanted == name), default=None)
        if waiting is None:
            self.memory.signals[name] = payload
        else:
            self._take(waiting, payload)

    def pause(self) -> None:
        self.memory.paused = True

    def resume(self) -> None:
        self.memory.paused = False

    def cancel(self, *, compensate: bool, order: Sequence[str]) -> None:
        """``order`` is the one in which steps were settled: those side by side may have been in any."""
        memory = self.memory
        memory.cancelled, memory.compensated, memory.paused = True, compensate, False
        memory.told_to_end |= memory.hand
        self._dead = True
        memory.parked = {path: one for path, one in memory.parked.items() if is_fact(path)}
        memory.waits.clear()
        if compensate:
            done = [path for path in self.undo if path in memory.settled and path in order]
            memory.undoing.append(sorted(done, key=order.index, reverse=True))

    def rest(self) -> Memory:
        """Let everything happen that can, and say what has."""
        before = -1
        if self.memory.scheduled:
            return self.memory
        while before != (before := self.memory.size):
            try:
                self._dead, self._frozen = self.memory.cancelled, False
                self.memory.held.clear()
                made = self.sequence(self.flow.step, "", self.given)
                if not self.memory.cancelled:
                    self.memory.result = made
            except _Stuck:
                pass
            self._dead = False
            for path, event in self.memory.emitted.items():
                self._hear(path, event)
            for chain in self.memory.undoing:
                self._undo(chain)
        return self.memory

    def _undo(self, chain: list[str]) -> None:
        try:
            for path in chain:
                self.part(self.undo[path], f"{path}.undo", self.memory.settled[path].made)
                self.memory.forget(path)
        except _Stuck:
            pass

    def _hear(self, path: str, event: Json) -> None:
        contract = self.flow.events[static(path)]
        read = contract.from_data(event).to_data()
        for ear in self.ears:
            if any(one.contract is contract and one.wants(read) for one in ear.subscriptions):
                with suppress(_Stuck):
                    self.agent(ear, hearing(path, ear.name), event)

    # Steps

    def sequence(self, step: Step, prefix: str, value: Json) -> Json:
        after = self._asked
        found = list(positions(step, prefix))
        for number, (path, part) in enumerate(found, 1):
            with self._before(partial(_ask, [one for _, one in found[number:]], after)):
                value = self.part(part, path, value)
        return value

    @contextmanager
    def _before(self, asked: Asked) -> Iterator[None]:
        """What comes out of here meanwhile is asked that."""
        outer, self._asked = self._asked, asked
        try:
            yield
        finally:
            self._asked = outer

    def part(self, part: Step, path: str, value: Json) -> Json:
        match part:
            case Agent():
                return self.agent(part, path, value)
            case Compensate(step=inner, by=undo):
                self.undo[path] = undo
                return self.part(inner, path, value)
            case Retrying(step=inner, policy=policy):
                self.policies[path] = policy
                return self.part(inner, path, value)
            case Flow():
                return self.sequence(part.step, f"{path}.", value)
            case Delay():
                return value
        means: Callable[[Any, str, Json], Json] = getattr(self, type(part).__name__.lower())
        return means(part, path, value)

    def agent(self, agent: Agent, path: str, value: Json) -> Json:
        memory = self.memory
        begun = path in memory.hand or is_fact(path)
        if path in memory.settled:
            self._last, self._good = path, True
            return memory.settled[path].made
        if path in memory.parked or path in memory.effects or (self._dead and not begun):
            raise _Stuck
        if memory.paused and not begun:
            memory.held.add(path)
            memory.put_off.add(path)
            raise _Stuck
        read = agent.accepts.from_data(memory.edits.get(path, [value])[-1])
        known, key = plain(read.to_data()), agent.idempotency_key(read, "")
        try:
            made, attempt = self._known(path, key, known) or self._attempts(agent, path, read.to_data())
        except AtWork:
            memory.hand.add(path)
            memory.claims[path, key] = (known, None)
            raise _Stuck from None
        except _Failed:
            memory.claims.setdefault((path, key), (known, None))
            self._parked(agent, path)
        memory.hand.discard(path)
        memory.claims[path, key] = (known, made)
        if not self._answered(path, key):
            memory.effects[path] = (agent.name, key)
        try:
            self._asked(made)
        except Unanswerable:
            memory.claims[path, key] = self._answers.get((path, key), (known, None))
            if path in memory.effects:
                memory.undecided[path] = memory.effects.pop(path)
            if self._dead:  # its run was cancelled meanwhile: nothing of it is parked
                raise _Stuck from None
            memory.attempts.setdefault(path, []).append(f"{attempt}: parked")
            memory.hopeless.add(path)
            self._parked(agent, path)
        if memory.result is not None and not is_fact(path):  # the run has ended meanwhile
            memory.late.add(path)
            raise _Stuck
        memory.attempts.setdefault(path, []).append(f"{attempt}: settled")
        memory.settled[path] = Done(agent.name, known, made)
        if memory.compensated and path in self.undo:  # it was still at work
            memory.undoing.append([path])
        self._last, self._good = path, True
        return made

    def _parked(self, agent: Agent, path: str) -> NoReturn:
        self.memory.failed.add(path)
        self.memory.parked[path] = (agent.name, str(agent.accepts.ref()))
        raise _Stuck from None

    def _known(self, path: str, key: str, content: str) -> tuple[Json, int] | None:
        """What its key has from a run before, and at the first attempt."""
        if not key or (path, key) not in self._answers:
            return None
        had, made = self.memory.claims[path, key] = self._answers[path, key]
        if had != content:
            self.memory.attempts.setdefault(path, []).append("1: parked")
            self.memory.hopeless.add(path)
            raise _Failed
        return None if made is None else (made, 1)

    def _answered(self, path: str, key: str) -> bool:
        return bool(key) and self._answers.get((path, key), ("", None))[1] is not None

    def _attempts(self, agent: Agent, path: str, data: Json) -> tuple[Json, int]:
        """Try until something comes of it: what, and at which attempt."""
        policy, attempt, waited = self.policies.get(path, agent.retry), 1, timedelta()
        while True:
            try:
                return self.work(agent, path, data, attempt), attempt
            except AtWork:
                raise
            except _RAISED as fault:  # whatever an agent raises
                wait, asked = None, False
                if not isinstance(fault, TooMuch):
                    wait, asked = _wait(policy, attempt, fault)
                if wait and asked:
                    waited += wait
                    wait = wait if waited <= policy.allowance else None
                came = "parked" if wait is None else f"again in {round(wait.total_seconds() * 1000)} ms"
                self.memory.attempts.setdefault(path, []).append(f"{attempt}: {came}")
                if wait is None:
                    raise _Failed from None
                attempt += not asked

    def emit(self, _: Emit, path: str, value: Json) -> Json:
        """It goes out once, also out of a budget that is spent by now, and not from a run that was cancelled before."""
        if path not in self.memory.emitted:
            if self.memory.cancelled:
                raise _Stuck
            self.memory.emitted[path] = value
        return value

    def parallel(self, parallel: Parallel, path: str, value: Json) -> Json:
        with self._before(_nothing_more):
            made = {
                name: self._tried(branch, f"{path}.{name}.", value, self._frozen)
                for name, branch in parallel.branches
            }
        return _all(made)

    def choice(self, choice: Choice, path: str, value: Json) -> Json:
        for number, (condition, step) in enumerate(choice.cases, 1):
            if condition.holds(value):
                return self.sequence(step, f"{path}.c{number}.", value)
        return value if choice.otherwise is None else self.sequence(choice.otherwise, f"{path}.c0.", value)

    def each(self, each: Each, path: str, value: Json) -> Json:
        items = value[each.field]
        made: dict[int, Json | None] = {}
        for number, item in enumerate(items):
            before = number - (each.limit or len(items))
            waits = before >= 0 and made[before] is None  # its turn does not come before that one is done
            with self._before(_nothing_more):
                tried = None if waits else self._tried(each.step, f"{path}.i{number}.", item, self._frozen)
            made[number] = tried
        return {each.into: list(_all(made).values())}

    def repeat(self, repeat: Repeat, path: str, value: Json) -> Json:
        for number in range(1, repeat.at_most + 1):
            with self._before(partial(_ask_to_repeat, repeat, number, self._asked)):
                value = self.sequence(repeat.step, f"{path}.r{number}.", value)
            if number == repeat.at_most or repeat.until.holds(value):
                break
        return value

    def waitfor(self, wait: WaitFor, path: str, value: Json) -> Json:
        memory = self.memory
        if path not in memory.taken:
            if self._dead:
                raise _Stuck
            if wait.name in memory.signals:
                self._take(path, memory.signals.pop(wait.name))
            elif wait.otherwise is not None and wait.timeout is not None and self._fires(wait.timeout):
                self._take(path, self._told(path, "constant", wait.otherwise.payload.to_data()))
            else:
                memory.waits[path] = wait.name
                raise _Stuck
        found = memory.taken[path]
        self._good = path not in memory.fallbacks
        return found if wait.keep is None else {wait.keep: value, wait.name: found}

    def budget(self, budget: Budget, path: str, value: Json) -> Json:
        memory, short = self.memory, budget.within <= SHORT
        if path in memory.taken:
            return self._too_late(budget, path, value)
        if path in memory.spent:
            return self._overdue(budget, path, value)
        made = self._tried(budget.step, f"{path}.b.", value, self._frozen or short)
        hurried = self.clock and short and self.seen.spent(path)
        if made is not None and hurried and self._beats(budget.fallback):
            memory.spent.add(path)
            return self._overdue(budget, path, value)
        if made is not None and not hurried:
            if self._good and not self._dead:
                memory.kept.add((self._key(budget.fallback, path, value), plain(made)))
            self._take(path, made)
        elif self._fires(budget.within) or (hurried and not self._dead):
            if self.clock:
                memory.loose.add(f"{path}.b.")
                memory.told_to_end |= {one for one in memory.hand if one.startswith(f"{path}.b.")}
            memory.spent.add(path)
            self._take(path, self._stands_in(budget.fallback, path, value))
            self._good = False
        else:
            raise _Stuck
        return memory.taken[path]

    def _beats(self, fallback: Fallback) -> bool:
        """Whether what was last done came before the agent that was sent in its place."""
        return isinstance(_otherwise(fallback), Step) and self.seen.in_time(self._last)

    def _overdue(self, budget: Budget, path: str, value: Json) -> Json:
        """It is spent, and nothing could take its place then: now it is whoever comes first."""
        made = self._tried(budget.step, f"{path}.b.", value, self._frozen)
        last, good, instead = self._last, self._good, _otherwise(budget.fallback)
        assert isinstance(instead, Step)
        other = self._tried(instead, f"{path}.f.", value, self._frozen)
        if made is None and other is None:
            raise _Stuck
        self.memory.loose |= {f"{path}.b.", f"{path}.f."}
        first = made if other is None or (made is not None and self.seen.in_time(last)) else other
        assert first is not None
        self._good = good and first is made
        self._last = last if first is made else self._last
        if self._good and not self._dead:
            self.memory.kept.add((self._key(budget.fallback, path, value), plain(first)))
        self._take(path, first)
        return first

    def _stands_in(self, fallback: Fallback, path: str, value: Json) -> Json:
        if isinstance(fallback, Cached):
            key = self._key(fallback, path, value)
            found = self.seen.cached(path)
            if found is None and key in self._certain:
                found = json.loads(self._certain[key])
            if found is not None:
                self.memory.relied.add((key, plain(found)))
                return self._told(path, "cache", found)
        instead = _otherwise(fallback)
        if isinstance(instead, Constant):
            return self._told(path, "constant", instead.payload.to_data())
        return self.sequence(instead, f"{path}.f.", value)

    def _too_late(self, budget: Budget, path: str, value: Json) -> Json:
        """Something has come back from it: who is still at work comes late, and whoever has not begun does not."""
        dead, self._dead = self._dead, True
        for name, step in (("b", budget.step), ("f", _otherwise(budget.fallback))):
            if isinstance(step, Step) and (name == "b" or path in self.memory.spent):
                made = self._tried(step, f"{path}.{name}.", value, self._frozen)
                if made not in (None, self.memory.taken[path]) and not self.memory.cancelled:
                    self.memory.late.add(self._last)
        self._dead = dead
        return self.memory.taken[path]

    def _take(self, path: str, value: Json) -> None:
        """The place is taken: nothing in it waits any more."""
        self.memory.taken[path] = value
        self.memory.waits.pop(path, None)
        for waiting in (self.memory.parked, self.memory.waits):
            for one in [one for one in waiting if one.startswith((f"{path}.b.", f"{path}.f."))]:
                if not one.endswith(".undo") and not is_fact(one):
                    del waiting[one]

    def _told(self, path: str, kind: str, value: Json) -> Json:
        self.memory.fallbacks[path] = (kind, plain(value))
        return value

    def _fires(self, length: timedelta) -> bool:
        return not (self._frozen or self._dead) and (not self.clock or length <= SHORT)

    def _key(self, fallback: Fallback, path: str, value: Json) -> str:
        by = fallback.by if isinstance(fallback, Cached) else ()
        return plain([static(path), [value.get(name) for name in by]])

    def _tried(self, step: Step, prefix: str, value: Json, frozen: bool) -> Json | None:
        before, self._frozen = self._frozen, frozen
        try:
            return self.sequence(step, prefix, value)
        except _Stuck:
            return None
        finally:
            self._frozen = before


def _ask(steps: Sequence[Step], after: Asked, value: Json) -> None:
    """Ask what is asked of ``value`` where these steps come next, and then what is asked of it ``after`` them, up to the first that
    works on it."""
    for number, part in enumerate(steps, 1):
        then = partial(_ask, steps[number:], after)
        match part:
            case Delay() | Emit():
                continue
            case Choice(cases=cases, otherwise=otherwise):
                way = next((step for condition, step in cases if condition.holds(value)), otherwise)
                if way is None:
                    continue
                return _ask(parts(way), then, value)
            case Flow(step=inner) | Budget(step=inner):
                return _ask(parts(inner), then, value)
            case Repeat(step=inner):
                return _ask(parts(inner), partial(_ask_to_repeat, part, 1, then), value)
            case Parallel(branches=branches):
                for _, branch in branches:
                    _ask(parts(branch), _nothing_more, value)
            case Each(field=name, step=inner):
                for item in value[name]:
                    _ask(parts(inner), _nothing_more, item)
        return None
    return after(value)


def _ask_to_repeat(repeat: Repeat, number: int, after: Asked, value: Json) -> None:
    """Ask what is asked at the end of a round."""
    if number == repeat.at_most or repeat.until.holds(value):
        return after(value)
    return _ask(parts(repeat.step), partial(_ask_to_repeat, repeat, number + 1, after), value)


def _wait(policy: Retry, attempt: int, fault: BaseException) -> tuple[timedelta | None, bool]:
    """How long it is until the next attempt; None where there is none. And whether it is all of the fault that asks for it: then the
    attempt has not counted."""
    never, only = (
        {one if isinstance(one, str) else one.__name__ for one in errors}
        for errors in (policy.never, policy.only)
    )
    asked = [getattr(one, "retry_after", None) for one in _within(fault)]
    if not _may_pass(fault, {"Permanent", *never}, only) or (attempt == policy.attempts and not all(asked)):
        return None, False
    backoff = min(policy.backoff * policy.factor ** (attempt - 1), policy.longest)
    return max(filter(None, asked), default=backoff), all(asked)


def _may_pass(
    fault: BaseException, never: set[str], only: set[str], around: frozenset[str] = frozenset()
) -> bool:
    """Whether it is worth another attempt; of a group, whether each in it is."""
    names = {kind.__name__ for kind in type(fault).__mro__}
    names |= {"Exception"} if isinstance(fault, CancelledError) else set()
    if names & never:
        return False
    if isinstance(fault, BaseExceptionGroup):
        return all(_may_pass(one, never, only, around | names) for one in fault.exceptions)
    return bool((names | around) & only)


def _within(fault: BaseException) -> list[BaseException]:
    if isinstance(fault, BaseExceptionGroup):
        return [found for one in fault.exceptions for found in _within(one)]
    return [fault]


def _otherwise(fallback: Fallback) -> Constant | Step:
    return fallback.otherwise if isinstance(fallback, Cached) else fallback


def _all(made: dict[Any, Json | None]) -> dict[Any, Json]:
    found = {name: one for name, one in made.items() if one is not None}
    if len(found) < len(made):
        raise _Stuck
    return found
