"""Size: what has no room in a message is known before anything is recorded, and told to whoever can do something about it."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    agent,
    budget,
    choice,
    constant,
    each,
    field,
    go_on,
    parallel,
    wait_for,
    when,
)
from handoffs.config.settings import Settings
from handoffs.contracts.errors import CoordinationError, TooLarge
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.errors import EditRefused, FlowError, Permanent, RunCancelled
from handoffs.coordinator.flow.step import Step
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.replay import Replays
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.runs.first_messages import Starter
from handoffs.coordinator.store.record import Record, StepRef
from tests.deliveries import RecordingPublisher
from tests.eager.flow.orders import waits
from tests.eager.flow.sizes import LIMIT, PART, Count, Size, both, fill
from tests.waiting import wait_until


class Three(Contract, name="size.three", version=1):
    a: Size
    b: Size
    c: Size


class Wish(Contract, name="size.wish", version=1):
    id: str = Key()
    sizes: list[Size]


class Made(Contract, name=f"size.made-of-which-the-name-is-{'-'.join(['long'] * 10)}", version=1):
    id: str
    text: str = ""


class All(Contract, name="size.all", version=1):
    made: list[Made]


class Kept(Contract, name="size.kept", version=1):
    given: Size
    said: Size


@pytest.fixture
def coordinator_settings(coordinator_settings: Settings) -> Settings:
    return coordinator_settings.model_copy(update={"max_message_bytes": LIMIT})


@agent("size.three")
def three(sizes: Three) -> Count:
    return Count(octets=sum(len(one.text) for one in (sizes.a, sizes.b, sizes.c)))


@agent("size.pass")
def passed(size: Size) -> Size:
    return size


@agent("size.other")
def other(size: Size) -> Size:
    return size


@agent("size.make")
def make(size: Size) -> Made:
    return Made(id=size.id, text=size.text)


@agent("size.all")
def counted(everything: All) -> Count:
    return Count(octets=sum(len(one.text) for one in everything.made))


def kinds(run: Run) -> list[tuple[str, str]]:
    """The letters of a run that wait, as (kind, step)."""
    return [(letter.kind, letter.step) for letter in run.letters()]


class TestJoins:
    def test_part_that_has_no_room(self, running: Coordinator) -> None:
        """The part that makes its join too large is parked; with a smaller outcome in its place the run goes on."""
        run = running.start(
            Flow("size.two", parallel(a=fill("a", PART), b=fill("b", PART)) >> both), Size(id="1")
        )
        assert run.wait(timeout=20) == "parked"
        [letter] = run.letters()
        assert (letter.kind, letter.error) == ("too-large", "TooLarge")
        assert str(2 * PART)[:2] in letter.text
        assert "COORDINATOR_MAX_MESSAGE_BYTES" in letter.text
        running.skip(letter, Size(id="1", text="small"), why="it is too large")
        assert run.result(timeout=20).octets == PART + 5

    def test_edited(self, running: Coordinator) -> None:
        """With a smaller input its agent makes a smaller part: what had no room is no outcome of its key."""
        run = running.start(
            Flow("size.two-edited", parallel(a=passed, b=other) >> both), Size(id="1", text="x" * PART)
        )
        assert run.wait(timeout=20) == "parked"
        [letter] = run.letters()
        running.edit(letter, Size(id="1", text="small"), why="it is too large")
        assert run.result(timeout=20).octets == PART + 5

    def test_skipping_with_what_has_no_room_either(self, running: Coordinator) -> None:
        """A person's outcome has as much room as an agent's: it is refused, and the letter waits as before."""
        run = running.start(
            Flow("size.two-skipped", parallel(a=fill("c", PART), b=fill("d", PART)) >> both), Size(id="1")
        )
        assert run.wait(timeout=20) == "parked"
        [letter] = run.letters()
        for octets in (PART, LIMIT):
            with pytest.raises(TooLarge):
                running.skip(letter, Size(id="1", text="x" * octets), why="again")
        assert (run.status(), kinds(run)) == ("parked", [("too-large", letter.step)])

    def test_each_part_that_has_no_room(self, running: Coordinator) -> None:
        """Of branches, each that has no room beside those before it is parked, and what still has room is not."""
        branches = parallel(a=fill("e", PART), b=fill("f", PART), c=fill("g", 10))
        run = running.start(Flow("size.three", branches >> three), Size(id="1"))
        assert run.wait(timeout=20) == "parked"
        wait_until(lambda: len(run.letters()) == 1, description="the letter is there")
        [letter] = run.letters()
        running.skip(letter, Size(id="1", text="small"), why="it is too large")
        assert run.result(timeout=20).octets == PART + 15

    def test_one_item_waits_for_all(self, running: Coordinator) -> None:
        """Of the items of a list one is parked where they are too large together, and the others have their outcomes."""
        flow = Flow("size.items", each("sizes", fill("h", 1_800) >> make, into="made") >> counted, input=Wish)
        run = running.start(flow, Wish(id="1", sizes=[Size(id=str(number)) for number in range(8)]))
        assert run.wait(timeout=20) == "parked"
        wait_until(lambda: len(kinds(run)) == 1, description="the letter is there")
        record = running.engine.runs.get(run.id)
        assert record is not None
        assert len(record.settled) == 15
        running.skip(run.letters()[0], Made(id="1"), why="it is too large")
        assert run.result(timeout=20).octets == 7 * 1_800

    def test_many_items_with_long_names(self, running: Coordinator) -> None:
        """The versions of the parts take no room to speak of, however many they are and however long their names."""
        flow = Flow("size.names", each("sizes", make, into="made") >> counted, input=Wish)
        sizes = [Size(id=str(number), text="12345678") for number in range(150)]
        run = running.start(flow, Wish(id="1", sizes=sizes))
        assert run.result(timeout=30).octets == 1_200

    def test_fallback_that_has_no_room(self, running: Coordinator) -> None:
        """What takes a step's place has no more room than the step: its timer waits as a letter that says so."""

        @agent("size.fails", retry=Retry(attempts=1))
        def fails(size: Size) -> Size:
            raise Permanent("no")

        within = budget(
            fails, within=timedelta(milliseconds=50), fallback=constant(Size(id="0", text="x" * PART))
        )
        run = running.start(
            Flow("size.fallback", parallel(a=within, b=fill("i", PART)) >> both), Size(id="1")
        )

        def told() -> bool:
            return ("too-large", "1.a.1.timer") in kinds(run) or ("too-large", "1.b.1") in kinds(run)

        wait_until(told, description="the letter says so")
        assert run.status() == "parked"


