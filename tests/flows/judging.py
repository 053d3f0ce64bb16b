"""Runs a scenario on a coordinator, and compares what has become of it with what the interpreter says, time after time."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from celery.worker import state

from coordinator import Coordinator, Flow, Run
from coordinator.agent import Agent
from coordinator.errors import SignalRefused, UnknownRun
from tests.flows.interpreter import Interpreter
from tests.flows.memory import Json, Memory, static
from tests.flows.observed import Observed, observed
from tests.flows.scenario import Operation, Scenario
from tests.flows.universe import STORIES, WARM, Story, Work

_ENDED = {"completed", "cancelled"}
_MOST_STAGES = 200


def judge(
    coordinator: Coordinator,
    scenario: Scenario,
    *,
    timeout: float = 0.0,
    idle: Callable[[], int] = lambda: 0,
) -> None:
    """Run ``scenario`` to its end, operation by operation, and assert after each that it stands where it must.

    ``timeout`` is how many seconds it may take to get there each time, none where nothing is waited for: there is no clock
    then. ``idle`` says how many steps the workers have in hand.
    """
    flow, kept = scenario.begun(), set[tuple[str, str]]()
    name = flow.name.rpartition(".")[2]
    if scenario.warm:
        given, story = scenario.told(name + WARM, well=True, clock=timeout > 0)
        with _Trial(coordinator, flow, given, story, kept, timeout, idle) as trial:
            trial.finish()
            kept = trial.meaning.memory.kept
    given, story = scenario.told(name, clock=timeout > 0)
    amid = scenario.amid and (*scenario.amid, scenario.sole_signals())
    with _Trial(coordinator, flow, given, story, kept, timeout, idle, amid) as trial:
        for operation in scenario.operations:
            trial.operate(operation)
        trial.finish()


def in_hand() -> int:
    """How many steps the workers of this process have in hand."""
    return len(state.reserved_requests)


class _Trial:
    """One run, on a coordinator and in the interpreter."""

    def __init__(
        self,
        coordinator: Coordinator,
        flow: Flow,
        given: Json,
        story: Story,
        kept: set[tuple[str, str]],
        timeout: float,
        idle: Callable[[], int],
        amid: tuple[str, Operation, list[str]] | None = None,
    ) -> None:
        self.coordinator, self.story, self.timeout, self.idle, self.amid = (
            coordinator,
            story,
            timeout,
            idle,
            amid,
        )
        self.flow, self.given = flow, given
        self.seen: Observed | None = None
        self.meaning = Interpreter(flow, given, self.work, self, clock=timeout > 0, kept=kept)
        self.operated: Counter[str] = Counter()
        self.faults: list[str] = []
        self._run: Run | None = None

    def __enter__(self) -> _Trial:
        STORIES[self.flow.name] = self.story
        if self.amid:
            self.story.amid[self.amid[0]] = self.meddle
        try:
            self._run = self.coordinator.start(self.flow, self.given)
            self.agree()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.story.release(set(self.story.behaviours))
        if self._run is not None and self.run.status() not in _ENDED:  # it would be in the way of the next
            self.run.cancel()
            store = self.coordinator.engine.store
            outstanding = store.keys.outstanding(store.keys.shard(self.run.id))
            for one in store.redis.hscan_iter(outstanding, f"{self.run.id}|*"):
                store.redis.hdel(outstanding, one[0])
        del STORIES[self.flow.name]

    @property
    def run(self) -> Run:
        assert self._run is not None
        return self._run

    # What the interpreter asks

    def spent(self, path: str) -> bool:
        return self.seen is not None and self.seen.spent(path)

    def in_time(self, path: str) -> bool:
        return self.seen is not None and path in self.seen.settled and path not in self.seen.late

    def cached(self, path: str) -> Json | None:
        return self.seen.cached(path) if self.seen else None

    def work(self, agent: Agent, path: str, data: Json) -> Json:
        if self.amid and path == self.amid[0]:
            self.meant(self.amid[1].kind)
        return self.story.work(agent, path, data)

    def meant(self, kind: str) -> None:
        """An operation, as the interpreter has it."""
        meaning, order = self.meaning, self.seen.order if self.seen else []
        match kind:
            case "signals":
                for name in self.amid[2] if self.amid else ():
                    meaning.signal(name, self.payload(name))
            case "pause":
                meaning.pause()
            case "resume":
                meaning.resume()
            case _:
                ended = self.seen.ended if self.seen else None
                meaning.cancel(compensate=kind != "cancel", order=order[:ended])

    # Operations

    def meddle(self, number: str) -> None:
        """What is done while an agent is at work."""
        assert self.amid is not None
        _, operation, names = self.amid
        run = self.coordinator.run(number)
        if operation.kind != "signals":
            self.done(run, operation.kind)
            return
        for name in names:
            for _ in range(2):
                run.signal(name, Work.from_data(self.payload(name)))
            try:
                run.signal(name, Work(id="another", n=0))
                self.faults.append("another signal was taken before the first was used")
            except SignalRefused:
                self.operated.update(("signalled", "refused"))

    def payload(self, name: str) -> Json:
        return Work(id=f"{self.story.name}.{name}", n=len(name) % 10).to_data()

    def done(self, run: Run, kind: str) -> None:
        match kind:
            case "pause":
                run.pause()
                self.operated["paused"] += 1
            case "resume":
                run.resume()
                self.operated["resumed"] += 1
            case "give-up":
                run.give_up()
                self.operated["given-up"] += 1
            case _:
                run.cancel(compensate=kind == "compensate")
                self.operated["cancelled"] += 1

    def operate(self, operation: Operation) -> None:
        """Do it, where it can be done."""
        memory = self.meaning.memory
        if memory.cancelled or memory.result is not None:
            return
        match operation.kind:
            case "mend":
                self.story.mended |= operation.places
                for path in sorted(memory.parked):
                    self.replay(path)
                self.replay_taken()
            case "skip" if memory.parked:
                self.skip(min(memory.parked))
            case "signal":
                for name in sorted({*memory.waits.values()}):
                    self.signal(name)
            case "release" if memory.hand:
                self.release()
            case "pause" | "resume" if memory.paused == (operation.kind == "resume"):
                self.done(self.run, operation.kind)
                self.meant(operation.kind)
            case "cancel" | "compensate" | "give-up":
                self.meant(operation.kind)
                self.done(self.run, operation.kind)
        self.agree()

    def replay(self, path: str) -> None:
        if path in self.meaning.memory.parked:  # it need not be replayed any more otherwise
            [letter] = [letter for letter in self.run.letters() if letter.step == path]
            letter.replay(by="judge")
            self.meaning.replay(path)
            self.agree()

    def replay_taken(self) -> None:
        """Replay the steps whose place was taken, which changes nothing."""
        for letter in self.run.letters():
            if letter.step not in self.meaning.memory.parked:
                letter.replay(by="judge")
        self.agree()

    def skip(self, path: str) -> None:
        [letter] = [letter for letter in self.run.letters() if letter.step == path]
        emits = self.coordinator.engine.agents[letter.agent].emits
        made = emits.from_data({"id": f"{self.story.name}.skipped", "n": 4})
        self.coordinator.skip(letter, made, by="judge")
        self.operated["skipped"] += 1
        self.meaning.skip(path, made.to_data())

    def signal(self, name: str) -> None:
        """Twice, which is once. Each has a payload of its own."""
        if name not in self.meaning.memory.waits.values():
            return
        sent = self.operated["signalled"] = self.operated["signalled"] + 1
        payload = Work(id=f"{self.story.name}.{name}{sent}", n=sent % 10)
        self.run.signal(name, payload)
        with contextlib.suppress(UnknownRun):  # it may have ended
            self.run.signal(name, payload)
        self.meaning.signal(name, payload.to_data())
        self.agree()

    def release(self) -> None:
        self.story.release({min(map(static, self.meaning.memory.hand))})
        self.agree()

    def finish(self) -> None:
        """Whatever a run may wait for, give it, until it has ended."""
        self.story.mended = set(self.story.behaviours)
        for _ in range(_MOST_STAGES):
            memory = self.meaning.memory
            if memory.hand:
                self.release()
            elif memory.paused:
                self.operate(Operation("resume"))
            elif memory.parked:
                self.replay(min(memory.parked))
            elif memory.waits and not memory.cancelled:
                self.signal(min(memory.waits.values()))
            else:
                break
        assert self.meaning.memory.status in _ENDED
        self.replay_taken()
        until = time.monotonic() + self.timeout
        while outstanding := self.coordinator.engine.outstanding.counts():
            assert time.monotonic() < until, f"{outstanding} is outstanding though the run has ended"
            time.sleep(0.002)

    # Judging

    def agree(self) -> None:
        """Wait until the run has come to rest where the interpreter says, and assert that."""
        before = deepcopy(self.meaning.memory)
        until = time.monotonic() + self.timeout
        while True:
            self.meaning.memory = deepcopy(before)
            self.seen = observed(self.coordinator.engine.runs, self.run, self.story)
            said = self.meaning.rest()
            late = time.monotonic() >= until
            if late or (self.idle() <= len(self.story.hand) and not self.different(said, self.seen)):
                break
            time.sleep(0.003)
        assert not self.faults
        assert not self.different(said, self.seen), self.different(said, self.seen)
        assert said.relied <= said.kept, "a fallback was never anybody's outcome"
        waiting = Counter(said.parked.values())
        outstanding = self.coordinator.engine.outstanding.counts()
        assert waiting <= Counter(outstanding)  # and what waits at a join

    def different(self, said: Memory, seen: Observed) -> list[str]:
        """Where they do not agree. What is in a budget that was spent may have begun less, or ended after the run, where
        there is a clock."""
        found = []
        loose = tuple(said.loose)
        hurried = {path for path in seen.late if path.startswith(loose) and path not in seen.settled}

        def compare(what: str, meant: Any, got: Any) -> None:
            if isinstance(meant, set):
                meant, got = dict.fromkeys(meant), dict.fromkeys(got)
            wrong = {
                path: f"{got.get(path, 'nothing')}, not {meant.get(path, 'nothing')}"
                for path in {**meant, **got}
                if meant.get(path, ...) != got.get(path, ...)
                and not (path.startswith(loose) and path not in got and path not in seen.effects)
                and path not in hurried
            }
            if wrong:
                found.append(f"{what}: {wrong}")

        if (seen.status, seen.result) != (said.status, said.result):
            found.append(f"it is {seen.status} with {seen.result}, not {said.status} with {said.result}")
        compare("settled", said.settled, seen.settled)
        compare("at work", said.hand, self.story.hand)
        compare("failed", said.failed, seen.failed)
        compare("late", said.late, seen.late)
        compare("fallbacks", said.fallbacks, seen.fallbacks)
        compare("effects", said.effects, seen.effects)
        taken = tuple(f"{path}.{name}." for path in said.taken for name in "bf")
        compare(
            "parked",
            said.parked,
            {
                path: one
                for path, one in seen.parked.items()
                if not path.startswith(taken) or path.endswith(".undo")
            },
        )
        compare("marked", set(said.parked), seen.marked)
        compare("waits", said.waits, seen.waits)
        if seen.operated != +self.operated:
            found.append(f"operated: {seen.operated}, not {self.operated}")
        for chain in said.undoing:
            undone = [path.removesuffix(".undo") for path in seen.order if path.endswith(".undo")]
            in_order = [path for path in undone if path in chain]
            if in_order != chain[: len(in_order)]:
                found.append(f"undone: {in_order}, not {chain}")
        return found
