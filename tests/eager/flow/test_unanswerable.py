"""A condition that cannot be answered takes no way: the flow is refused, or the run parked with the reason, before anything is settled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pydantic import Field

from handoffs import (
    Contract,
    Coordinator,
    Event,
    Flow,
    Key,
    Letters,
    agent,
    budget,
    choice,
    constant,
    delay,
    each,
    field,
    go_on,
    on,
    parallel,
    repeat,
    wait_for,
    when,
)
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import FlowError, Unanswerable
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.step import Step
from tests.waiting import wait_until

_number = count()
_JUNE = datetime(2026, 6, 1, tzinfo=UTC)
_JANUARY = datetime(2026, 1, 1)  # noqa: DTZ001 - the mistake
_HOUR = timedelta(hours=1)
OVERDUE = field("due") < _JUNE


class Line(Contract, name="unanswerable.line", version=1):
    due: datetime = _JANUARY


class Invoice(Contract, name="unanswerable.invoice", version=1):
    number: str = Key()
    due: datetime = _JANUARY
    part: Line | None = None
    lines: list[Line] = Field(default_factory=list)


class Dated(Contract, name="unanswerable.dated", version=1):
    class Part(Contract):
        due: datetime
        sent: datetime | None = None

    kind: str = ""
    sent: datetime | None = None
    part: Part | None = None


class Lines(Contract, name="unanswerable.lines", version=1):
    lines: list[Line]


class Agents:
    """Agents that say that they were called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def same(self, name: str, contract: Any = Invoice) -> Agent:
        def work(payload: Any) -> Any:
            self.called.append(name)
            return payload

        work.__annotations__ = {"payload": contract, "return": contract}
        return agent(f"unanswerable.{name}-{next(_number)}")(work)

    def decided(self, contract: Any = Invoice) -> Step:
        """A choice that cannot be made."""
        return choice(when(OVERDUE, self.same("way", contract)), otherwise=self.same("way", contract))


def invoice() -> Invoice:
    return Invoice(number=f"{next(_number)}", lines=[Line()] * 3)


def _gather(agents: Agents) -> Agent:
    @agent(f"unanswerable.gather-{next(_number)}")
    def gather(lines: Lines) -> Invoice:
        agents.called.append("way")
        return Invoice(number=str(len(lines.lines)))

    return gather


SHAPES: dict[str, Callable[[Agents], Step]] = {
    "a choice": lambda some: some.same("made") >> some.decided(),
    "a choice that may go on": lambda some: (
        some.same("made") >> choice(when(OVERDUE, some.same("way")), otherwise=go_on) >> some.same("way")
    ),
    "after a delay": lambda some: some.same("made") >> delay(timedelta(milliseconds=1)) >> some.decided(),
    "a repetition": lambda some: repeat(some.same("made"), until=OVERDUE, at_most=3) >> some.same("way"),
    "a missing part": lambda some: (
        some.same("made")
        >> choice(
            when((field("number") != "") & (field("part.due") < _JUNE), some.same("way")),
            otherwise=some.same("way"),
        )
    ),
    "items": lambda some: (
        some.same("made") >> each("lines", some.decided(Line), into="lines") >> _gather(some)
    ),
    "items one by one": lambda some: (
        some.same("made") >> each("lines", some.decided(Line), into="lines", limit=1) >> _gather(some)
    ),
    "a flow within": lambda some: (
        some.same("made") >> Flow("unanswerable.inner", some.decided(), input=Invoice)
    ),
}


def _once(some: Agents, within: bool) -> Step:
    """A repetition that is over after its first round, whatever its condition says."""
    made: Step = some.same("made")
    if within:
        made = budget(made, within=_HOUR, fallback=constant(Invoice(number="0", due=_JUNE)))
    return repeat(made, until=OVERDUE, at_most=1)


@pytest.mark.parametrize("within", [False, True], ids=["an agent", "a budget"])
def test_the_last_round(running: Coordinator, within: bool) -> None:
    """After the last round of a repetition its condition changes nothing any more, and is not asked, also not ahead: where it cannot
    be answered the run goes on."""
    some = Agents()
    step = _once(some, within) >> some.same("way")
    run = running.start(Flow(f"unanswerable.flow-{next(_number)}", step), invoice())
    assert run.wait(20) == "completed"
    assert some.called == ["made", "way"]


