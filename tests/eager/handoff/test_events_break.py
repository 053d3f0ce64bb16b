"""Events where something breaks between two lines: what was accepted is neither lost nor done twice."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Event,
    Flow,
    Key,
    Permanent,
    Run,
    agent,
    budget,
    constant,
    emit,
    on,
    parallel,
    wait_for,
)
from handoffs.config.intake import Intake
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.trigger import trigger_of
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.emit import Emitter
from handoffs.coordinator.store.asking import Asking
from handoffs.coordinator.store.claim import Claim
from tests.waiting import wait_until


class Broken(Contract, name="break.filed", version=1):
    story: str = Key()


class Told(Contract, name="break.told", version=1):
    story: str = Key()


class Both(Contract, name="break.both", version=1):
    a: Told
    b: Told


@agent("break.tell")
def tell(filed: Broken) -> Told:
    return Told(story=filed.story)


@agent("break.tell-too")
def tell_too(filed: Broken) -> Told:
    return Told(story=filed.story)


@agent("break.aside", events=(Told,))
def aside(filed: Broken, context: Context) -> Broken:
    context.emit(Told(story=filed.story))
    return filed


@agent("break.last")
def last(filed: Broken) -> Broken:
    return filed


@agent("break.one-of")
def one_of(both: Both) -> Told:
    return both.a


@agent("break.hears")
def hears(told: Told) -> Told:
    return told


def waits(coordinator: Coordinator, run: Run) -> bool:
    record = coordinator.engine.runs.get(run.id)
    return bool(record and record.waits)


Refusing = Callable[..., list[Message]]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    """Have the broker refuse, so many times, what is wanted, whoever publishes it: clients, workers and timers have publishers of
    their own. What was published before that in the same call is."""

    def refuse(coordinator: Coordinator, wanted: Callable[[Message], bool], times: int = 1) -> list[Message]:
        kind: Any = type(coordinator.engine.publisher)
        publish = kind.publish
        refused: list[Message] = []

        def refuses(publisher: Any, messages: Iterable[Message], **options: Any) -> None:
            for message in messages:
                if wanted(message) and len(refused) < times:
                    refused.append(message)
                    raise ServerError(
                        "the broker has no room for the message", "it is sent again a little later", ""
                    )
                publish(publisher, [message], **options)

        monkeypatch.setattr(kind, "publish", refuses)
        return refused

    return refuse


@pytest.fixture
def heard(anywhere: Coordinator) -> list[str]:
    found: list[str] = []

    @on(Told)
    @agent("break.ear")
    def ear(told: Told) -> None:
        found.append(told.story)

    anywhere.work([ear])
    return found


FLOWS = {
    "a step of the flow": lambda: Flow("break.emits", tell >> emit()),
    "an agent, at the end": lambda: Flow("break.asides", aside),
    "an agent, on the way": lambda: Flow("break.ways", aside >> last),
    "after a join": lambda: Flow("break.joins", parallel(a=tell, b=tell_too) >> one_of >> emit()),
    "an agent in a branch": lambda: Flow("break.branches", parallel(a=aside, b=last)),
}


@pytest.mark.parametrize("which", FLOWS)
def test_an_event_at_the_end_of_a_run(
    anywhere: Coordinator, heard: list[str], which: str, refusing: Refusing
) -> None:
    """The broker refuses an event of a flow: it is sent again, also where the run ends meanwhile."""
    refused = refusing(anywhere, lambda message: bool(message.event))
    run = anywhere.start(FLOWS[which](), Broken(story="s"))
    wait_until(lambda: heard, description="the event is heard")
    assert len(refused) == 1
    assert run.wait(20) == "completed"
    assert heard == ["s"]


@pytest.mark.parametrize("what", ["event", "step"])
def test_a_signal_that_is_sent_again(
    anywhere: Coordinator, heard: list[str], what: str, refusing: Refusing
) -> None:
    """The broker refuses what a signal leads to: whoever sends the signal again sends that."""
    then = emit() if what == "event" else hears
    run = anywhere.start(Flow(f"break.waits-{what}", tell >> wait_for("go", Told) >> then), Broken(story="s"))
    wait_until(lambda: waits(anywhere, run), description="it waits")
    refused = refusing(anywhere, lambda message: bool(message.event) or message.agent == hears.name)
    with pytest.raises(ServerError):
        run.signal("go", Told(story="s"))
    run.signal("go", Told(story="s"))
    assert run.wait(20) == "completed"
    assert len(refused) == 1
    wait_until(lambda: heard == (["s"] if what == "event" else []), description="the event is heard")


@pytest.mark.parametrize("what", ["event", "step"])
def test_a_signal_that_came_before(live_coordinator: Coordinator, what: str, refusing: Refusing) -> None:
    """The broker refuses what a signal leads to that came before its wait: the step before it comes again, and sends that."""
    coordinator, gate = live_coordinator, threading.Event()

    @agent("break.slow")
    def slow(filed: Broken) -> Told:
        assert gate.wait(20)
        return Told(story=filed.story)

    then = emit() if what == "event" else hears
    run = coordinator.start(
        Flow(f"break.early-{what}", slow >> wait_for("go", Told) >> then), Broken(story="s")
    )
    run.signal("go", Told(story="s"))
    refused = refusing(coordinator, lambda message: bool(message.event) or message.agent == hears.name)
    gate.set()
    assert run.wait(20) == "completed"
    assert len(refused) == 1


@pytest.mark.parametrize("what", ["event", "step"])
def test_a_fallback(live_coordinator: Coordinator, what: str, refusing: Refusing) -> None:
    """The broker refuses what a fallback leads to: the timer comes again, and sends that."""

    @agent("break.fails")
    def fails(filed: Broken) -> Told:
        raise Permanent("no")

    fallback = constant(Told(story="instead"))
    then = emit() if what == "event" else hears
    flow = Flow(
        f"break.falls-{what}", budget(fails, within=timedelta(seconds=0.3), fallback=fallback) >> then
    )
    refused = refusing(live_coordinator, lambda message: bool(message.event) or message.agent == hears.name)
    run = live_coordinator.start(flow, Broken(story="s"))
    assert run.wait(20) == "completed"
    assert len(refused) == 1


def test_an_event_of_a_run_that_has_ended(live_coordinator: Coordinator, refusing: Refusing) -> None:
    """The broker refuses an event until the budget of its step is spent and the run has ended: it is sent all the same."""
    coordinator, heard = live_coordinator, []

    @on(Told)
    @agent("break.ear")
    def ear(told: Told) -> None:
        heard.append(told.story)

    coordinator.work([ear])
    fallback = constant(Broken(story="instead"))
    flow = Flow("break.spent", budget(aside, within=timedelta(seconds=0.3), fallback=fallback))
    ended = threading.Event()
    refused = refusing(coordinator, lambda message: bool(message.event) and not ended.is_set(), times=1_000)
    run = coordinator.start(flow, Broken(story="s"))
    assert run.wait(20) == "completed"
    ended.set()
    wait_until(lambda: heard == ["s"], description="the event is heard")
    assert refused
    assert run.result() == Broken(story="instead")


def test_a_build_that_does_not_subscribe_yet(live_coordinator: Coordinator) -> None:
    """While a newer build of an agent subscribes to an event, an older one leaves it to that; it is passed over once nobody
    of the agent subscribes to it any more, whatever contract it is of."""
    coordinator, read = live_coordinator, []

    @on(Broken)
    @agent("break.grows")
    def grows(filed: Broken) -> None:
        read.append(filed)

    coordinator.work([grows])
    coordinator.engine.publisher.subscribe(grows.name, Intake(("break.filed", "break.told")))
    manifest = coordinator.engine.manifest(grows).to_json()
    newer = {**manifest, "build": "newer", "subscribes": ["break.*"], "accepts": {"break.told": [1]}}
    coordinator.engine.announcements.announce(newer, "newer", timedelta(hours=1))
    coordinator.engine.negotiator.forget()
    story = coordinator.emit(Told(story="s"))
    assert story.wait(1.5) == "running"
    assert story.letters() == []
    coordinator.engine.announcements.announce(newer, "newer", timedelta())
    assert story.wait(20) == "completed"
    assert (list(story.letters()), read) == ([], [])


@pytest.fixture
def in_order(live_coordinator: Coordinator) -> list[str]:
    """What an agent has heard in order."""
    order: list[str] = []

    @on(Told, ordered=True)
    @agent("break.ledger")
    def ledger(told: Told) -> None:
        order.append(told.story)

    live_coordinator.work([ledger])
    return order


def test_order_where_a_server_fails(
    live_coordinator: Coordinator, in_order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Redis fails once, an event that is heard in order keeps its place."""
    handoffs = live_coordinator.engine.store.handoffs
    claim = handoffs.claim
    failed: list[Any] = []

    def failing(step: Any, **options: Any) -> Asking[Claim]:
        if options["agent"] == "break.ledger" and not failed:
            failed.append(step)
            raise ServerError("Redis is away", "", "")
        return (yield from claim(step, **options))

    monkeypatch.setattr(handoffs, "claim", failing)
    names = [f"s{number}" for number in range(5)]
    for name in names:
        live_coordinator.emit(Told(story=name))
    wait_until(lambda: len(in_order) == 5, description="all are heard")
    assert in_order == names
    assert len(failed) == 1


