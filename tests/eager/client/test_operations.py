"""The desk: dead letters by cause, and operations on many of them, eager and with worker threads."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Permanent, agent
from handoffs.config.user import current_user
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.errors import (
    AmbiguousId,
    OperationOver,
    ServerError,
    UnknownGroup,
    UnknownLetter,
    UnknownOperation,
)
from handoffs.coordinator.journal.operations import CLAIMED, OperationLetter, Order
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.replay import Replays
from tests.eager.command import have_loaded
from tests.waiting import wait_until


class Asked(Contract, name="bench.order", version=1):
    number: str = Key()


BROKEN: set[str] = set()
DONE: Counter[str] = Counter()


@agent("bench.price")
def price(order: Asked) -> Asked:
    if "all" in BROKEN or order.number in BROKEN:
        raise Permanent(f"no price for {order.number}")
    DONE[order.number] += 1
    return order


FLOW = Flow("bench.prices", price)


class Noted(Contract, name="bench.noted", version=1):
    number: str = Key()
    note: str


@agent("bench.note")
def note(noted: Noted) -> Noted:
    if "all" in BROKEN:
        raise Permanent("no paper")
    return noted


NOTING = Flow("bench.notes", note >> note)


@pytest.fixture(autouse=True)
def _mended() -> Iterator[None]:
    BROKEN.clear()
    DONE.clear()
    yield
    BROKEN.clear()


def failed(desk: Coordinator, count: int, begin: int = 0) -> list[Letter]:
    """The letters of so many runs that are parked at their only step, the oldest first; what broke them is mended then."""
    BROKEN.add("all")
    for number in range(begin, begin + count):
        assert desk.start(FLOW, Asked(number=f"o-{number}")).wait(30) == "parked"
    wait_until(
        lambda: desk.journal.letters.total() == begin + count, description="the letters are in the journal"
    )
    BROKEN.clear()
    return list(desk.dead_letters())[begin:]


def settled(desk: Coordinator, letters: list[Letter]) -> None:
    """Wait until the runs of these letters are completed."""
    for letter in letters:
        assert desk.run(letter.run).wait(30) == "completed"


class TestGroups:
    def test_letters_of_one_cause_are_one_group(self, anywhere: Coordinator) -> None:
        """Whatever number they have; the group says where, why, how many and since when, and names one of them."""
        letters = failed(anywhere, 3)
        [group] = anywhere.letter_groups()
        assert (group.count, group.agent, group.text, group.error) == (
            3,
            "bench.price",
            "no price for o-#",
            "Permanent",
        )
        assert (group.contract, group.step, group.kind) == ("bench.order/1", "1", "error")
        assert group.first == min(letter.first_failed_at for letter in letters)
        assert group.example in {letter.id for letter in letters}
        assert {letter.fingerprint for letter in letters} == {group.id}
        assert anywhere.dead_letters(group=group.id) == letters
        assert anywhere.letter_group(group.id[:4]) == group

    def test_a_note_and_an_owner(self, anywhere: Coordinator) -> None:
        """People write down what it is and who cares; it is recorded who did."""
        failed(anywhere, 1)
        [group] = anywhere.letter_groups()
        noted = anywhere.note_group(group.id, "the list of March", owner="ann", by="bob")
        assert (noted.note, noted.owner, noted.noted_by) == ("the list of March", "ann", "bob")
        assert [(one.action, one.who) for one in anywhere.actions()] == [("note-group", "bob")]

    def test_a_group_that_does_not_wait_is_unknown(self, coordinator: Coordinator) -> None:
        """So is one that never was, and a beginning that is too short."""
        for odd in ("abcdef", "1", ""):
            with pytest.raises(UnknownGroup, match="coordinator dead-letters groups"):
                coordinator.letter_group(odd)


class TestOperations:
    def test_a_selection_is_replayed_each_letter_once(self, anywhere: Coordinator) -> None:
        """A group, a filter, some letters or ids: it says what came of it, and each replay and the operation are recorded."""
        letters = failed(anywhere, 4)
        [group] = anywhere.letter_groups()
        done = anywhere.replay_letters(letters[:1], by="ann", why="mended")
        assert (done.state, done.total, done.done, done.by, done.why) == ("done", 1, 1, "ann", "mended")
        anywhere.replay_letters([letters[1].id])
        anywhere.replay_letters({"flow": "bench.prices", "run": letters[2].run})
        last = anywhere.replay_letters(group)
        assert (last.total, last.selection, last.by) == (1, f"group {group.id}", current_user())
        settled(anywhere, letters)
        assert set(DONE.values()) == {1}
        assert Counter(one.action for one in anywhere.actions()) == {"begin-replay": 4, "replay": 4}
        assert [one.total for one in anywhere.operations()] == [1, 1, 1, 1]
        assert anywhere.operation(last.id[:8]) == last

    def test_what_arrives_later_is_not_caught(self, anywhere: Coordinator) -> None:
        """An operation is on the letters that waited when it began."""
        first = failed(anywhere, 2)
        begun = anywhere.operating.begin("replay", {}, Pace(), by="", why="")
        later = failed(anywhere, 1, begin=2)
        anywhere.operating.go_on(begun)
        settled(anywhere, first)
        assert [one.letter for one in anywhere.operation_letters(begun.id)] == [one.id for one in first]
        assert [one.replays for one in anywhere.dead_letters()] == [0]
        assert anywhere.run(later[0].run).status() == "parked"

    def test_a_canary_that_parks_again_stops_it(self, anywhere: Coordinator) -> None:
        """No other letter is sent; told which; resumed it goes on past the canary."""
        letters = failed(anywhere, 5)
        BROKEN.add("o-1")
        stopped = anywhere.replay_letters({}, canary=2)
        assert (stopped.state, stopped.done, stopped.pending, stopped.again) == ("stopped", 2, 3, 1)
        assert stopped.told.startswith(f"canary: 1 parked again: {letters[1].id} at step 1 (bench.price)")
        assert not DONE.keys() & {"o-2", "o-3", "o-4"}
        resumed = anywhere.resume_operation(stopped.id)
        assert (resumed.state, resumed.done) == ("done", 5)
        settled(anywhere, [letters[0], *letters[2:]])

    def test_a_canary_that_goes_through_lets_the_others_go(self, anywhere: Coordinator) -> None:
        """They are waited for, and then the rest is sent."""
        letters = failed(anywhere, 4)
        done = anywhere.replay_letters({}, canary=2)
        assert (done.state, done.done, done.told, done.pace.canary_passed) == ("done", 4, "", True)
        settled(anywhere, letters)
        assert set(DONE.values()) == {1}

    def test_a_canary_that_does_not_end_stops_it(self, live_coordinator: Coordinator) -> None:
        """After the time that is given to it."""
        letters = failed(live_coordinator, 3)
        live_coordinator.run(letters[0].run).pause(by="ann")
        stopped = live_coordinator.replay_letters({}, canary=1, canary_wait=0.3)
        assert (stopped.state, stopped.pending) == ("stopped", 2)
        assert stopped.told == f"canary: 1 still at work after 0.3 s, such as {letters[0].id}"

    def test_it_stops_where_the_cause_comes_back(self, anywhere: Coordinator) -> None:
        """It says which letter parked again; resumed it goes on until another one does."""
        letters = failed(anywhere, 6)
        BROKEN.update({"o-1", "o-3"})
        stopped = anywhere.replay_letters({}, rate=2, stop_on_recurrence=True)
        assert stopped.state == "stopped"
        assert letters[1].id in stopped.told
        assert "parked again for the same cause" in stopped.told
        assert stopped.pending > 0
        again = anywhere.resume_operation(stopped.id)
        assert letters[3].id in again.told
        BROKEN.clear()
        over = again if again.state == "done" else anywhere.resume_operation(again.id)
        assert (over.state, over.done, over.again) == ("done", 6, 2)

    def test_another_cause_does_not_stop_it(
        self, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only what it was to mend: what fails otherwise is counted, and told."""
        failed(coordinator, 3)
        said = Permanent("the list is locked")

        def locked(order: Asked) -> Asked:
            raise said

        with coordinator.fake(price, locked):
            done = coordinator.replay_letters({}, stop_on_recurrence=True)
        assert (done.state, done.done, done.again, done.otherwise) == ("done", 3, 0, 3)

    def test_a_rate_is_kept(self, coordinator: Coordinator) -> None:
        """The first goes at once, and each after it waits for its turn."""
        failed(coordinator, 4)
        began = time.monotonic()
        done = coordinator.replay_letters({}, rate=10)
        assert done.done == 4
        assert time.monotonic() - began >= 0.3

    def test_cancelled_it_ends_before_the_next_letter(self, anywhere: Coordinator) -> None:
        """Whoever does it; the other letters wait, and it cannot be resumed."""
        failed(anywhere, 4)
        begun = anywhere.operating.begin("replay", {}, Pace(), by="", why="")

        def cancel(_: OperationLetter) -> None:
            anywhere.cancel_operation(begun.id, by="eve", why="wrong")

        anywhere.operating.go_on(begun, cancel)
        over = anywhere.operation(begun.id)
        assert (over.state, over.done, over.pending, over.told) == ("cancelled", 1, 3, "wrong")
        for odd in (anywhere.resume_operation, anywhere.cancel_operation):
            with pytest.raises(OperationOver, match="is cancelled"):
                odd(begun.id)
        assert ("cancel-operation", "eve") in {(one.action, one.who) for one in anywhere.actions()}

    def test_who_resumes_it_takes_it(self, live_coordinator: Coordinator) -> None:
        """The process that does it still ends, and no letter is replayed twice."""
        letters = failed(live_coordinator, 6)
        begun = live_coordinator.operating.begin("replay", {}, Pace(rate=4), by="", why="")
        first = threading.Thread(target=live_coordinator.operating.go_on, args=(begun,))
        first.start()
        wait_until(lambda: live_coordinator.operation(begun.id).done >= 1, description="it has begun")
        resumed = live_coordinator.resume_operation(begun.id)
        first.join(20)
        assert (resumed.state, resumed.done) == ("done", 6)
        settled(live_coordinator, letters)
        assert set(DONE.values()) == {1}
        assert [letter.replays for letter in live_coordinator.dead_letters(state=None)] == [1] * 6

    def test_who_takes_it_sends_what_is_about_to_be_sent(
        self, live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where both are at the same letter, before either has counted it, it is one replay."""
        letters = failed(live_coordinator, 2)
        journal, go = live_coordinator.journal, threading.Event()
        real, waits = journal.letters.count_replay, threading.Event()

        def late(letter: str, after: int | None = None) -> int:
            if threading.current_thread() is first:
                waits.set()
                assert go.wait(20)
            return real(letter, after)

        monkeypatch.setattr(journal.letters, "count_replay", late)
        begun = live_coordinator.operating.begin("replay", {}, Pace(), by="", why="")
        first = threading.Thread(target=live_coordinator.operating.go_on, args=(begun,))
        first.start()
        assert waits.wait(20)
        resumed = live_coordinator.resume_operation(begun.id)
        go.set()
        first.join(20)
        assert (resumed.state, resumed.done) == ("done", 2)
        settled(live_coordinator, letters)
        assert set(DONE.values()) == {1}
        assert [letter.replays for letter in live_coordinator.dead_letters(state=None)] == [1, 1]

    def test_what_cannot_be_replayed_is_refused_with_its_reason(self, anywhere: Coordinator) -> None:
        """And the others go on."""
        letters = failed(anywhere, 2)
        operation = anywhere.operating.begin("replay", letters, Pace(), by="", why="")
        anywhere.run(letters[0].run).cancel()
        wait_until(lambda: anywhere.journal.letters.total() == 1, description="its letter is cancelled")
        anywhere.operating.go_on(operation)
        done = anywhere.operation(operation.id)
        assert (done.done, done.gone) == (1, 1)
        [odd] = anywhere.operation_letters(done.id, state="gone")
        assert (odd.letter, odd.told) == (letters[0].id, "it is cancelled by now")
        refused = anywhere.replay_letters(letters[:1])
        assert (refused.done, refused.refused) == (0, 1)

    def test_put_away_letters_wait_no_more_and_can_be_brought_back(self, anywhere: Coordinator) -> None:
        """They are in no group and no list of what waits; a replay by id sends one on its way."""
        letters = failed(anywhere, 2)
        done = anywhere.archive_letters({}, by="ann", why="of last year")
        assert (done.kind, done.state, done.done) == ("archive", "done", 2)
        assert not anywhere.letter_groups()
        assert not anywhere.dead_letters()
        assert {one.state for one in anywhere.dead_letters(state=None)} == {"archived"}
        assert Counter(one.action for one in anywhere.actions()) == {"begin-archive": 1, "archive": 2}
        anywhere.replay_letters(letters[0])
        settled(anywhere, letters[:1])

    def test_what_was_put_away_waits_again(self, anywhere: Coordinator) -> None:
        """A filter chooses among what is put away; what waits already is counted as gone, and each is recorded."""
        letters = failed(anywhere, 3)
        anywhere.archive_letters(letters[:2], by="ann")
        done = anywhere.restore_letters({"flow": "bench.prices"}, by="bob", why="wanted")
        assert (done.kind, done.state, done.done, done.gone) == ("restore", "done", 2, 0)
        assert [one.id for one in anywhere.dead_letters()] == [one.id for one in letters]
        again = anywhere.restore_letters(letters[0].id)
        assert (again.done, again.gone) == (0, 1)
        [odd] = anywhere.operation_letters(again.id)
        assert odd.told == "it is not put away"
        assert Counter(one.action for one in anywhere.actions(by="bob")) == {"begin-restore": 1, "restore": 2}
        anywhere.replay_letters({})
        settled(anywhere, letters)

    def test_what_is_over_meanwhile_does_not_wait_again(self, anywhere: Coordinator) -> None:
        """Where the run was cancelled, or the step has its outcome, a letter that is brought back is what it is then."""
        letters = failed(anywhere, 2)
        anywhere.archive_letters(letters)
        anywhere.run(letters[0].run).cancel()
        letters[1].replay()
        settled(anywhere, letters[1:])
        for one in letters:
            anywhere.journal.letters.mark(one.id, "archived")
        anywhere.restore_letters(letters)
        assert [anywhere.find_letter(one.id).state for one in letters] == ["cancelled", "settled"]

    def test_a_process_that_leaves_lets_another_go_on(self, anywhere: Coordinator) -> None:
        """It is as where the process died: nothing is stopped, no more is sent, and the canary is not passed over when it is resumed."""
        letters = failed(anywhere, 4)
        begun = anywhere.operating.begin("replay", {}, Pace(canary=2), by="", why="")
        seen: list[OperationLetter] = []
        anywhere.operating.go_on(begun, seen.append, leaving=lambda: len(seen) == 1)
        left = anywhere.operation(begun.id)
        assert (left.state, left.done, left.pace.canary_passed) == ("running", 1, False)
        BROKEN.add("o-1")
        resumed = anywhere.resume_operation(begun.id)
        assert (resumed.state, resumed.done, resumed.pending) == ("stopped", 2, 2)
        assert letters[1].id in resumed.told

    def test_cancelled_it_ends_though_its_next_turn_is_far_off(self, anywhere: Coordinator) -> None:
        """Who waits for the turn of the next letter looks whether there is one."""
        failed(anywhere, 2)
        begun = anywhere.operating.begin("replay", {}, Pace(rate=0.001), by="", why="")
        at_work = threading.Thread(target=anywhere.operating.go_on, args=(begun,))
        at_work.start()
        wait_until(lambda: anywhere.operation(begun.id).done == 1, description="the first is sent")
        anywhere.cancel_operation(begun.id)
        at_work.join(10)
        assert not at_work.is_alive()

    def test_looking_ahead_says_what_follows_and_what_a_key_stands_for(
        self, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whose turn it is after a letter's step, and that its key has an outcome for other content."""
        have_loaded(coordinator, monkeypatch, NOTING)
        BROKEN.add("all")
        run = coordinator.start(NOTING, Noted(number="o-1", note="first"))
        assert run.wait(30) == "parked"
        BROKEN.clear()
        [letter] = run.letters()
        [ahead] = coordinator.foresee_letters(letter)
        assert (ahead.follows, ahead.meets) == (("bench.note",), ())
        once = Flow("bench.once", note)
        assert coordinator.start(once, Noted(number="o-2", note="one")).wait(30) == "completed"
        [taken] = coordinator.start(NOTING, Noted(number="o-2", note="another")).letters()
        coordinator.journal.letters.add(replace(taken.row, kind="unroutable", last_failed_at="2999-01-01"))
        [ahead] = coordinator.foresee_letters(taken.id)
        assert ahead.meets == ("its key has an outcome for other content: it would park as a conflict",)

    def test_looking_ahead_changes_nothing(self, anywhere: Coordinator) -> None:
        """It says what would be refused, and what a replay would meet."""
        letters = failed(anywhere, 2)
        anywhere.run(letters[0].run).cancel()
        ahead = {one.letter.id: one for one in anywhere.foresee_letters(letters)}
        assert ahead[letters[0].id].refused == "its run is cancelled"
        assert ahead[letters[1].id].refused == ""
        assert [one.replays for one in anywhere.dead_letters(state=None)] == [0, 0]
        assert anywhere.operations() == []

    def test_what_a_replay_would_meet(
        self, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That no worker reads the version, or that none is there."""
        [letter] = failed(coordinator, 1)
        services = coordinator.engine.services
        for manifests, said in (
            ([], "no worker of bench.price is known: it would wait in its queue"),
            ([{"accepts": {"bench.order": [2]}}], "none of the workers of bench.price reads bench.order/1"),
            ([{"accepts": {"bench.order": [1, 2]}}, {"accepts": {}}], "not every one of the workers of bench.price reads bench.order/1"),
        ):  # fmt: skip
            monkeypatch.setattr(
                type(services.announcements), "consumers", lambda self, agent, found=manifests: found
            )
            [ahead] = coordinator.foresee_letters(letter)
            assert ahead.meets == (said,)

    @pytest.mark.parametrize("odd", [5, None, [5], {"colour": "red"}, {"flow": 5}, object()])
    def test_what_chooses_no_letters(self, coordinator: Coordinator, odd: Any) -> None:
        """It is refused before anything is written down."""
        with pytest.raises(InvalidData):
            coordinator.replay_letters(odd)
        with pytest.raises(UnknownLetter):
            coordinator.replay_letters(["nobody"])
        assert coordinator.operations() == []

    def test_an_operation_that_is_not_there(self, coordinator: Coordinator) -> None:
        """Nothing is found by its id, by the beginning of another's, or by that of several."""
        failed(coordinator, 1)
        for _ in range(40):
            coordinator.journal.operations.begin(Order("replay", "none", "ann"), [])
        for odd in ("abcdefgh-0", "ab", ""):
            with pytest.raises(UnknownOperation):
                coordinator.operation(odd)


class Died(BaseException):
    """The process ends here."""


class TestResumed:
    """A process that dies at any point between two steps: whoever resumes replays each letter once."""

    PLACES = ("claim", "unpark", "count_replay", "publish", "mark_replayed", "record", "conclude")

    @pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
    @pytest.mark.parametrize("place", PLACES)
    def test_it_dies(
        self, anywhere: Coordinator, monkeypatch: pytest.MonkeyPatch, place: str, before: bool
    ) -> None:
        """Before and after each thing that it does with a letter."""
        letters = failed(anywhere, 3)
        services, journal = anywhere.engine.services, anywhere.journal
        target: Any = {
            "claim": journal.operations, "unpark": services.runs, "count_replay": journal.letters, "publish": services.publisher,
            "mark_replayed": journal.letters, "record": journal.actions, "conclude": journal.operations,
        }[place]  # fmt: skip
        begun = anywhere.operating.begin("replay", letters, Pace(), by="ann", why="")
        real, calls = getattr(type(target), place), iter(range(100))

        def dying(self: Any, *given: Any, **named: Any) -> Any:
            mine = threading.current_thread() is me and next(calls) == 1
            if mine and before:
                raise Died
            found = real(self, *given, **named)
            if mine:
                raise Died
            return found

        me = threading.current_thread()
        with monkeypatch.context() as patch:
            patch.setattr(type(target), place, dying)
            with pytest.raises(Died):
                anywhere.operating.go_on(begun)
        assert anywhere.operation(begun.id).state == "running"
        done = anywhere.resume_operation(begun.id, by="bob")
        assert (done.state, done.done, done.refused, done.gone) == ("done", 3, 0, 0)
        settled(anywhere, letters)
        assert DONE == {"o-0": 1, "o-1": 1, "o-2": 1}
        assert not list(anywhere.operation_letters(done.id, state=CLAIMED))
        assert Counter(one.action for one in anywhere.actions()) == {
            "begin-replay": 1,
            "resume-operation": 1,
            "replay": 3,
        }

    def test_a_letter_that_was_sent_and_parked_again_is_not_sent_again(
        self, anywhere: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the process died before it wrote that down: the letter tells."""
        letters = failed(anywhere, 2)
        BROKEN.add("all")
        begun = anywhere.operating.begin("replay", letters, Pace(), by="ann", why="")
        with monkeypatch.context() as patch:

            def dying(*_: Any, **__: Any) -> None:
                raise Died

            patch.setattr(type(anywhere.journal.operations), "conclude", dying)
            with pytest.raises(Died):
                anywhere.operating.go_on(begun)
        wait_until(
            lambda: {one.times for one in anywhere.dead_letters()} == {1, 2},
            description="it has parked again",
        )
        done = anywhere.resume_operation(begun.id)
        assert done.done == 2
        wait_until(
            lambda: {one.times for one in anywhere.dead_letters()} == {2},
            description="each has parked again, once",
        )
        assert {one.replays for one in anywhere.dead_letters()} == {1}

    def test_a_replay_that_has_failed_again_is_not_sent_under_its_number(
        self, coordinator: Coordinator
    ) -> None:
        """Whoever ends a replay of which nobody knows whether it was sent looks at the run first; and a copy would not run the step."""
        [letter] = failed(coordinator, 1)
        BROKEN.add("all")
        coordinator.replay_letters(letter)
        [again] = coordinator.dead_letters()
        assert (again.replays, again.times) == (1, 2)
        BROKEN.clear()
        coordinator.desk.finish_replay(letter.id)
        assert coordinator.dead_letters() == [again]
        Replays(coordinator.engine.services, coordinator.journal)._send(again.row, again.replays)
        assert not DONE
        assert coordinator.run(letter.run).status() == "parked"
        coordinator.journal.letters.mark(letter.id, "waiting")
        coordinator.replay_letters(letter)
        assert DONE == {"o-0": 1}

    def test_a_server_that_is_away_leaves_it_to_be_resumed(
        self, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The letter waits as before, and is not called refused."""
        letters = failed(coordinator, 2)
        with monkeypatch.context() as patch:

            def away(*_: Any, **__: Any) -> None:
                raise ServerError("the broker is away")

            patch.setattr(Replays, "_send", away)
            with pytest.raises(ServerError):
                coordinator.replay_letters({})
        [operation] = coordinator.operations()
        assert (operation.state, operation.pending) == ("running", 2)
        assert coordinator.resume_operation(operation.id).done == 2
        settled(coordinator, letters)


def test_ambiguous_ids_are_told(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of groups as of runs."""
    groups = coordinator.journal.groups
    monkeypatch.setattr(type(groups), "beginning_with", lambda self, prefix, limit: ["1abc1", "1abc2"])
    with pytest.raises(AmbiguousId, match="several groups"):
        coordinator.letter_group("1abc")