@pytest.mark.parametrize("within", [False, True], ids=["an agent", "a budget"])
def test_after_the_last_round(live_coordinator: Coordinator, within: bool) -> None:
    """What comes after the last round is asked ahead instead: nothing is settled where that cannot be answered."""
    some = Agents()
    step = _once(some, within) >> some.decided()
    run = live_coordinator.start(Flow(f"unanswerable.flow-{next(_number)}", step), invoice())
    wait_until(run.letters, description="the step is parked, whether a budget goes on for it later or not")
    assert [letter.error for letter in run.letters()] == ["Unanswerable"]
    assert not [entry for entry in run.history() if entry["kind"] == "settled"]


@pytest.mark.parametrize("shape", SHAPES)
def test_parked(running: Coordinator, shape: str) -> None:
    """The step whose outcome is asked is parked, with the question and what is wrong; no way is taken, and nothing is settled.
    It goes on from there with an outcome that can be compared."""
    some = Agents()
    run = running.start(Flow(f"unanswerable.flow-{next(_number)}", SHAPES[shape](some)), invoice())
    assert run.wait(20) == "parked"
    [letter] = letters(run)
    assert letter.error == "Unanswerable"
    assert "cannot be answered" in letter.text
    assert some.called == ["made"]
    assert not [entry for entry in run.history() if entry["kind"] == "settled"]
    line = Line(due=_JUNE - _HOUR)
    running.skip(letter, Invoice(number="1", due=line.due, part=line, lines=[line] * 3))
    assert run.wait(20) == "completed"
    assert "way" in some.called


BEHIND: dict[str, Callable[[Agents], Step]] = {
    "a choice": lambda some: some.decided(),
    "a choice after a delay": lambda some: delay(timedelta(milliseconds=1)) >> some.decided(),
    "a budget": lambda some: budget(some.decided(), within=_HOUR, fallback=some.same("way")),
    "branches": lambda some: parallel(one=some.same("way"), other=some.decided()),
    "items": lambda some: each("lines", some.decided(Line), into="lines", limit=1) >> _gather(some),
}


@pytest.mark.parametrize("shape", BEHIND)
def test_behind_a_budget(running: Coordinator, shape: str) -> None:
    """What comes out of a budget, in time or as the fallback, is asked before it is settled too."""
    some = Agents()
    first = budget(some.same("made"), within=timedelta(milliseconds=200), fallback=some.same("instead"))
    run = running.start(Flow(f"unanswerable.flow-{next(_number)}", first >> BEHIND[shape](some)), invoice())
    assert run.wait(20) == "parked"
    assert {letter.error for letter in letters(run)} == {"Unanswerable"}
    assert some.called == ["made", "instead"]
    assert not [entry for entry in run.history() if entry["kind"] == "settled"]


def letters(run: Run) -> Letters:
    return wait_until(run.letters, description="the letter is there")


def test_nothing_is_started(running: Coordinator) -> None:
    """A run that begins with such a question is not accepted."""
    some = Agents()
    flow = Flow(f"unanswerable.flow-{next(_number)}", some.decided(), input=Invoice)
    with pytest.raises(
        Unanswerable, match=r"a time without a zone, and is compared with .* a time with a zone"
    ):
        running.start(flow, invoice())
    assert not some.called


def test_no_such_signal(running: Coordinator) -> None:
    """A signal of which the flow asks at once what cannot be answered is refused, and the run waits for another."""
    some = Agents()
    flow = Flow(
        f"unanswerable.flow-{next(_number)}", some.same("made") >> wait_for("paid", Invoice) >> some.decided()
    )
    run = running.start(flow, invoice())
    wait_until(
        lambda: any(one.state == "waiting" for one in run.current()), description="it waits for its signal"
    )
    with pytest.raises(Unanswerable, match="cannot be answered"):
        run.signal("paid", invoice())
    assert some.called == ["made"]
    run.signal("paid", Invoice(number="1", due=_JUNE))
    assert run.wait(20) == "completed"


