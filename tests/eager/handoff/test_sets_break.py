"""Sets where their stories differ, their parts come late, or what they wait for takes longer than Redis keeps things."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from handoffs import Coordinator, Flow, Permanent, Run, agent, emit
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.store.event_sets import EventSets
from tests.eager.newsroom import Filed, Newsroom, Printed, Set
from tests.waiting import wait_until

SOON = timedelta(milliseconds=200)


def told(story: Run) -> list[dict[str, Any]]:
    return [entry for entry in story.history() if entry["kind"] == "gathered"]


def test_a_part_that_comes_late(anywhere: Coordinator) -> None:
    """A part of another story that comes after its set was worked on holds that story up no longer, and is told of."""
    room = Newsroom(within=SOON, partial=True)
    anywhere.work([room.press, room.archive])
    first = anywhere.emit(Set(story="s", number=0, parts=3))
    wait_until(lambda: first.status() == "completed", description="its time is over")
    assert room.seen["press"] == [("s", 1)]
    for number in (1, 2):
        late = anywhere.emit(Set(story="s", number=number, parts=3))
        assert late.wait(20) == "completed"
        [entry] = wait_until(partial(told, late), description="it is told")
        assert "it came late" in entry["error"]
        assert "open" not in anywhere.trace(late.id).counts
    assert room.seen["press"] == [("s", 1)]


def test_a_set_is_parked_in_one_story_and_complete_in_another(anywhere: Coordinator) -> None:
    """A set that was parked as incomplete in one story goes on when the rest comes in another: nothing waits any more."""
    room = Newsroom(within=SOON)
    anywhere.work([room.press, room.archive])
    first = anywhere.emit(Set(story="s", number=0, parts=2))
    assert first.wait(20) == "parked"
    wait_until(first.letters, description="the letter is there")
    last = anywhere.emit(Set(story="s", number=1, parts=2))
    wait_until(lambda: room.effects["archive s"] == 1, description="the set is worked on")
    assert last.wait(20) == "completed"
    assert first.wait(20) == "completed"
    if not anywhere.settings.eager:  # there nobody drains the history
        wait_until(lambda: not first.letters(), description="the letter is closed")
    assert room.seen["press"] == [("s", 2)]


def test_a_set_that_waits_for_a_person_is_kept(coordinator: Coordinator) -> None:
    """A parked set is kept as long as its letter waits: the events in it are nowhere else."""
    room = Newsroom()
    coordinator.work(room.agents)
    room.broken.add("press s")
    story = coordinator.emit(Filed(story="s"))
    [letter] = story.letters()
    redis = coordinator.engine.store.redis
    [key] = redis.keys("*gathered*")
    redis.pexpire(key, 60_000)
    Service(coordinator.engine, coordinator.journal).sweep()
    assert redis.pttl(key) > 24 * 3600 * 1000
    room.broken.clear()
    letter.replay()
    assert story.status() == "completed"
    assert room.effects == room.expected("s")


def test_a_set_is_known_as_long_as_its_time(coordinator: Coordinator) -> None:
    """The message of a set's time comes when its set was worked on long ago: it is known then, and nothing is parked."""
    settings = coordinator.settings.model_copy(update={"result_ttl": timedelta(minutes=1)})
    sets = EventSets(coordinator.engine.store.redis, settings)
    room = Newsroom(within=timedelta(hours=2))
    coordinator.work(room.agents)
    coordinator.emit(Filed(story="s"))
    sets.finish(room.press.name, "s", timedelta(hours=2))
    [key] = coordinator.engine.store.redis.keys("*gathered*")
    assert coordinator.engine.store.redis.pttl(key) > 2 * 3600 * 1000


def test_an_unheard_event_of_a_cancelled_run(anywhere: Coordinator) -> None:
    """An event of a flow is a fact: one that nobody heard goes out again though its run was cancelled."""
    room = Newsroom()

    @agent(f"news{room.number}.prints")
    def prints(filed: Filed) -> Printed:
        return Printed(story=filed.story, text="x")

    @agent(f"news{room.number}.fails")
    def fails(printed: Printed) -> Printed:
        raise Permanent("no")

    flow = Flow(f"news{room.number}.flow", prints >> emit() >> fails)
    run = anywhere.start(flow, Filed(story="s"))
    wait_until(lambda: anywhere.dead_letters(state="unheard"), description="nobody heard it")
    assert run.cancel() == "cancelled"
    anywhere.work([room.archive])
    [letter] = anywhere.dead_letters(state="unheard")
    letter.replay()
    wait_until(lambda: room.effects["archive s"] == 1, description="it is heard")