class TestWhoAsks:
    """What a caller gives is refused there, and nothing of it is accepted."""

    @pytest.mark.parametrize("later", [None, timedelta(hours=1)])
    def test_start(self, coordinator: Coordinator, later: timedelta | None) -> None:
        """A run whose first message nobody could read is not accepted."""
        flow = Flow("size.started", passed)
        with pytest.raises(TooLarge, match="COORDINATOR_MAX_MESSAGE_BYTES"):
            coordinator.start(flow, Size(id="1", text="x" * LIMIT), at=later)
        assert coordinator.start(flow, Size(id="1", text="x")).status() == "completed"

    def test_start_with_many_items(self, coordinator: Coordinator) -> None:
        """An item is part of what fits, and counts with what comes after it."""
        flow = Flow("size.long", each("sizes", passed, into="made", limit=1) >> counted_sizes, input=Wish)
        sizes = [Size(id="1"), Size(id="2", text="x" * (LIMIT - 300))]
        with pytest.raises(TooLarge):
            coordinator.start(flow, Wish(id="1", sizes=sizes))

    def test_start_with_branches_that_do_nothing(self, coordinator: Coordinator) -> None:
        """Where the input itself arrives at a join, its branches together are to have room there."""
        idle = choice(when(field("text") == "", passed), otherwise=go_on)
        flow = Flow("size.idle", parallel(a=idle, b=idle) >> both)
        with pytest.raises(TooLarge, match="its join"):
            coordinator.start(flow, Size(id="1", text="x" * PART))
        assert coordinator.start(flow, Size(id="1", text="x" * 3_000)).result(0).octets == 6_000

    def test_accepted_before(self, live_coordinator: Coordinator) -> None:
        """A run that was accepted with more than is read by now, by an older release perhaps, becomes a letter, and keeps none from
        beginning."""
        flow, services = Flow("size.accepted", passed), live_coordinator.engine.services
        assert live_coordinator.start(flow, Size(id="0")).wait(timeout=20) == "completed"
        first = Starter(services.router).first(flow, Size(id="1", text="x" * LIMIT), "run-accepted")
        services.runs.start(
            StepRef("run-accepted", flow.name, ""),
            key="1",
            content="c",
            first=first.stored(),
            sends=first.named(),
            due=timedelta(milliseconds=1),
        )
        run = live_coordinator.run("run-accepted")
        wait_until(lambda: kinds(run) == [("too-large", "1")], description="it is a letter")

    def test_emit(self, coordinator: Coordinator) -> None:
        """An event that nobody could read is not accepted."""
        with pytest.raises(TooLarge):
            coordinator.emit(Size(id="1", text="x" * LIMIT))
        assert list(coordinator.dead_letters(state=None)) == []

    def test_signal(self, running: Coordinator) -> None:
        """A signal that has no room, or none beside what the run keeps for it, is refused; a smaller one is taken."""
        flow = Flow("size.waits", passed >> wait_for("said", Size, keep="given") >> kept)
        run = running.start(flow, Size(id="1", text="x" * PART))
        wait_until(lambda: waits(running, run), description="the run waits")
        for octets in (PART, LIMIT):
            with pytest.raises(TooLarge):
                run.signal("said", Size(id="1", text="x" * octets))
        assert run.status() == "running"
        run.signal("said", Size(id="1", text="x"))
        assert run.result(timeout=20).octets == PART + 1

    def test_signal_that_has_no_room_in_a_join(self, running: Coordinator) -> None:
        """A signal that makes its join too large is not taken, and a smaller one may come."""
        waiting = wait_for("said", Size)
        flow = Flow("size.joins", parallel(a=fill("j", PART), b=fill("k", 1) >> waiting) >> both)
        run = running.start(flow, Size(id="1"))

        def both_are_there() -> bool:
            record = running.engine.runs.get(run.id)
            return record is not None and bool(record.waits) and len(record.settled) == 2

        wait_until(both_are_there, description="the run waits")
        with pytest.raises(TooLarge):
            run.signal("said", Size(id="1", text="x" * PART))
        run.signal("said", Size(id="1", text="x"))
        assert run.result(timeout=20).octets == PART + 1

    def test_signal_before_its_run_begins(self, live_coordinator: Coordinator) -> None:
        """A run that begins with a wait, and finds that the signal that is there has no room beside what it keeps, refuses it in its
        history and waits for another; it is not begun again and again."""
        flow = Flow("size.begins", wait_for("said", Size, keep="given") >> kept, input=Size)
        run = live_coordinator.start(flow, Size(id="1", text="x" * PART), at=timedelta(seconds=1))
        run.signal("said", Size(id="1", text="x" * PART))
        wait_until(lambda: run.history()[-1]["kind"] == "refused", description="the signal is refused")
        run.signal("said", Size(id="1", text="x"))
        assert run.result(timeout=20).octets == PART + 1
        assert [entry["kind"] for entry in run.history()].count("refused") == 1

    def test_edit(self, coordinator: Coordinator) -> None:
        """An input that nobody could read is not given to a step."""

        @agent("size.refuses", retry=Retry(attempts=1))
        def refuses(size: Size) -> Size:
            raise Permanent("no")

        run = coordinator.start(Flow("size.edited", refuses), Size(id="1"))
        [letter] = run.letters()
        with pytest.raises(TooLarge):
            coordinator.edit(letter, Size(id="1", text="x" * LIMIT), why="larger")
        assert [letter.kind for letter in run.letters()] == ["error"]

    def test_constant(self) -> None:
        """A fallback that no agent could read is refused where it is declared."""
        with pytest.raises(FlowError, match="characters"):
            constant(Size(id="1", text="x" * 300_000))


