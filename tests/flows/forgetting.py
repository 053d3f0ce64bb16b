"""Redis goes back to an earlier state, or to none, after all that could be done was done: no message of a run is anywhere then.

Whatever was lost, the run ends as it would have, or waits in the open for what a person knows: the outcome of a step that the journal
has masked, a signal, whoever is to mend an agent.
"""

from __future__ import annotations

import time
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from handoffs import Coordinator
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.errors import RunCancelled, SignalRefused, UnknownRun
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import Budget
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.runtime.service import Service
from tests.flows.interpreter import Interpreter
from tests.flows.memory import Json, Memory, is_fact
from tests.flows.observed import is_undecided, plainly
from tests.flows.scenario import Scenario, nested
from tests.flows.universe import EARS, STORIES, Story, Work

_MOST = 60
_SOON = 10.0  # seconds
_INSTANT = timedelta(milliseconds=2)
_ENDED = {"completed", "cancelled"}
_ENDING = {"cancel": False, "compensate": True, "give-up": True}


@dataclass(frozen=True)
class Going:
    """How Redis goes back: to when the agent at the place ``to`` was at work the first time, or, where there is none, to nothing. Before,
    all was ``told`` to the journal, or nothing since then. ``as_another``: it is a server of another name from then on."""

    to: str = ""
    told: bool = True
    as_another: bool = False


class Copy:
    """All that an embedded Redis has at one moment."""

    def __init__(self, coordinator: Coordinator) -> None:
        engine: Any = coordinator.engine
        self._server = engine._redis._server
        self.kept: dict[int, Any] = {}
        self.taken = False

    def take(self, _: str = "") -> None:
        self.taken = True
        self.kept = {number: deepcopy(found._dict) for number, found in self._server.dbs.items()}

    def go_back(self) -> None:
        for number, found in self._server.dbs.items():
            found._dict.clear()
            found._dict.update(deepcopy(self.kept.get(number, {})))


