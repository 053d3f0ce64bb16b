"""`coordinator trace` and Coordinator.trace(): stories that really happened, in eager and in embedded mode."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Key,
    Permanent,
    Retry,
    agent,
    budget,
    constant,
    emit,
    parallel,
    wait_for,
)
from handoffs.coordinator.errors import UnknownLetter, UnknownRun
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.observe.trace import Trace, TraceNode
from handoffs.coordinator.store.record import StepRef
from tests.deliveries import given_up
from tests.eager.command import Command
from tests.eager.newsroom import Filed, Newsroom, Printed
from tests.waiting import wait_until as _wait_until


def wait_until(condition: Any, description: str) -> Any:
    """Wait for something of the story, and give it."""
    return _wait_until(condition, description=description)


def of(trace: Trace, name: str, kind: str = "hearing") -> list[TraceNode]:
    return [node for node in trace.nodes if node.kind == kind and node.name.endswith(name)]


def settled(coordinator: Coordinator, run: str) -> Trace:
    """The trace, once nothing in it is open."""
    found: Trace = wait_until(
        lambda: trace if "open" not in (trace := coordinator.trace(run)).counts else None, "nothing is open"
    )
    return found


def test_the_story_of_a_newsroom(anywhere: Coordinator, command: Command) -> None:
    """Each event, each who heard it, who passed it over, what is parked, and the set: in one tree, under one id."""
    room = Newsroom()
    anywhere.work(room.agents)
    room.broken.add("setter s/1")
    story = anywhere.emit(Filed(story="s"))
    assert story.wait(20) == "parked"
    wait_until(lambda: room.effects["late-shift s/2"] == 1, description="the others go on")
    trace = wait_until(
        lambda: found if (found := anywhere.trace(story.id)).counts.get("gathered") == 2 else None,
        description="two parts have come",
    )
    [parked] = [node for node in of(trace, ".setter") if node.state == "parked"]
    [told] = [one for one in story.history() if one["kind"] == "parked" and one["agent"].endswith(".setter")]
    assert told["event"] == trace.nodes[parked.parent or 0].message
    assert "setter is broken" in parked.reason
    assert parked.which == 'story="s" number=1 parts=3'
    assert trace.nodes[parked.parent or 0].name == "news.ordered/1"
    states = wait_until(
        lambda: (
            found
            if "open" not in (found := [node.state for node in of(anywhere.trace(story.id), ".late-shift")])
            else None
        ),
        description="the late shift has seen all of them",
    )
    assert sorted(states) == ["passed over", "passed over", "settled"]
    assert trace.nodes[0].state == "parked"
    room.broken.clear()
    for letter in wait_until(story.letters, description="the letter is there"):
        letter.replay()
    wait_until(lambda: story.status() == "completed", description="the story goes on")
    trace = settled(anywhere, story.id)
    [whole] = of(trace, ".press", "set")
    assert (whole.state, whole.size, whole.expected) == ("settled", 3, 3)
    assert trace.nodes[of(trace, ".archive")[0].parent or 0].name == "news.printed/1"
    [mended] = [node for node in of(trace, ".setter") if node.notes]
    assert mended.notes[0].startswith("replayed by ")
    status, out, err = command(anywhere, "trace", story.id)
    assert (status, err) == (0, "")
    assert "has a set" in out
    assert "3 of 3 events have come" in out
    assert max(map(len, out.splitlines())) <= 100
    assert out.splitlines()[1].split() == ["story", "on:news.filed", "completed", "+0"]
    assert command.json(anywhere, "trace", story.id)["counts"] == trace.counts
    shown = command(anywhere, "runs", "show", story.id)[1]
    assert out.strip().splitlines()[1:-1] == shown.strip().splitlines()[1:-2]


def test_a_long_fan_out_is_folded(coordinator: Coordinator, command: Command) -> None:
    """Forty parts are a few lines; with --all each has one."""
    room = Newsroom()
    coordinator.work(room.agents)
    story = coordinator.emit(Filed(story="s", parts=40))
    status, out, _ = command(coordinator, "trace", story.id)
    assert status == 0
    assert "38 settled" in out
    assert len(out.splitlines()) < 25
    assert len(command(coordinator, "trace", story.id, "--all")[1].splitlines()) > 200


def test_the_events_of_a_flow(anywhere: Coordinator, command: Command) -> None:
    """A run of a flow has its steps in its trace, and beneath each the events that it emitted and what they led to; also
    where a step of the flow emits after a join."""

    class Signed(Contract, name="news.signed", version=1):
        a: Filed
        b: Filed

    class Extra(Contract, name="news.extra", version=1):
        story: str = Key()

    room = Newsroom()
    anywhere.work(room.agents)

    @agent(f"{room.name('file')}", events=(Extra,))
    def file(filed: Filed, context: Any) -> Filed:
        context.emit(Extra(story=filed.story))
        return filed

    @agent(room.name("check"))
    def check(filed: Filed) -> Filed:
        return filed

    @agent(room.name("sign"))
    def sign(signed: Signed) -> Printed:
        return Printed(story=signed.a.story, text="signed")

    flow = Flow(room.name("flow"), file >> emit() >> parallel(a=check, b=check) >> sign >> emit())
    run = anywhere.start(flow, Filed(story="s"))
    assert run.result(20)
    wait_until(
        lambda: room.effects["archive s"] >= 1 and room.effects["press s"] == 1, description="they hear it"
    )
    trace = settled(anywhere, run.id)
    assert trace.nodes[0].kind == "run"
    [filed] = of(trace, ".file", "step")
    under = {node.name for node in trace.nodes if node.parent == trace.nodes.index(filed)}
    assert under == {"news.filed/1", "news.extra/1"}
    [extra] = of(trace, "news.extra/1", "event")
    assert extra.state == "emitted"  # the ear hears whatever is news
    assert of(trace, ".archive")
    hint = command(anywhere, "runs", "show", run.id)[1]
    assert f"coordinator trace {run.id}" in hint


def test_a_flow_that_begins_with_an_event(anywhere: Coordinator) -> None:
    """What a flow emits before its first agent is told with its start: who hears it, and that nobody does."""
    room = Newsroom()
    anywhere.work([room.archive])

    @agent(room.name("file"))
    def file(printed: Printed) -> Printed:
        return printed

    @agent(room.name("keep"))
    def keep(filed: Filed) -> Filed:
        return filed

    run = anywhere.start(Flow(room.name("flow"), emit() >> file, input=Printed), Printed(story="s", text="t"))
    wait_until(lambda: room.effects["archive s"] == 1, description="it is heard")
    trace = settled(anywhere, run.id)
    [printed] = of(trace, "news.printed/1", "event")
    assert (printed.parent, printed.state, printed.at_ms) == (0, "emitted", 0.0)
    [archive] = of(trace, ".archive")
    assert trace.nodes[archive.parent or 0] == printed
    other = anywhere.start(Flow(room.name("other"), emit() >> keep, input=Filed), Filed(story="s"))
    assert of(anywhere.trace(other.id), "news.filed/1", "event")[0].state == "unheard"


def test_an_event_after_a_wait_and_after_a_fallback(anywhere: Coordinator) -> None:
    """What a flow emits where no step tells it is told by the run, once, with who hears it, and that nobody does."""
    room = Newsroom()
    anywhere.work([room.desk])

    @agent(room.name("file"), retry=Retry(attempts=1))
    def file(filed: Filed) -> Filed:
        raise Permanent("it is lost")

    spare = budget(file, within=timedelta(milliseconds=100), fallback=constant(Filed(story="spare")))
    waits = wait_for("go", Filed)
    told = {}
    for name, body in (("waits", waits >> emit()), ("spare", spare >> emit())):
        run = anywhere.start(Flow(room.name(name), body, input=Filed), Filed(story="s"))
        if name == "waits":
            run.signal("go", Filed(story="waits"))
        wait_until(
            lambda: room.effects[f"desk {name}"] == 1,  # noqa: B023 - it is waited for here
            description="the desk hears it",
        )
        trace = settled(anywhere, run.id)
        [filed] = of(trace, "news.filed/1", "event")
        [desk] = of(trace, ".desk")
        assert trace.nodes[desk.parent or 0] == filed
        [entry] = [entry for entry in run.history() if entry["kind"] == "emitted"]
        [emitted] = entry["emitted"]
        told[name] = (filed.parent, filed.state, emitted["heard"])
    assert told == dict.fromkeys(("waits", "spare"), (0, "emitted", [room.name("desk")]))


def test_who_never_came(coordinator: Coordinator) -> None:
    """What nobody hears is told as unheard, at once and when it lies among the unheard events."""

    class Shouted(Contract, name="news.shouted", version=1):
        word: str = Key()

    story = coordinator.emit(Shouted(word="echo"))
    trace = coordinator.trace(story.id)
    assert [node.state for node in trace.nodes if node.kind == "event"] == ["unheard"]
    assert trace.counts == {"events": 1, "unheard": 1}


def test_an_event_waits_for_a_worker(live_coordinator: Coordinator) -> None:
    """While the worker of an agent is away, what it has to hear is open."""
    room = Newsroom()
    worker = live_coordinator.work([room.desk])
    assert worker is not None
    worker.stop()
    story = live_coordinator.emit(Filed(story="s"))
    [waits] = of(live_coordinator.trace(story.id), ".desk")
    assert waits.state == "open"
    worker.start()
    wait_until(lambda: room.effects["desk s"] == 1, description="it is heard")
    assert of(settled(live_coordinator, story.id), ".desk")[0].state == "settled"


def test_runs_that_hang_together(anywhere: Coordinator) -> None:
    """A run that an event began is in the trace of the story, and the story is the trace of the run."""
    room = Newsroom()

    @agent(room.name("check"))
    def check(printed: Printed) -> Printed:
        return printed

    flow = Flow(room.name("flow"), check >> emit(), on=Printed)
    anywhere.work([room.archive, *agents_of(flow).values()])
    story = anywhere.emit(Printed(story="s", text="t"))
    [began] = wait_until(
        lambda: [one for one in story.history() if one["kind"] == "triggered"], "the run has begun"
    )
    run = anywhere.run(began["triggered"])
    assert run.wait(20) == "completed"
    for asked in (story.id, run.id):
        trace = settled(anywhere, asked)
        assert (trace.asked, trace.nodes[0].run) == (asked, story.id)
        [found] = [node for node in trace.nodes if node.run == run.id and node.kind == "run"]
        assert trace.nodes[found.parent or 0].name == room.name("flow.begin")
        assert of(trace, ".check", "step")[0].state == "settled"
    assert (
        len(of(settled(anywhere, run.id), "news.printed/1", "event")) == 2
    )  # the story's own, and the run's


def test_an_unknown_id(coordinator: Coordinator, command: Command) -> None:
    """An id that nobody knows is told in one line, whatever is in it."""
    with pytest.raises(UnknownRun):
        coordinator.trace("no*such?[run]\\")
    status, out, err = command(coordinator, "trace", "no\x1b[31m")
    assert (status, out) == (1, "")
    assert "\x1b[31m" not in err
    assert "there is no story" in err
    for bad in ("\udcff", "x\x00", "\u202e", ""):
        with pytest.raises(UnknownRun):
            coordinator.trace(bad)
        with pytest.raises(UnknownRun):
            coordinator.run(bad)
        with pytest.raises(UnknownLetter):
            coordinator.desk.letter(bad)


def test_outstanding_of_one_run(coordinator: Coordinator) -> None:
    """What is outstanding of a run is its own alone, whatever its id looks like."""
    engine = coordinator.engine
    store = engine.store
    shard = store.keys.shard("a*")
    others = [run for number in range(1000) if store.keys.shard(run := f"a{number}") == shard][:3]
    for run in ("a*", "a\\", *others):
        place, sends = StepRef(run, "f", ""), [(f"step of {run}", "x.agent", "c/1")]
        engine.runs.start(place, key="", content="c", first="[]", sends=sends)
    assert engine.outstanding.agents_of("a*") == {"step of a*": "x.agent"}
    assert engine.outstanding.agents_of("a\\") == {"step of a\\": "x.agent"}
    assert engine.outstanding.agents_of("none") is None


def test_what_the_broker_gives_up(coordinator: Coordinator) -> None:
    """An event that the broker dead-letters, without the worker's word, is parked where it was to be heard."""
    room = Newsroom()
    coordinator.work([room.desk])
    room.broken.add("desk s")
    story = coordinator.emit(Filed(story="s"))
    [letter] = story.letters()
    event = Message.restored(letter.row.message)
    key = coordinator.engine.store.keys.run(story.id)
    coordinator.engine.store.redis.delete(key)  # nobody has written down why it failed
    coordinator.engine.store.redis.hset(key, f"r:{letter.step}", "1")  # it was at work
    coordinator.desk.receive(given_up(event, room.name("desk")))
    parked = [entry for entry in story.history() if entry["kind"] == "parked"][-1]
    assert "DeliveryLimit" in parked["error"]
    assert parked["event"] == story.history()[0]["emitted"][0]["id"]