class TestLetters:
    """A message that nobody could read is kept as it came, and goes its way once it can be read."""

    FLOW = Flow("size.unread", passed)

    def unread(self, coordinator: Coordinator, size: Size) -> Run:
        """A run of which the first message is more than anybody reads: an older release has sent it, or one with other limits."""
        run = coordinator.start(self.FLOW, Size(id=f"{size.id}-small", text="s"))
        assert run.wait(timeout=20) == "completed"
        first = Starter(coordinator.engine.services.router).first(self.FLOW, size, f"run-{size.id}")
        coordinator.engine.publisher.publish(first.messages)

        def letters() -> list[Letter]:
            return list(coordinator.dead_letters(run=f"run-{size.id}"))

        wait_until(lambda: len(letters()) == 1, description="the letter is there")
        wait_until(lambda: coordinator.engine.runs.get(f"run-{size.id}"), description="its run is marked")
        return coordinator.run(f"run-{size.id}")

    def raised(self, coordinator: Coordinator, publisher: RecordingPublisher) -> Replays:
        """Replays where a message may have a megabyte."""
        services = coordinator.engine.services
        settings = services.settings.model_copy(update={"max_message_bytes": 1_048_576})
        router = Router(services.store, services.negotiator, Room.of(settings))
        higher = replace(services, settings=settings, router=router, publisher=publisher)
        return Replays(higher, coordinator.journal)

    def test_kept_as_it_came(self, live_coordinator: Coordinator) -> None:
        """It says how large it is, it is neither replayed nor skipped nor edited before it can be read, and the run is parked."""
        run = self.unread(live_coordinator, Size(id="1", text="x" * 200_000))
        [letter] = run.letters()
        assert (letter.kind, letter.step, letter.agent, run.status()) == (
            "too-large",
            "1",
            "size.pass",
            "parked",
        )
        assert "over the limit of" in letter.text
        with pytest.raises(TooLarge, match="COORDINATOR_MAX_MESSAGE_BYTES"):
            letter.replay()
        for act in (live_coordinator.skip, live_coordinator.edit):
            with pytest.raises(CoordinationError, match="over the limit of"):
                act(letter, Size(id="1"), why="too large")
        assert kinds(run) == [("too-large", "1")]

    @pytest.mark.parametrize("older", [False, True])
    def test_once_the_limit_is_raised(self, live_coordinator: Coordinator, older: bool) -> None:
        """With a higher limit it is replayed as it was; also one that an older release has kept as bytes."""
        run = self.unread(live_coordinator, Size(id="2", text="x" * 200_000))
        row = run.letters()[0].row
        body = row.message["body"]
        if older:
            kept = {
                "headers": row.message["headers"],
                "body_base64": base64.b64encode(body.encode()).decode(),
            }
            row = replace(row, kind="undecodable", message=kept)
        publisher = RecordingPublisher()
        self.raised(live_coordinator, publisher).replay(row)
        [sent] = publisher.messages
        assert (sent.body, sent.headers["handoff_replays"]) == (body, 1)

    def test_text_that_is_too_long(self, live_coordinator: Coordinator) -> None:
        """What no limit on octets catches is told as well before it comes back unread."""
        run = self.unread(live_coordinator, Size(id="3", text="x" * 300_000))
        with pytest.raises(TooLarge, match="300000 characters"):
            self.raised(live_coordinator, RecordingPublisher()).replay(run.letters()[0].row)