def test_a_paused_story_holds_no_other(live_coordinator: Coordinator, in_order: list[str]) -> None:
    """An event of a story that is paused is passed by, and comes when that goes on; who hears in order hears the others."""
    begun, gate = threading.Event(), threading.Event()

    @on(Broken)
    @agent("break.teller")
    def teller(filed: Broken) -> Told:
        begun.set()
        assert gate.wait(20)
        return Told(story=filed.story)

    live_coordinator.work([teller])
    held = live_coordinator.emit(Broken(story="held"))
    assert begun.wait(20)
    held.pause()
    gate.set()
    wait_until(lambda: [one for one in held.history() if one["kind"] == "settled"], description="it is told")
    live_coordinator.emit(Told(story="other"))
    wait_until(lambda: in_order == ["other"], description="the other is heard")
    held.resume()
    wait_until(lambda: in_order == ["other", "held"], description="the held one is heard")


def test_a_flow_that_an_event_starts_waits_for_its_agents(live_coordinator: Coordinator) -> None:
    """A run that an event has started waits for agents that were never there, as any run does."""

    @agent("break.first")
    def first(told: Told) -> Told:
        return told

    @agent("break.second")
    def second(told: Told) -> Told:
        return told

    flow = Flow("break.begun", first >> second, on=Told)
    trigger = trigger_of(flow)
    assert trigger is not None
    live_coordinator.work([trigger, first])
    story = live_coordinator.emit(Told(story="s"))
    [began] = wait_until(
        lambda: [one for one in story.history() if one["kind"] == "triggered"], description="it began"
    )
    run = live_coordinator.run(began["triggered"])
    wait_until(
        lambda: [one for one in run.history() if one["kind"] == "settled"], description="the first is done"
    )
    assert run.wait(1) == "running"
    live_coordinator.work([second])
    assert run.wait(20) == "completed"