def test_no_such_constant() -> None:
    """A constant of which the flow asks what cannot be answered is refused where the flow is built, wherever it comes from."""
    some, instead = Agents(), constant(invoice())
    guarded = budget(some.same("made"), within=_HOUR, fallback=instead)
    waits = wait_for("paid", Invoice, timeout=_HOUR, otherwise=instead)
    inner = Flow("unanswerable.inner", guarded)
    for step in (
        guarded >> some.decided(),
        guarded >> delay(_HOUR) >> some.decided(),
        some.same("made") >> waits >> some.decided(),
        repeat(guarded, until=OVERDUE, at_most=2),
        inner >> some.decided(),
        choice(when(field("number") == "1", guarded), otherwise=go_on) >> some.decided(),
        parallel(one=guarded >> some.decided()),
    ):
        with pytest.raises(FlowError, match=r"of the constant unanswerable.invoice/1, the condition due < "):
            Flow("unanswerable.flow", step)
    Flow("unanswerable.flow", guarded >> some.same("between") >> some.decided())


@pytest.mark.parametrize(
    ("cases", "null"),
    [
        ([field("part.due") < _JUNE], "part"),
        ([field("part.due") != _JUNE], "part"),
        ([~(field("part.due") == _JUNE)], "part"),
        ([field("sent") < _JUNE], "sent"),
        ([field("sent").exists() | (field("sent") < _JUNE)], "sent"),
        ([field("sent") == _JUNE, field("sent") > _JUNE], "sent"),
        ([field("sent").exists() & field("part").exists(), field("sent") > _JUNE], "sent"),
        ([(field("sent") > _JUNE) | (field("part.due") > _JUNE)], "sent, part"),
        ([field("part.sent").exists(), field("part.sent") > _JUNE], "part"),
    ],
    ids=str,
)
def test_what_may_be_null(cases: list[Any], null: str) -> None:
    """What cannot be answered where a field is null that may be is refused where the flow is built, and the field named."""
    some = Agents()
    ways = [when(condition, some.same("way", Dated)) for condition in cases]
    with pytest.raises(FlowError, match=f"and {null} of Dated may be null") as caught:
        Flow("unanswerable.flow", choice(*ways, otherwise=go_on), input=Dated)
    assert f'field("{null.partition(",")[0]}").exists()' in caught.value.remedy
    if len(cases) == 1:
        with pytest.raises(FlowError, match=f"and {null} of Dated may be null"):
            Flow("unanswerable.flow", repeat(some.same("made", Dated), until=cases[0], at_most=2))


@pytest.mark.parametrize(
    "cases",
    [
        [field("sent") == _JUNE],
        [field("sent").is_in(_JUNE, None)],
        [(field("sent") < _JUNE) & field("sent").exists()],
        [~field("sent").exists() | (field("sent") < _JUNE)],
        [~field("sent").exists(), field("sent") < _JUNE],
        [
            field("sent").is_in(None),
            ~field("part").exists(),
            (field("sent") < _JUNE) | (field("part.due") < _JUNE),
        ],
        [(field("kind") == "sent") & (field("sent") < _JUNE)],
        [field("part.sent").exists() & (field("part.sent") < _JUNE)],
    ],
    ids=str,
)
def test_what_is_asked_before(cases: list[Any]) -> None:
    """What is asked before whether it is there, in the condition or by a case before it, may be asked."""
    some = Agents()
    ways = [when(condition, some.same("way", Dated)) for condition in cases]
    Flow("unanswerable.flow", choice(*ways, otherwise=go_on), input=Dated)


def test_an_event(anywhere: Coordinator) -> None:
    """An event of which a subscriber asks what cannot be answered is parked for it, and not passed over."""
    some = Agents()
    hears = on(Invoice, where=OVERDUE)(some.same("hears"))
    anywhere.work([hears])
    story = anywhere.emit(invoice())
    assert story.wait(20) == "parked"
    assert [letter.error for letter in letters(story)] == ["Unanswerable"]
    assert not some.called


def test_an_event_of_another_contract(anywhere: Coordinator) -> None:
    """Of the contracts that fit a pattern, those that have no such field are not wanted; a question to one that has it is
    answered, or parked."""
    heard: list[str] = []

    def hears(name: str, where: Any) -> Agent:
        @on("unanswerable.*", where=where)
        @agent(f"unanswerable.{name}-{next(_number)}")
        def hear(event: Event) -> None:
            heard.append(f"{name} {event.contract}")

        return hear

    anywhere.work([hears("one", field("number") == "1"), hears("other", ~(field("number") == "2"))])
    stories = [anywhere.emit(event) for event in (Invoice(number="1"), Line())]
    assert [story.wait(20) for story in stories] == ["completed"] * 2
    assert sorted(heard) == ["one unanswerable.invoice", "other unanswerable.invoice"]