@agent("size.slow", retry=Retry(attempts=1))
def slow(size: Size) -> Size:
    time.sleep(1)
    return Size(id=size.id, text="x" * PART)


SOON = timedelta(milliseconds=500)
LARGE = constant(Size(id="2", text="x" * PART))
FIRST = wait_for("first", Size)
AT_LAST = wait_for("first", Size, timeout=SOON, otherwise=LARGE)
IDLE = choice(when(field("id") == "", passed), otherwise=go_on)
SAID = wait_for("said", Size, keep="given")


class TestEarlySignal:
    """A signal that came before its wait, and has no room beside what is kept for it by then."""

    @pytest.mark.parametrize(
        "before",
        [
            pytest.param(slow, id="agent"),
            pytest.param(slow >> IDLE, id="choice"),
            pytest.param(FIRST, id="signal"),
            pytest.param(FIRST >> IDLE, id="signal and choice"),
            pytest.param(AT_LAST, id="timeout"),
            pytest.param(budget(slow, within=SOON, fallback=LARGE), id="constant"),
            pytest.param(budget(slow, within=SOON, fallback=fill("late", PART)), id="fallback"),
        ],
    )
    def test_it_is_refused(self, live_coordinator: Coordinator, before: Step) -> None:
        """It is refused in the history, whatever reaches the wait: nothing is parked, and the run waits for another."""
        run = live_coordinator.start(Flow("size.early", before >> SAID >> kept, input=Size), Size(id="1"))
        run.signal("said", Size(id="1", text="x" * PART))
        if FIRST in (before, *getattr(before, "steps", ())):
            run.signal("first", Size(id="1", text="x" * PART))
        wait_until(lambda: refused(run) == ["said"], description="the signal is refused")
        assert (run.status(), list(run.letters())) == ("running", [])
        run.signal("said", Size(id="1", text="x"))
        assert run.result(timeout=20).octets == PART + 1
        assert refused(run) == ["said"]

    def test_another_came_meanwhile(self, live_coordinator: Coordinator) -> None:
        """Found once more, by a message that comes again, it is refused no more: another that came meanwhile stays, and so does
        what a step went on with."""
        take_back = live_coordinator.engine.services.store.take_back
        run = live_coordinator.start(Flow("size.twice", FIRST >> SAID >> kept, input=Size), Size(id="1"))
        wait, early = StepRef(run.id, "size.twice", "2"), Record("size.size/1", "{}")
        run.signal("said", Size(id="1", text="x"))
        assert take_back(wait, "said", early, {"kind": "refused", "step": "said"})
        run.signal("first", Size(id="1"))
        assert run.wait(timeout=20) == "completed"
        assert refused(run) == []

        run = live_coordinator.start(Flow("size.once", SAID >> FIRST, input=Size), Size(id="1"))
        run.signal("said", Size(id="1"))
        assert not take_back(StepRef(run.id, "size.once", "1"), "said", early)


