"""Sets where their stories differ, their parts come late, or what they wait for takes longer than Redis keeps things."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    HistoryEntry,
    Key,
    Permanent,
    Run,
    agent,
    emit,
    gather,
    on,
)
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.store.event_sets import Added, EventSets
from handoffs.coordinator.store.record import Record, StepRef
from tests.eager.newsroom import Filed, Newsroom, Printed, Set
from tests.waiting import wait_until

SOON = timedelta(milliseconds=200)


def told(story: Run) -> list[HistoryEntry]:
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
    Service(coordinator.engine, coordinator.journal).touch()
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


def _forget(coordinator: Coordinator) -> None:
    """The time for which sets that were worked on are kept is over."""
    redis = coordinator.engine.store.redis
    for key in redis.keys(f"{coordinator.settings.prefix}gathered*"):
        redis.delete(key)


def test_a_set_that_comes_again_is_other_work(anywhere: Coordinator) -> None:
    """Other events under the key of a set that was worked on and forgotten are a set of their own."""
    room = Newsroom()
    number = room.number
    got: list[list[str]] = []

    class Take(Contract, name=f"takes.part-{number}", version=1):
        title: str
        take: str

    class Takes(Contract, name=f"takes.parts-{number}", version=1):
        parts: list[Take]

    class Cut(Contract, name=f"takes.cut-{number}", version=1):
        title: str = Key()
        takes: list[str]

    @on(
        Take,
        gather=gather("parts", by="title", until=lambda parts: len(parts) == 2, within=timedelta(hours=1)),
    )
    @agent(f"takes.cut-{number}", events=(Cut,))
    def cut(takes: Takes, context: Context) -> Cut:
        names = sorted(part.take for part in takes.parts)
        got.append([context.key, *names])
        return Cut(title=takes.parts[0].title, takes=names)

    anywhere.work([cut, room.archive])
    for names in (["a", "b"], ["c", "d"]):
        for story in [anywhere.emit(Take(title="t", take=name)) for name in names]:
            assert story.wait(20) == "completed"
        _forget(anywhere)
    assert got == [["t", "a", "b"], ["t", "c", "d"]]


class TestSetsAreKept:
    """What Redis has of sets."""

    def add(self, sets: EventSets, part: str, run: str = "r") -> Added:
        record = Record("urn:contract:news.set:1", "{}")
        place = StepRef(run, "on:news.set", "1")
        return sets.add(
            "news.press", "s", part, record, place, content=part, within=timedelta(hours=1), most=3
        )

    def test_what_is_worked_on_takes_no_more(self, coordinator: Coordinator) -> None:
        """Whoever works on a set again gets the parts that it had then; what comes meanwhile is late, and what is in it is not."""
        sets = EventSets(coordinator.engine.store.redis, coordinator.settings)
        self.add(sets, "a")
        self.add(sets, "b")
        taken = sets.take("news.press", "s")
        assert (len(taken.parts), taken.finished) == (2, False)
        late = self.add(sets, "c")
        assert (late.verdict, late.finished) == ("late", True)
        again = self.add(sets, "a")
        assert (again.verdict, again.finished) == ("again", False)
        assert sets.take("news.press", "s") == taken

    def test_each_has_a_name_of_its_own(self, coordinator: Coordinator) -> None:
        """A set that comes again is another one, also where its first event is the same and all are of one story."""
        sets = EventSets(coordinator.engine.store.redis, coordinator.settings)
        first = self.add(sets, "a")
        assert self.add(sets, "b").born == self.add(sets, "a").born == first.born != ""
        content = sets.take("news.press", "s").content
        _forget(coordinator)
        again = wait_until(
            lambda: one if (one := self._anew(coordinator, sets)).born != first.born else None,
            description="the clock has moved",
            interval=0.002,
        )
        assert again is not None
        assert again.first
        self.add(sets, "b")
        assert sets.take("news.press", "s").content == content

    def _anew(self, coordinator: Coordinator, sets: EventSets) -> Added:
        _forget(coordinator)
        return self.add(sets, "a")


def test_the_story_that_carries_a_set_is_cancelled(live_coordinator: Coordinator) -> None:
    """A set is of all its stories: when the time of one is over of which the first story was cancelled meanwhile, it goes on in another."""
    room = Newsroom(within=timedelta(seconds=1), partial=True)
    live_coordinator.work([room.press, room.archive])
    first = live_coordinator.emit(Set(story="s", number=0, parts=3))
    wait_until(partial(told, first), description="it is in the set")
    other = live_coordinator.emit(Set(story="s", number=1, parts=3))
    wait_until(partial(told, other), description="it is in the set")
    assert first.cancel() == "cancelled"
    assert other.wait(20) == "completed"
    assert (first.status(), room.seen["press"]) == ("cancelled", [("s", 2)])
    wait_until(lambda: room.effects["archive s"] == 1, description="what comes of it is heard")


def test_every_story_of_a_set_is_cancelled(live_coordinator: Coordinator) -> None:
    """Where none of its stories goes on, nothing is done with it."""
    room = Newsroom(within=SOON, partial=True)
    live_coordinator.work([room.press, room.archive])
    stories = [live_coordinator.emit(Set(story="s", number=number, parts=3)) for number in range(2)]
    for story in stories:
        wait_until(partial(told, story), description="it is in the set")
    assert [story.cancel() for story in stories] == ["cancelled", "cancelled"]
    over = live_coordinator.emit(Set(story="other", number=0, parts=3))
    assert over.wait(20) == "completed"
    assert [key for key, _ in room.seen["press"]] == ["other"]


def test_the_story_with_the_letter_of_a_set_is_cancelled(live_coordinator: Coordinator) -> None:
    """A set that failed, or is not complete, waits for a person in one story. Where that is cancelled, it waits in another, and is
    worked on once it is replayed there."""
    room = Newsroom(within=timedelta(hours=1))
    live_coordinator.work([room.press, room.archive])
    room.broken.add("press s")
    stories = [live_coordinator.emit(Set(story="s", number=number, parts=2)) for number in range(2)]
    wait_until(lambda: any(story.letters() for story in stories), description="the set is parked")
    [carrier] = [story for story in stories if story.letters()]
    [other] = [story for story in stories if story is not carrier]
    assert carrier.cancel() == "cancelled"
    wait_until(lambda: other.status() == "parked" and other.letters(), description="it waits in the other")
    assert carrier.letters() == []
    room.broken.clear()
    other.letters()[0].replay()
    assert other.wait(20) == "completed"
    assert room.seen["press"] == [("s", 2)]
