"""Choreography: events, who hears them, and sets of them; in eager and in embedded mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Transient,
    agent,
    emit,
    field,
    gather,
    on,
    parallel,
    wait_for,
)
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import AgentError, Conflict, EditRefused, FlowError
from handoffs.coordinator.flow.trigger import agents_of, trigger_of
from tests.eager.newsroom import Filed, Newsroom, Ordered, Parts, Printed, Set
from tests.waiting import wait_until as _wait_until

SOON = timedelta(milliseconds=200)


@pytest.fixture
def news(anywhere: Coordinator) -> Newsroom:
    room = Newsroom()
    anywhere.work(room.agents)
    return room


def wait_until(condition: Any) -> Any:
    """Wait for something of the story, and give it."""
    return _wait_until(condition, description="the story goes on")


def kinds(story: Iterable[Mapping[str, Any]], what: str) -> list[str]:
    """The steps of the entries of one kind, by agent."""
    return sorted(str(entry.get("agent", "")).partition(".")[2] for entry in story if entry["kind"] == what)


def test_a_story_goes_through(anywhere: Coordinator, news: Newsroom) -> None:
    """An event comes to each that subscribes to it, what they return is emitted, a set is worked on once, all under one id."""
    story = anywhere.emit(Filed(story="s"))
    wait_until(lambda: story.status() == "completed")
    assert news.effects == news.expected("s")
    assert news.seen["press"] == [("s", 3)]
    assert news.seen["archive"] == [("part 0; part 1; part 2", story.id)]
    told = story.history()
    assert kinds(told, "gathered") == ["press"] * 3
    assert kinds(told, "settled") == sorted(
        ["desk", *["setter"] * 3, "press", "archive", "late-shift", *["ear"] * 8]
    )
    [began] = [entry for entry in told if entry["kind"] == "emitted"]
    assert {name.partition(".")[2] for name in began["emitted"][0]["heard"]} >= {"desk", "ear"}


def test_the_same_event_is_one(anywhere: Coordinator, news: Newsroom) -> None:
    """An event that is emitted twice under its key is one story; another content under the key is refused."""
    first = anywhere.emit(Filed(story="s"))
    again = anywhere.emit(Filed(story="s"))
    assert (again.id, again.created) == (first.id, False)
    wait_until(lambda: first.status() == "completed")
    assert news.effects == news.expected("s")
    with pytest.raises(Conflict):
        anywhere.emit(Filed(story="s", parts=4))


def test_a_failure_is_parked_and_goes_on_from_there(anywhere: Coordinator, news: Newsroom) -> None:
    """What fails to hear an event is parked by itself: the others go on, and its replay completes the story."""
    news.broken.add("setter s/1")
    story = anywhere.emit(Filed(story="s"))
    assert story.wait(20) == "parked"
    wait_until(lambda: news.effects["late-shift s/2"] == 1)
    letter = wait_until(lambda: next((one for one in story.letters() if one.kind == "error"), None))
    assert letter.agent == news.name("setter")
    assert "press s" not in news.effects
    news.broken.clear()
    letter.replay()
    wait_until(lambda: story.status() == "completed")
    assert news.effects == news.expected("s")


def test_what_hears_an_event_is_not_edited(anywhere: Coordinator, news: Newsroom) -> None:
    """An event is a fact that others have heard as it is: an edit of what hears it is refused. What it does now is told."""
    news.broken.add("setter s/1")
    story = anywhere.emit(Filed(story="s"))
    assert story.wait(20) == "parked"
    letter = wait_until(lambda: next((one for one in story.letters() if one.kind == "error"), None))
    with pytest.raises(EditRefused, match="hears an event"):
        anywhere.edit(letter, {"story": "s", "number": 1, "parts": 3})
    assert letter.edits == []
    assert (letter.step, "parked") in [(one.step, one.state) for one in story.current()]
    news.broken.clear()
    letter.replay()
    wait_until(lambda: story.status() == "completed")
    assert story.current() == []


def test_the_set_itself_is_parked(anywhere: Coordinator, news: Newsroom) -> None:
    """Where the agent fails on its complete set, one letter waits for the whole of it."""
    news.broken.add("press s")
    story = anywhere.emit(Filed(story="s"))
    assert story.wait(20) == "parked"
    [letter] = wait_until(story.letters)
    assert letter.step.startswith(f"{news.name('press')}@+")
    news.broken.clear()
    letter.replay()
    wait_until(lambda: story.status() == "completed")
    assert news.effects == news.expected("s")


def test_an_incomplete_set_is_parked(anywhere: Coordinator) -> None:
    """A set that is not complete in time is parked; it goes on by itself when the rest comes after all."""
    room = Newsroom(within=SOON)
    anywhere.work(room.agents)
    room.broken.add("setter s/1")
    story = anywhere.emit(Filed(story="s"))
    letters = wait_until(lambda: found if len(found := story.letters()) == 2 else None)
    incomplete = next(letter for letter in letters if letter.kind == "incomplete")
    assert incomplete.agent == room.name("press")
    assert "2 events" in incomplete.text
    room.broken.clear()
    next(letter for letter in letters if letter.kind != "incomplete").replay()
    wait_until(lambda: story.status() == "completed")
    assert room.effects == room.expected("s")
    incomplete.replay()  # an operator who comes late
    wait_until(lambda: story.status() == "completed")
    assert room.effects == room.expected("s")


def test_a_part_of_a_set_may_do(anywhere: Coordinator) -> None:
    """An agent that takes what has come is called with it when the time is over."""
    room = Newsroom(within=SOON, partial=True)
    anywhere.work(room.agents)
    room.broken.add("setter s/1")
    story = anywhere.emit(Filed(story="s"))
    wait_until(lambda: room.effects["archive s"] == 1)
    assert room.seen["press"] == [("s", 2)]
    assert story.status() == "parked"


def test_a_predicate_says_when_it_is_complete(anywhere: Coordinator) -> None:
    """A function of the events that have come may say when that is all; its own error parks."""
    room = Newsroom(until=lambda parts: {0, 2} <= {part.number for part in parts})
    anywhere.work(room.agents)
    room.broken.add("setter s/1")
    anywhere.emit(Filed(story="s"))
    wait_until(lambda: room.effects["press s"] == 1)
    assert room.seen["press"] == [("s", 2)]

    def fails(parts: Any) -> bool:
        raise ZeroDivisionError(len(parts))

    room = Newsroom(until=fails)
    anywhere.work(room.agents)
    story = anywhere.emit(Filed(story="t"))
    assert story.wait(20) == "parked"
    letters = wait_until(lambda: found if len(found := story.letters()) >= 3 else None)
    assert {(letter.kind, letter.error) for letter in letters} == {("error", "ZeroDivisionError")}


def test_nobody_hears(anywhere: Coordinator) -> None:
    """An event that nobody subscribes to is kept, its story has nothing open, and it goes out again when it is replayed."""

    class Shouted(Contract, name="news.shouted", version=1):
        word: str = Key()

    story = anywhere.emit(Shouted(word="echo"))
    [letter] = wait_until(lambda: anywhere.dead_letters(state="unheard"))
    assert (letter.kind, letter.run, list(anywhere.dead_letters())) == ("unheard", story.id, [])
    assert story.status() in {"running", "completed"}
    heard: list[str] = []

    @on(Shouted)
    @agent(f"news.listener-{story.id}")
    def listener(shouted: Shouted) -> None:
        heard.append(shouted.word)

    anywhere.work([listener])
    letter.replay()
    wait_until(lambda: heard == ["echo"])
    assert anywhere.dead_letters(state="unheard") == []


def test_a_flow_emits(anywhere: Coordinator, news: Newsroom) -> None:
    """A step of a flow sends its payload to all who subscribe, and on; an agent may emit besides what it returns."""

    @agent(f"news{news.number}.file", events=(Printed,))
    def file(filed: Filed, context: Context) -> Filed:
        context.emit(Printed(story=filed.story, text="extra"))
        return filed

    @agent(f"news{news.number}.sign")
    def sign(filed: Filed) -> Printed:
        return Printed(story=filed.story, text="signed")

    run = anywhere.start(Flow(f"news{news.number}.flow", file >> emit() >> sign), Filed(story="s"))
    assert run.result(20) == Printed(story="s", text="signed")
    wait_until(lambda: news.effects["archive s"] == 1 and news.effects["press s"] == 1)
    wait_until(lambda: news.effects["ear news.printed/1"] >= 1)
    assert run.status() == "completed"
    assert (news.effects["desk s"], news.effects["setter s/1"]) == (1, 1)
    assert news.seen["archive"][0][1] == run.id


def test_what_hears_a_flow_does_not_hold_it(anywhere: Coordinator, news: Newsroom) -> None:
    """An event is a fact: who fails to hear it does not park the run that emitted it, and hears it after the run was cancelled."""
    news.broken.add("desk s")

    @agent(f"news{news.number}.file")
    def file(filed: Filed) -> Filed:
        return filed

    run = anywhere.start(Flow(f"news{news.number}.flow", file >> emit()), Filed(story="s"))
    assert run.result(20) == Filed(story="s")
    [letter] = wait_until(run.letters)
    assert run.status() == "completed"
    news.broken.clear()
    letter.replay()
    wait_until(lambda: news.effects == news.expected("s"))


def test_what_hears_a_cancelled_flow(anywhere: Coordinator, news: Newsroom) -> None:
    """The letter of who failed to hear an event still waits when the run that emitted it is cancelled, and is replayed then."""
    news.broken.add("desk s")

    @agent(f"news{news.number}.file")
    def file(filed: Filed) -> Filed:
        return filed

    flow = Flow(f"news{news.number}.flow", file >> emit() >> wait_for("go", Filed) >> file)
    run = anywhere.start(flow, Filed(story="s"))
    wait_until(run.letters)
    assert run.cancel() == "cancelled"
    [letter] = run.letters()
    news.broken.clear()
    letter.replay()
    wait_until(lambda: news.effects == news.expected("s"))
    assert run.status() == "cancelled"
    assert run.letters() == []


def test_a_step_at_work_when_its_run_is_cancelled(anywhere: Coordinator, news: Newsroom) -> None:
    """What it emits, or its flow after it, does not go out any more, and the history does not say so."""

    @agent(f"news{news.number}.file", events=(Printed,))
    def file(filed: Filed, context: Context) -> Filed:
        context.emit(Printed(story=filed.story, text="extra"))
        anywhere.run(context.run_id).cancel()
        return filed

    run = anywhere.start(Flow(f"news{news.number}.flow", file >> emit()), Filed(story="s"))
    [entry] = wait_until(lambda: [entry for entry in run.history() if entry["kind"] == "settled"])
    assert run.status() == "cancelled"
    assert "emitted" not in entry
    assert not news.effects


def test_undeclared_events_are_refused(anywhere: Coordinator) -> None:
    """An agent that emits what it does not declare fails, and nothing is emitted."""

    @on(Filed)
    @agent("news.blurts")
    def blurts(filed: Filed, context: Context) -> None:
        context.emit(Printed(story=filed.story, text=""))

    anywhere.work([blurts])
    story = anywhere.emit(Filed(story="s"))
    assert story.wait(20) == "parked"
    [letter] = wait_until(story.letters)
    assert letter.error == "AgentError"
    assert "does not declare" in letter.text


def test_a_story_is_cancelled(live_coordinator: Coordinator) -> None:
    """Cancelling a story ends it: what has not begun does not begin, and what is parked is not replayed."""
    room = Newsroom()
    live_coordinator.work(room.agents)
    room.broken.add("desk s")
    story = live_coordinator.emit(Filed(story="s"))
    assert story.wait(20) == "parked"
    assert story.cancel() == "cancelled"
    assert "setter s/0" not in room.effects


def test_a_wrong_event_is_refused(anywhere: Coordinator) -> None:
    """Two events of one set under one key with different content: the second is parked."""
    room = Newsroom()
    anywhere.work([room.press])
    first = anywhere.emit(Set(story="s", number=1, parts=3, text="one"), idempotency_key="first")
    wait_until(lambda: kinds(first.history(), "gathered"))
    other = anywhere.emit(Set(story="s", number=1, parts=3, text="other"), idempotency_key="second")
    assert other.wait(20) == "parked"
    [letter] = wait_until(other.letters)
    assert (letter.kind, letter.error) == ("invalid-input", InvalidData.__name__)


@pytest.mark.parametrize(
    ("subscribe", "said"),
    [
        (on(Printed), "accepts news.ordered/1"),
        (on("news.*"), "pattern"),
        (on("News Of"), "subscribes to"),
        (on(Ordered, where=field("colour") == "red"), "colour"),
        (
            on(Set, gather=gather("parts", by="story", until="parts", within=SOON)),
            "has no list",
        ),
    ],
)
def test_a_wrong_subscription_is_refused(subscribe: Any, said: str) -> None:
    """A subscription whose events the agent could not read is refused when it is declared."""

    @agent("news.wrong")
    def wrong(ordered: Ordered) -> None:
        raise NotImplementedError

    with pytest.raises(AgentError, match=said):
        subscribe(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"by": (), "until": "parts", "within": SOON},
        {"by": "a b", "until": "parts", "within": SOON},
        {"by": "story", "until": 3, "within": SOON},
        {"by": "story", "until": "parts", "within": timedelta()},
        {"by": "story", "until": "parts", "within": timedelta.max},
        {"by": "colour", "until": "parts", "within": SOON},
        {"by": "story", "until": "text", "within": SOON},
    ],
)
def test_a_wrong_set_is_refused(options: Any) -> None:
    """A set that could never be complete, or told from others, is refused when it is declared."""

    @agent("news.wrong")
    def wrong(parts: Parts) -> None:
        raise NotImplementedError

    with pytest.raises(AgentError):
        on(Set, gather=gather("parts", **options))(wrong)


def test_a_flow_emits_a_contract() -> None:
    """A flow that emits what no contract says is refused."""

    @agent("news.one")
    def one(filed: Filed) -> Filed:
        return filed

    with pytest.raises(FlowError, match="emit"):
        Flow("news.wrong", one >> parallel(a=one, b=one) >> emit())


def test_events_in_order(anywhere: Coordinator) -> None:
    """An agent that hears events in order gets them one by one, also where one of them is tried again; it passes by what is parked."""
    order: list[str] = []
    failed: set[str] = set()

    @on(Filed, ordered=True)
    @agent("news.ledger", retry=Retry(attempts=2, backoff=timedelta(milliseconds=5)))
    def ledger(filed: Filed) -> None:
        if filed.story == "s3" or (filed.story == "s1" and "s1" not in failed):
            failed.add(filed.story)
            raise Transient("not now")
        order.append(filed.story)

    anywhere.work([ledger])
    stories = [anywhere.emit(Filed(story=f"s{number}")) for number in range(12)]
    wait_until(lambda: len(order) == 11)
    assert order == [f"s{number}" for number in range(12) if number != 3]
    assert stories[3].wait(20) == "parked"
    [letter] = wait_until(stories[3].letters)
    assert letter.attempt == 2


def test_what_hears_in_order_is_in_no_flow() -> None:
    """A step of a flow would wait behind events, so such an agent is refused there; and its subscriptions are all in order."""

    @on(Filed, ordered=True)
    @agent("news.one")
    def one(filed: Filed) -> Filed:
        return filed

    with pytest.raises(FlowError, match="in order"):
        Flow("news.wrong", one)
    with pytest.raises(AgentError, match="in order"):
        on(Filed)(one)


def test_a_flow_starts_on_an_event(anywhere: Coordinator, news: Newsroom) -> None:
    """A flow that starts on an event has one run for each, under its own id, and both say so in their histories."""

    @agent(f"news{news.number}.sign")
    def sign(printed: Printed) -> Printed:
        return printed.model_copy(update={"text": f"{printed.text}, signed"})

    @agent(f"news{news.number}.seal")
    def seal(printed: Printed) -> Printed:
        news.did("seal", printed.story)
        return printed

    flow = Flow(f"news{news.number}.reprint", sign >> seal, on=Printed)
    assert trigger_of(flow) is not None
    anywhere.work(agents_of(flow).values())
    story = anywhere.emit(Filed(story="s"))
    wait_until(lambda: news.effects["seal s"] == 1)
    [began] = wait_until(lambda: [entry for entry in story.history() if entry["kind"] == "triggered"])
    run = anywhere.run(began["triggered"])
    assert run.wait(20) == "completed"
    [started] = [entry for entry in run.history() if entry["kind"] == "started"]
    assert (started["story"], started["event"]) == (story.id, began["event"])
    wait_until(lambda: story.status() == "completed")
    again = anywhere.emit(Printed(story="s", text="part 0; part 1; part 2"))
    wait_until(lambda: again.status() == "completed")
    assert news.effects["seal s"] == 1, "the same event, by its key, starts the same run"


def test_a_flow_that_cannot_start_on_an_event() -> None:
    """A flow that does not accept the event on which it is to start is refused."""

    @agent("news.one")
    def one(filed: Filed) -> Filed:
        return filed

    with pytest.raises(FlowError, match=r"starts on news\.printed/1"):
        Flow("news.wrong", one, on=Printed)


def test_a_set_is_skipped(anywhere: Coordinator) -> None:
    """A person may give an incomplete set its outcome: it is emitted as the agent's own, and others hear it."""
    room = Newsroom(within=SOON)
    anywhere.work(room.agents)
    room.broken.add("setter s/1")
    story = anywhere.emit(Filed(story="s"))
    incomplete = wait_until(lambda: next((one for one in story.letters() if one.kind == "incomplete"), None))
    anywhere.skip(incomplete, Printed(story="s", text="without part 1"), by="ann", why="the part is lost")
    wait_until(lambda: room.effects["archive s"] == 1)
    assert room.seen["archive"] == [("without part 1", story.id)]
    [skipped] = [entry for entry in story.history() if entry["kind"] == "skipped"]
    assert [one["contract"] for one in skipped["emitted"]] == ["news.printed/1"]
    assert story.status() == "parked", "the part still is"