def told_of(run: Run) -> None:
    """Wait until its one letter is of what is not passed on."""
    wait_until(lambda: [kind for kind, _ in kinds(run)] == ["not-passed-on"], description="its letter")


class TestNotPassedOn:
    def test_after_an_agent(self, live_coordinator: Coordinator) -> None:
        """A step has its outcome, and what follows its budget has no room where that leads: it waits as a letter, and its run is
        parked; a replay passes it on, where that is possible by then."""
        branch = budget(slow, within=timedelta(seconds=60), fallback=LARGE) >> IDLE
        flow = Flow("size.after", parallel(a=fill("big", PART), b=branch) >> both)
        run = live_coordinator.start(flow, Size(id="1"))
        assert run.wait(timeout=20) == "parked"
        told_of(run)
        run.letters()[0].replay()
        told_of(run)
        assert run.wait(timeout=20) == "parked"
        [letter] = run.letters()
        refused = r"has an outcome already, .* cannot be sent: .*; it was not skipped: .*; mend what .*, then replay it; or cancel"
        for given in (Size(id="1", text="small"), {"id": 5}):  # whatever is given: that is not what is wrong
            with pytest.raises(CoordinationError, match=refused):
                live_coordinator.skip(letter, given)
        with pytest.raises(EditRefused, match="it has its outcome"):
            live_coordinator.edit(letter, Size(id="1"))
        assert [entry["kind"] for entry in run.history()].count("skipped") == 0
        run.cancel()
        assert run.status() == "cancelled"
        with pytest.raises(EditRefused, match="its run is cancelled"):
            live_coordinator.edit(letter, Size(id="1"))
        with pytest.raises(CoordinationError, match="cannot be skipped: its run is cancelled"):
            live_coordinator.skip(letter, Size(id="1"))
        with pytest.raises(RunCancelled, match="was cancelled"):
            letter.replay()

    def test_after_a_timer(self, live_coordinator: Coordinator) -> None:
        """A constant stands in, and what follows has no room where that leads: nothing has come out of the wait, and its timer is a
        letter; a replay finds the same, and with something smaller in its place the run goes on."""
        flow = Flow("size.timer", parallel(a=fill("big", PART), b=AT_LAST >> IDLE) >> both, input=Size)
        run = live_coordinator.start(flow, Size(id="1"))
        for _ in range(2):
            wait_until(
                lambda: kinds(run) == [("too-large", "1.b.1.timer")], description="the timer is a letter"
            )
            assert run.wait(timeout=20) == "parked"
            run.letters()[0].replay()
        wait_until(lambda: kinds(run) == [("too-large", "1.b.1.timer")], description="the timer is a letter")
        live_coordinator.skip(run.letters()[0], Size(id="1", text="small"), why="it is too large")
        assert run.result(timeout=20).octets == PART + 5


def refused(run: Run) -> list[str]:
    return [entry["step"] for entry in run.history() if entry["kind"] == "refused"]


@agent("size.kept")
def kept(both: Kept) -> Count:
    return Count(octets=len(both.given.text) + len(both.said.text))


class Passed(Contract, name="size.passed", version=1):
    made: list[Size]


@agent("size.passed")
def counted_sizes(everything: Passed) -> Count:
    return Count(octets=len(everything.made))