def sent(coordinator: Coordinator, event: Contract) -> Message:
    """An event as the broker gets it."""
    router = coordinator.engine.services.router
    return Emitter(router).emission(event, str(uuid.uuid4())).message


@pytest.mark.parametrize(
    "event", ["break.filed", "x" * 300, "", "*", "Break.Told", "break\x00", 7, ["break.told"], {}, None]
)
def test_a_header_that_names_another_event(coordinator: Coordinator, event: Any) -> None:
    """A message on the exchange of events whose header is no name of its contract is undecodable, wherever it comes."""
    message = sent(coordinator, Told(story="s"))
    headers = {**message.headers, "handoff_event": event}
    raw = RawLetter(headers, message.body.encode(), "application/json")
    [row] = coordinator.desk.unheard(raw)
    assert row.kind == "undecodable"
    assert coordinator.desk.receive(raw).kind == "undecodable"


def test_an_event_in_the_name_of_another(anywhere: Coordinator) -> None:
    """An event that says it is another than its envelope has is given to nobody."""
    heard: list[Event] = []

    @on("break.filed")
    @agent("break.any")
    def listens(event: Event) -> None:
        heard.append(event)

    anywhere.work([listens])
    message = sent(anywhere, Told(story="s"))
    body = message.body.replace('"event":"break.told"', '"event":"break.filed"')
    assert body != message.body
    headers = {**message.headers, "handoff_event": "break.filed"}
    anywhere.engine.publisher.publish([replace(message, headers=headers, body=body)])
    [letter] = wait_until(anywhere.dead_letters, description="it is parked")
    assert (letter.kind, letter.agent, heard) == ("invalid-input", "break.any", [])


class Ping(Contract, name="break.ping", version=1):
    story: str = Key()


class Pong(Contract, name="break.pong", version=1):
    story: str = Key()


class Keyless(Contract, name="break.keyless", version=1):
    story: str


def test_events_in_a_circle(anywhere: Coordinator) -> None:
    """Events that lead to one another under one key end: an outcome that is known is not told again in the same story. Another
    story with the same key goes through as well, and takes no effect again."""
    heard: Counter[str] = Counter()

    @on(Ping)
    @agent("break.pings")
    def pings(ping: Ping) -> Pong:
        heard["ping"] += 1
        return Pong(story=ping.story)

    @on(Pong)
    @agent("break.pongs")
    def pongs(pong: Pong) -> list[Ping | Keyless]:
        heard["pong"] += 1
        return [Ping(story=pong.story), Keyless(story=pong.story)]

    @on(Keyless)
    @agent("break.counts")
    def counts(told: Keyless, context: Context) -> None:
        heard[context.run_id] += 1

    anywhere.work([pings, pongs, counts])
    stories = [anywhere.emit(Ping(story="s"), idempotency_key=key) for key in ("one", "other")]
    for story in stories:
        assert story.wait(20) == "completed"
    assert heard == {"ping": 1, "pong": 1, stories[0].id: 1, stories[1].id: 1}