def test_skipping_what_hears_a_flow(anywhere: Coordinator, news: Newsroom) -> None:
    """To skip what hears an event does not end the run of the flow that emitted it."""
    news.broken.add("archive s")

    @agent(f"news{news.number}.print")
    def prints(filed: Filed) -> Printed:
        return Printed(story=filed.story, text="x")

    flow = Flow(f"news{news.number}.flow", prints >> emit() >> wait_for("go", Filed) >> news.desk)
    run = anywhere.start(flow, Filed(story="s"))
    [letter] = wait_until(run.letters)
    anywhere.skip(letter, {}, by="ann", why="no archive")
    assert run.status() == "running"


def test_a_set_of_several_stories(anywhere: Coordinator) -> None:
    """Events of several stories make one set: it is worked on once, in the story of the last, and nothing is open in the others."""
    room = Newsroom()
    anywhere.work([room.press, room.archive])
    first = anywhere.emit(Set(story="s", number=0, parts=2, text="a"))
    wait_until(lambda: kinds(first.history(), "gathered"))
    assert first.status() in {"running", "parked"}
    last = anywhere.emit(Set(story="s", number=1, parts=2, text="b"))
    wait_until(lambda: room.effects["archive s"] == 1)
    assert room.seen["archive"][0][1] == last.id or anywhere.settings.eager
    wait_until(lambda: last.status() == "completed")
    wait_until(lambda: first.status() == "completed" or anywhere.settings.eager)
    assert room.seen["press"] == [("s", 2)]