@dataclass
class Forgetting:
    """One run, of which Redis forgets something."""

    coordinator: Coordinator
    scenario: Scenario
    going: Going
    service: Service
    unlike: bool = False
    """Whether a person had to decide something that may make another run of it."""
    back: bool = False
    """Whether Redis has anything of the run."""
    again: set[str] = field(default_factory=set)
    """Which steps a person has had done once more."""

    def judge(self) -> None:
        scenario, flow = self.scenario, self.scenario.begun()
        name = flow.name.rpartition(".")[2]
        given, self.story = scenario.told(name)
        copy = Copy(self.coordinator)
        copy.go_back()  # to nothing: what other runs have left is of no use here
        self.service.look_after()
        if self.going.to:
            self.story.amid[self.going.to] = copy.take
        STORIES[flow.name] = self.story
        try:
            self.run = self.coordinator.start(flow, given)
            self.expected = self.well_run(given)
            ended = next((one.kind for one in scenario.operations if one.kind in _ENDING), "")
            cancelled = bool(ended) and self.run.status() not in _ENDED
            if cancelled:
                self.run.cancel(compensate=_ENDING[ended])
            self.forget(copy)
            self.look_after()
            self.finish()
            self.agrees(cancelled=cancelled)
        finally:
            del STORIES[flow.name]

    def well_run(self, given: Json) -> Memory:
        """What becomes of the run where everybody does well, and gets what is waited for."""
        assert self.run.flow is not None
        meaning = Interpreter(
            self.run.flow,
            given,
            Story(self.story.name, {}).work,
            _Nobody(),
            clock=False,
            kept=set(),
            ears=EARS,
        )
        for wait in {part.name for _, part in nested(self.scenario.step, "") if isinstance(part, WaitFor)}:
            meaning.memory.signals[wait] = self.payload(wait)
        for _ in range(_MOST):
            waits = sorted({*meaning.rest().waits.values()})
            if not waits:
                break
            meaning.signal(waits[0], self.payload(waits[0]))
        return meaning.memory

    def payload(self, name: str) -> Json:
        return Work(id=f"{self.story.name}.{name}", n=len(name) % 10).to_data()

    def forget(self, copy: Copy) -> None:
        """Take Redis back. What nobody has written down of a run, not even that it is, nobody could know afterwards."""
        losses: Any = self.service._losses
        self.service.look_after()  # it knows how Redis is
        if self.going.told or not copy.taken:
            self.service.drain_history()
        copy.go_back()
        self.back = copy.taken
        if self.going.as_another:
            losses._recovery.incarnation = lambda: f"another than {losses._incarnation}"
        redis = self.coordinator.engine.store.redis
        for key in redis.keys("*outcome:*"):  # until somebody looks, the leases of then are over
            if redis.hget(key, "state") == "leased":
                redis.hset(key, "until", "0")
        self.wait_a_moment()

    def wait_a_moment(self) -> None:
        """Until what Redis has is of an earlier time than it is by its clock."""
        server, until = self.coordinator.engine.services.server, time.monotonic() + _SOON
        before = server.now()
        while server.now() - before < _INSTANT:
            assert time.monotonic() < until, "its clock stands still"

    def look_after(self) -> None:
        """Let the coordinator process do all that it can."""
        losses: Any = self.service._losses
        before: object = None
        now: tuple[Any, ...] = ()
        for _ in range(_MOST):
            self.service.drain_history()
            self.service.look_after()  # which knows what was lost, before what is unpublished begins once more
            self.service.sweep()
            if losses._recovery.__dict__.pop("incarnation", None):
                losses._incarnation = ""
            now = (self.run.status(), len(self.run.history()), len(self.run.letters()), self.more_to_come())
            if now == before and not now[-1]:
                return
            before = now
        raise AssertionError(f"it comes to no end: {now}")

    def more_to_come(self) -> tuple[object, ...]:
        """What the coordinator process has still to look at."""
        losses: Any = self.service._losses
        number = self.run.id
        looks = self.run.status() not in _ENDED and (
            number in losses._checks or number in losses._standstills._seen
        )
        return tuple(one for one in (losses._walking, losses._ending, looks) if one)

    def finish(self) -> None:
        """Do what a person does, until the run has ended."""
        self.story.mended = set(self.story.behaviours)
        for _ in range(_MOST):
            status, letters = self.run.status(), self.run.letters()
            if status == "cancelled" and self.back:
                odd = [one for one in letters if not is_fact(self.story.path(one.step))]
                assert not odd, f"{odd} wait, and the run is cancelled"
            if letters:
                for letter in letters:
                    try:
                        self.decide(letter)
                    except RunCancelled:  # by what was decided just before
                        pass
                    except CoordinationError as done:  # the same, by another letter of the step
                        if "has an outcome" not in done.cause:
                            raise
            elif status in _ENDED:
                return
            else:
                waits = [one.signal for one in self.run.current() if one.signal]
                assert waits, f"it is {status}, and waits for nobody: {self.run.current()}"
                for name in waits:
                    with suppress(UnknownRun, SignalRefused):
                        self.run.signal(name, Work.from_data(self.payload(name)))
            self.look_after()
        raise AssertionError(f"it does not end: {self.run.status()}, {self.run.letters()}")

    def decide(self, letter: Letter) -> None:
        path = self.story.path(letter.step)
        known = self.expected.settled.get(path)
        if not letter.row.message:  # nobody knows more of it than that it was
            assert letter.kind == "lost"
            assert not (self.back and self.going.told), "it was all in the journal"
            self.unlike = True
            self.run.cancel()
        elif letter.kind == "lost" and known is not None and not is_fact(path):
            self.skip(letter, known.made)
        elif "cannot be answered" in letter.text or letter.kind == "conflict":
            self.unlike = True
            self.skip(letter, {} if is_fact(path) else {"id": f"{self.story.name}.skipped", "n": 4})
        else:
            self.again |= {path} if letter.kind == "lost" else set()
            letter.replay()

    def skip(self, letter: Letter, made: Json) -> None:
        agent: Agent = self.coordinator.engine.agents[letter.agent]
        self.coordinator.skip(letter, agent.emits.from_data(made))

    def agrees(self, *, cancelled: bool) -> None:
        status, history = self.run.status(), self.run.history()
        if cancelled and self.going.told:
            assert status == "cancelled", f"it was cancelled, and is {status}"
        races = any(
            isinstance(part, Budget) or (isinstance(part, WaitFor) and part.timeout is not None)
            for _, part in nested(self.scenario.step, "")
        )
        if status == "completed" and not (races or self.unlike):
            with suppress(UnknownRun):  # only the journal knows that it has completed
                result = plainly(self.run.result(0))
                assert result == self.expected.result, f"it is {result}, not {self.expected.result}"
        unsaid = {self.story.path(entry["step"]) for entry in history if is_undecided(entry)}
        twice = {path for (path, _, _), times in self.story.effects.items() if times > 1}
        if self.going.told:
            assert twice <= self.again | unsaid, f"{twice - self.again - unsaid} were done again"
        # what nobody has written down as done, and a letter that was replayed has passed
        passed = set() if self.going.told else {self.going.to}
        sent = self.coordinator.engine.outstanding.sent(self.run.id)
        left = {step: one for step, one in sent.items() if self.story.path(step) not in passed}
        told = "\n".join(f"    {one['kind']} {one.get('step', '')} {one.get('error', '')}" for one in history)
        assert not left, f"{left} is outstanding though the run has ended:\n{told}"


class _Nobody:
    """Nothing was seen."""

    def spent(self, _: str) -> bool:
        return False

    def in_time(self, _: str) -> bool:
        return True

    def cached(self, _: str) -> Json | None:
        return None
