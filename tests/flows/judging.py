"""Runs a scenario on a coordinator, and compares what has become of it with what the interpreter says, time after time."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.worker import state

from handoffs import Coordinator, Flow, Run
from handoffs.coordinator.errors import EditRefused, SignalRefused, UnknownRun
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.letters.letter import Letter
from tests.flows.differing import differences
from tests.flows.interpreter import Interpreter
from tests.flows.memory import Answers, Json, Memory, is_fact, static
from tests.flows.observed import Observed, observed
from tests.flows.scenario import Operation, Scenario
from tests.flows.universe import EARS, STORIES, WARM, Story, Work, unmasked

_ENDED = {"completed", "cancelled"}
_ENDING = {"cancel", "compensate", "give-up"}
_AFTERWARDS = {"mend", "skip", "edit", "edit-key"}
_SOON, _LATER = timedelta(milliseconds=400), timedelta(hours=1)
_MOST_STAGES = 200


def judge(
    coordinator: Coordinator,
    scenario: Scenario,
    *,
    timeout: float = 0.0,
    idle: Callable[[], int] = lambda: 0,
    once: bool = True,
    afterwards: Callable[[Coordinator, str], None] = lambda coordinator, run: None,
) -> None:
    """Run ``scenario`` to its end, operation by operation, and assert after each that it stands where it must.

    ``timeout`` is how many seconds it may take to get there each time, none where nothing is waited for: there is no clock
    then; ``afterwards`` is called with the run once it has ended. ``idle`` says how many steps the workers have in hand, ``once`` that each message comes once.
    """
    flow, kept = scenario.begun(), set[tuple[str, str]]()
    name = flow.name.rpartition(".")[2]
    how = (timeout, idle, once)
    if scenario.warm:
        given, story = scenario.told(name + WARM, well=True, clock=timeout > 0)
        with _Trial(coordinator, flow, given, story, kept, *how) as trial:
            trial.finish()
            kept = trial.meaning.memory.kept
    given, story = scenario.told(name, clock=timeout > 0)
    signals = scenario.sole_signals()
    with _Trial(coordinator, flow, given, story, kept, *how, signals, scenario.amid, scenario.later) as trial:
        for operation in scenario.operations:
            trial.operate(operation)
        trial.finish()
        effects = trial.story.effects.copy()
        afterwards(coordinator, trial.run.id)
        assert trial.story.effects == effects, "it goes on though it has ended"
    had = trial.meaning.memory
    if scenario.again and _is_known(had, scenario.again):
        _, story = scenario.told(name, clock=timeout > 0)
        given = scenario.once_more(given)
        with _Trial(coordinator, flow, given, story, kept | had.kept, *how, answers=had.claims) as trial:
            trial.finish()


def _is_known(had: Memory, again: str) -> bool:
    """Whether it is known what a run has done with its keys. A message that comes says what its key stands for, whether its agent is
    begun or not: where a step was held, edited or cancelled, that cannot be told; nor what the same input meets where a step was
    edited, and did not get to its outcome, or was told to end, and may have an outcome all the same."""
    edited = had.edits.keys() - had.settled.keys()
    held = {path for path in had.put_off if path not in had.settled or path in had.edits}
    unsure = edited or had.told_to_end or (again == "other" and (had.cancelled or held))
    return not had.loose and not unsure


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
        once: bool,
        signals: Iterable[str] = (),
        amid: tuple[str, Operation] | None = None,
        later: Operation | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.coordinator, self.story, self.flow, self.given = coordinator, story, flow, given
        self.timeout, self.idle, self.once = timeout, idle, once
        self.signals, self.amid = signals, amid
        self.later = later if timeout else None  # it begins at once where there is no clock
        self.seen: Observed | None = None
        self.meaning = Interpreter(
            flow,
            given,
            self.work,
            self,
            clock=timeout > 0,
            kept=kept,
            ears=EARS,
            later=self.later is not None,
            answers=answers,
            certain=once,  # who comes again finds the run ended, and keeps nothing
        )
        self.operated: Counter[str] = Counter()
        self.faults: list[str] = []
        self.sent: dict[str, Work] = {}
        self._run: Run | None = None

    def __enter__(self) -> _Trial:
        STORIES[self.flow.name] = self.story
        if self.amid:
            self.story.amid[self.amid[0]] = self.meddle
        try:
            if self.later:
                self.begin(self.later)
            else:
                self._run = self.coordinator.start(self.flow, self.given)
            self.agree()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.story.release(set(self.story.behaviours))
        if self._run is not None:  # it would be in the way of the next
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

    @property
    def passing(self) -> tuple[type[Exception], ...]:
        """What may become of a signal that is sent again: its run may have ended, or have got another of that name amid a step."""
        amid = self.amid is not None and self.amid[1].kind == "signals"
        return (UnknownRun, SignalRefused) if amid else (UnknownRun,)

    # What the interpreter asks

    def spent(self, path: str) -> bool:
        return self.seen is not None and self.seen.spent(path)

    def in_time(self, path: str) -> bool:
        return self.seen is not None and path in self.seen.settled and path not in self.seen.late

    def cached(self, path: str) -> Json | None:
        return self.seen.cached(path) if self.seen else None

    def work(self, agent: Agent, path: str, data: Json, attempt: int) -> Json:
        if self.amid and path == self.amid[0]:
            self.meant(self.amid[1].kind)
        return self.story.work(agent, path, data, attempt)

    def meant(self, kind: str) -> None:
        """An operation, as the interpreter has it."""
        meaning, order = self.meaning, self.seen.order if self.seen else []
        match kind:
            case "signals":
                for name in self.signals:
                    meaning.signal(name, self.payload(name))
            case "pause":
                meaning.pause()
            case "resume":
                meaning.resume()
            case _:
                ended = self.seen.ended if self.seen else None
                meaning.cancel(compensate=kind != "cancel", order=order[:ended])

    # Operations

    def begin(self, early: Operation) -> None:
        """Start it for a time that is to come, do something before, and wait until that has come; where it was ended before,
        nothing of it waits for that any more."""
        ends = early.kind in _ENDING
        self._run = self.coordinator.start(self.flow, self.given, at=_LATER if ends else _SOON)
        due = self.run.due()
        assert due is not None, "it has no time to begin at"
        self.early(due)
        if early.kind == "pause":  # there is nothing to hold yet
            self.run.pause()
        elif early.kind != "nothing":
            self.meant(early.kind)
            self.done(self.run, early.kind)
        self.early(due)
        store = self.coordinator.engine.store
        if ends:
            listed = store.redis.zscore(store.keys.scheduled(store.keys.shard(self.run.id)), self.run.id)
            assert listed is None, "it still waits for its time"
        else:
            self.meaning.begin()
            self.agree()
            [begun] = [entry["at"] for entry in self.run.history() if entry["kind"] == "begun"]
            assert datetime.fromisoformat(begun) >= due, "it began before its time"

    def early(self, due: datetime) -> None:
        """Before its time nothing of it happens."""
        self.seen = observed(self.coordinator.engine.runs, self.run, self.story)
        if datetime.now(UTC) < due:
            assert not (found := self.different(self.meaning.rest())), found

    def meddle(self, number: str) -> None:
        """What is done while an agent is at work."""
        assert self.amid is not None
        self.done(self.coordinator.run(number), self.amid[1].kind)

    def send(self, run: Run) -> None:
        """Each signal twice, which is once; and another, which is refused as long as that was not taken."""
        for name in self.signals:
            payload = Work.from_data(self.payload(name))
            is_known = self.sent.get(name) == payload  # it came before the run began
            self.sent[name] = payload
            for _ in range(2):
                run.signal(name, self.sent[name])
            try:
                run.signal(name, Work(id="another", n=0))
                self.faults.append("another signal was taken before the first was used")
            except SignalRefused:
                self.operated.update(("refused",) if is_known else ("signalled", "refused"))

    def payload(self, name: str) -> Json:
        return Work(id=f"{self.story.name}.{name}", n=len(name) % 10).to_data()

    def done(self, run: Run, kind: str) -> None:
        match kind:
            case "signals":
                self.send(run)
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
        if (memory.cancelled or memory.result is not None) and operation.kind not in _AFTERWARDS:
            return
        match operation.kind:
            case "mend":
                self.story.mended |= operation.places
                for path in sorted(memory.parked):
                    self.replay(path)
                self.replay_taken()
            case "skip" if memory.parked:
                self.skip(min(memory.parked))
            case "edit" | "edit-key" if memory.parked or memory.held:
                self.edit(min(memory.parked or memory.held), rename=operation.kind == "edit-key")
            case "signal":
                for name in sorted({*memory.waits.values()}):
                    self.signal(name)
            case "signal-again":
                self.signal_again()
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
            self.letter(path).replay(by="judge")
            self.meaning.replay(path)
            self.agree()

    def replay_taken(self) -> None:
        """Replay the steps whose place was taken, which changes nothing."""
        for letter in self.run.letters():
            if self.story.path(letter.step) not in self.meaning.memory.parked:
                letter.replay(by="judge")
        self.agree()

    def skip(self, path: str) -> None:
        letter = self.letter(path)
        emits = self.coordinator.engine.agents[letter.agent].emits
        made = emits.from_data({} if is_fact(path) else {"id": f"{self.story.name}.skipped", "n": 4})
        self.coordinator.skip(letter, made, by="judge")
        self.operated["skipped"] += 1
        self.meaning.skip(path, made.to_data())

    def edit(self, path: str, *, rename: bool) -> None:
        """Another n in the input of a step, and perhaps another id; an event is a fact, which nobody edits."""
        letter = self.letter(path) if path in self.meaning.memory.parked else None
        record = self.coordinator.engine.runs.get(self.run.id)
        assert record is not None
        known = letter.row.payload if letter else record.held[path]["payload"]
        agent = letter.agent if letter else record.held[path]["agent"]
        accepts = self.coordinator.engine.agents[agent].accepts
        wanted = accepts.from_data(_edited(known, self.story.name if rename else "")).to_data()
        if is_fact(path):
            assert letter is not None
            with contextlib.suppress(EditRefused):
                self.coordinator.edit(letter, wanted, by="judge")
                self.faults.append("an event was edited")
            return
        if letter:
            self.coordinator.edit(letter, wanted, by="judge")
        else:
            self.run.edit(path, unmasked(wanted), by="judge")  # what it has is known masked
        self.meaning.edit(path, unmasked(wanted))

    def letter(self, path: str) -> Letter:
        """The letter of the step at a path."""
        [letter] = [letter for letter in self.run.letters() if self.story.path(letter.step) == path]
        return letter

    def signal(self, name: str) -> None:
        """Twice, which is once. Each has a payload of its own."""
        if name not in self.meaning.memory.waits.values():
            return
        sent = self.operated["signalled"] = self.operated["signalled"] + 1
        payload = self.sent[name] = Work(id=f"{self.story.name}.{name}{sent}", n=sent % 10)
        self.run.signal(name, payload)
        with contextlib.suppress(*self.passing):
            self.run.signal(name, payload)
        self.meaning.signal(name, payload.to_data())
        self.agree()

    def signal_again(self) -> None:
        """Those that came, once more: that changes nothing, whatever has become of what follows them."""
        for name, payload in self.sent.items():
            with contextlib.suppress(*self.passing):
                self.run.signal(name, payload)
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
            elif memory.paused and memory.status not in _ENDED:
                self.operate(Operation("resume"))
            elif memory.parked and min(memory.parked) in memory.hopeless:
                self.skip(min(memory.parked))
                self.agree()
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
        self.undone()

    def undone(self) -> None:
        """What was undone does not answer for its key: the next run with that does the work again."""
        store, undo = self.coordinator.engine.store, set(self.seen.settled if self.seen else ())
        answers = [
            (path, key)
            for path, agent, key in self.story.effects
            if f"{path}.undo" in undo
            and (known := store.lease_of(agent, key)) is not None
            and known.state in {"done", "undoing"}
        ]
        assert not answers, f"these were undone, and answer for their keys: {answers}"

    # Judging

    def agree(self) -> None:
        """Wait until the run has come to rest where the interpreter says, and assert that."""
        before = deepcopy(self.meaning.memory)
        until = time.monotonic() + self.timeout
        while True:
            self.meaning.memory = deepcopy(before)
            self.seen = observed(self.coordinator.engine.runs, self.run, self.story)
            said = self.meaning.rest()
            found, late = self.different(said), time.monotonic() >= until
            if late or (self.idle() <= len(self.story.hand) and not found):
                break
            time.sleep(0.003)
        assert not self.faults
        assert not found, found
        assert self.idle() <= len(self.story.hand), "the workers have more steps in hand than are at work"
        assert said.relied <= said.kept, "a fallback was never anybody's outcome"
        waiting = Counter(said.parked.values())
        outstanding = self.coordinator.engine.outstanding.counts()
        assert waiting <= Counter(outstanding)  # and what waits at a join

    def different(self, said: Memory) -> list[str]:
        assert self.seen is not None
        return differences(said, self.seen, self.operated, once=self.once)


def _edited(known: Any, name: str) -> Any:
    """An input with another n everywhere, and with another id where there is a ``name``."""
    if isinstance(known, list):
        return [_edited(one, name) for one in known]
    if not isinstance(known, dict):
        return known
    made = {field: _edited(value, name) for field, value in known.items()}
    made |= {"n": (known["n"] + 1) % 10} if "n" in known else {}
    return made | ({"id": f"{name}.edited"} if "id" in known and name else {})
