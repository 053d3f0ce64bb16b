"""What every Redis must do with runs that have ended, and with what undoes them: on the embedded one and on a real one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from handoffs.config.delays import LONGEST_DELAY, delay_ms
from handoffs.contracts.envelope import life_of
from handoffs.coordinator.continuation.moves import Join
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.fields import Kind
from handoffs.coordinator.store.handoffs import _Settlement
from handoffs.coordinator.store.keys import digest_of
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Advance, Settled
from handoffs.coordinator.store.store import Store
from handoffs.coordinator.store.undo import OutcomeRef, Undo, UndoNext
from tests.examples import examples
from tests.store_suite import (
    AGENT,
    FIRST,
    FIRST_END,
    LONG,
    ONE,
    OTHER,
    TWO,
    claim,
    entry,
    make_settings,
    runs,
    take_over,
    told,
)

ACCEPTS = "urn:contract:shop.priced:1"
STATUSES = ("cancelled", "completed")


def undo_text(step: str, key: str = "", fence: int = 0) -> str:
    outcome = OutcomeRef(AGENT, digest_of(key), fence) if key else None
    return Undo(step, "shop.unprice", ACCEPTS, outcome=outcome).text()


def settle_undoable(store: Store, place: StepRef, key: str, *, record: Record = ONE) -> int:
    """Claim a step that something undoes, and settle it; gives the fence."""
    fence = claim(store, place, key=key).fence
    said = {"run": place.run, "kind": "settled"}
    store.settle(
        place, agent=AGENT, key=key, content="c", fence=fence, record=record, entry=said,
        onward=Advance(ends=False, undo=undo_text(place.step, key, fence)),
    )  # fmt: skip
    return fence


def settle_undo(store: Store, next_one: UndoNext, run: str = FIRST.run, *, again: bool = False) -> Settled:
    """Do what undoes a step, and settle that; or find once more what follows."""
    place = StepRef(run, FIRST.flow, f"{next_one.undo.step}.undo")
    left = next_one.left or None
    onward = Advance(ends=True, left=left, undoes=next_one.undo.outcome)
    if again:
        return store.follow(place, record=TWO, onward=onward)
    said = {"run": run, "kind": "settled"}
    fence = claim(store, place, key=place.step + run).fence
    return store.settle(
        place, agent=AGENT, key=place.step + run, content="c", fence=fence, record=TWO, entry=said,
        onward=onward,
    )  # fmt: skip


def status(store: Store, run: str = FIRST.run) -> str:
    found = runs(store).state(run)
    assert found is not None
    return found.status


def forget(store: Store, run: str = FIRST.run) -> None:
    """The time for which a run that has ended is kept is over."""
    assert store.redis.delete(store.keys.run(run)) == 1


class TestUndoing:
    """What was done is undone step by step; the run remembers what is left, and no message does."""

    def test_any_number_of_steps(self, store: Store) -> None:
        """Ten thousand steps are begun to be undone at once, and each is followed by the one before it."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        count, run = 10_000, store.keys.run(FIRST.run)
        store.redis.hset(run, "undoable", str(count))
        for low in range(1, count, 500):
            fields = dict[Any, Any]()
            for number in range(low, low + 500):
                fields[Kind.UNDO.of(f"{number:09d}")] = undo_text(f"1.i{number}.1", f"k{number}", number)
                fields[Kind.SETTLED.of(f"1.i{number}.1")] = ONE.text()
            store.redis.hset(run, mapping=fields)
        state, first = runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        assert state == "compensating"
        assert first is not None
        assert (first.undo.step, first.left) == (f"1.i{count}.1", count - 1)
        assert sum(map(len, runs(store).to_undo(FIRST.run))) == count
        following = settle_undo(store, first).undo
        assert following is not None
        assert (following.undo.step, following.left, following.record) == (
            f"1.i{count - 1}.1",
            count - 2,
            ONE,
        )

    def test_in_reverse_order_whoever_asks_again(self, store: Store) -> None:
        """Each step is undone once, the last one first, then the run is cancelled; also where each is asked for again: by who
        cancels, and by messages that come twice."""

        # a function of each call: Hypothesis takes one method of two classes in one process for a fault
        @examples(15, deadline=None)
        @given(data=st.data())
        def undone_in_order(data: st.DataObject) -> None:
            run = f"run-{data.draw(st.integers(0, 10**9))}-{store.redis.dbsize()}"
            steps = [f"{number}" for number in range(1, data.draw(st.integers(1, 5)) + 1)]
            runs(store).start(replace(FIRST, run=run), key="k", content="c", first="[]")
            for step in steps:
                settle_undoable(store, replace(FIRST, run=run, step=step), run + step)
            _, following = runs(store).cancel(run, entry("cancelled", run), compensate=True)
            undone = []
            while following is not None:
                if data.draw(st.booleans()):
                    assert runs(store).cancel(run, entry("cancelled", run), compensate=True)[1] == following
                undone.append(following)
                settled = settle_undo(store, following, run)
                for one in undone if data.draw(st.booleans()) else ():
                    again = settle_undo(store, one, run, again=True)
                    assert again.undo == (settled.undo if one is following else None)
                following = settled.undo
            assert [one.undo.step for one in undone] == steps[::-1]
            assert status(store, run) == "cancelled"
            assert told(store, run).count("cancelled") == 1

        undone_in_order()

    def test_what_is_begun_is_gone_on_with(self, store: Store) -> None:
        """Until somebody has sent what undoes the first step, the run is among those that the sweep sees to."""
        settle_undoable(store, FIRST, "k")
        runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        assert list(runs(store).not_begun_to_undo(timedelta(hours=1))) == []
        assert list(runs(store).unpublished(older_than=timedelta(seconds=-1))) == []
        assert list(runs(store).not_begun_to_undo(timedelta(seconds=-1))) == [FIRST.run]
        runs(store).published(FIRST.run)
        assert list(runs(store).not_begun_to_undo(timedelta(seconds=-1))) == []

    def test_longer_than_results_are_kept(self, store: Store) -> None:
        """A run that is being undone is kept like one that runs."""
        settle_undoable(store, FIRST, "k")
        runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        assert store.redis.ttl(store.keys.run(FIRST.run)) > timedelta(days=2).total_seconds()

    def test_done_before_and_recorded_after(self, store: Store) -> None:
        """Where a process died after its outcome was known by its key and before its run knew it, and the run was cancelled
        meanwhile, the redelivery finds that outcome, and it is undone; another run's outcome of that key is not."""
        settle_undoable(store, FIRST_END, "k2")
        fence = claim(store).fence
        settle_outcome = store.handoffs._settle_outcome(
            AGENT, "k", fence, TWO.text(), "c", f"{FIRST.run}|{FIRST.step}"
        )
        scripts.run(store.redis, settle_outcome)
        runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        again = claim(store)
        assert (again.verdict, again.record, again.fence) == ("done", TWO, fence)
        late = store.settle_known(
            FIRST, fence=fence, record=TWO, entry=entry("deduplicated"), onward=Advance(undo=undo_text("1", "k", fence))
        )  # fmt: skip
        assert (late.verdict, late.undo and late.undo.record) == ("undo", TWO)
        assert claim(store, replace(FIRST, step="3")).verdict == "compensating"


class TestGenerations:
    """An outcome that was undone does not answer for its key any more: the work is done again, as the next generation."""

    def test_undone_and_done_again(self, store: Store) -> None:
        """While it is being undone its key is busy, whatever the content; then the work is done again, each time of another
        generation, and with another content if need be."""
        for generation, place in enumerate((FIRST, OTHER, replace(FIRST, run="run-3"))):
            taken = claim(store, place, content=f"c{generation}")
            assert (taken.verdict, taken.generation) == ("granted", generation)
            said = {"run": place.run, "kind": "settled"}
            store.settle(
                place, agent=AGENT, key="k", content=f"c{generation}", fence=taken.fence, record=ONE, entry=said,
                onward=Advance(undo=undo_text("1", "k", taken.fence)),
            )  # fmt: skip
            assert (
                claim(store, replace(place, run="other"), content=f"c{generation}").generation == generation
            )
            outcome = OutcomeRef(AGENT, digest_of("k"), taken.fence)
            scripts.run(store.redis, store.handoffs.undo_outcome(outcome))
            busy = claim(store, replace(place, run="busy"), content="other")
            assert (busy.verdict, bool(busy.wait)) == ("busy", True)
            for _ in range(2):
                scripts.run(store.redis, store.handoffs.undo_outcome(outcome, undone=True))
        assert store.lease_of(AGENT, "k") is None

    def test_settled_again_while_it_is_undone(self, store: Store) -> None:
        """The settlement that comes once more does not bring back an outcome that is being undone, or was."""
        fence = settle_undoable(store, FIRST, "k")
        outcome, again = OutcomeRef(AGENT, digest_of("k"), fence), None
        for undone in (False, True):
            scripts.run(store.redis, store.handoffs.undo_outcome(outcome, undone=undone))
            again = scripts.run(
                store.redis, store.handoffs._settle_outcome(AGENT, "k", fence, ONE.text(), "c")
            )
            assert again == ["settled"]
            state = store.redis.hget(store.keys.outcome(AGENT, "k"), "state")
            assert state == ("undone" if undone else "undoing")

    def test_only_that_outcome(self, store: Store) -> None:
        """What undoes an older outcome of a key leaves the newer one alone."""
        fence = settle_undoable(store, FIRST, "k")
        old = OutcomeRef(AGENT, digest_of("k"), fence - 1)
        scripts.run(
            store.redis, store.handoffs.undo_outcome(old), store.handoffs.undo_outcome(old, undone=True)
        )
        assert claim(store, OTHER).verdict == "done"

    def test_one_name_whoever_records_it(self, store: Store) -> None:
        """Where a run has recorded an outcome and its process died before the key was told, who takes the key over records it under the
        name that it has there: what undoes it in either run is the same."""
        fence = claim(store).fence
        settle_run = store.handoffs._settle_run(
            FIRST, _Settlement(record=ONE, onward=Advance(), entry=None, fence=fence)
        )
        scripts.run(store.redis, settle_run)
        taken = take_over(store, OTHER)
        assert (taken.verdict, taken.fence, taken.record) == ("done", fence, ONE)
        assert claim(store, replace(OTHER, run="run-3")).fence == fence

    def test_only_its_run_knows_it(self, store: Store) -> None:
        """The same where nobody has taken the key over: undone, it gives no outcome to who comes then."""
        fence = claim(store).fence
        scripts.run(
            store.redis,
            store.handoffs._settle_run(
                FIRST, _Settlement(record=ONE, onward=Advance(), entry=None, fence=fence)
            ),
        )
        outcome = OutcomeRef(AGENT, digest_of("k"), fence)
        scripts.run(store.redis, store.handoffs.undo_outcome(outcome))
        assert claim(store, OTHER).verdict == "busy"
        scripts.run(store.redis, store.handoffs.undo_outcome(outcome, undone=True))
        taken = claim(store, OTHER)
        assert (taken.verdict, taken.generation) == ("granted", 1)

    def test_undoing_is_settled_once(self, store: Store) -> None:
        """With the step that undoes it the outcome goes; a redelivery makes it go no second time."""
        settle_undoable(store, FIRST, "k")
        _, first = runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        assert first is not None
        settle_undo(store, first)
        taken = claim(store, OTHER)
        assert (taken.verdict, taken.generation) == ("granted", 1)
        settle_undo(store, first, again=True)
        assert take_over(store, OTHER).generation == 1


@pytest.mark.parametrize("how", STATUSES)
class TestForgotten:
    """A run that has ended does not begin again, however long ago it has ended."""

    def ended(self, store: Store, how: str) -> None:
        runs(store).start(FIRST, key="k", content="c", first="[]")
        self.end(store, how)
        forget(store)

    def end(self, store: Store, how: str) -> None:
        if how == "completed":
            store.follow(FIRST_END, record=ONE, onward=Advance(ends=True))
        else:
            runs(store).cancel(FIRST.run, entry("cancelled"))

    def test_no_message_begins_it(self, store: Store, how: str) -> None:
        """A message of it is neither begun, nor parked, edited, held or sent on; and leaves nothing but what was left of it."""
        self.ended(store, how)
        assert claim(store).verdict == how
        assert store.park(FIRST, {"kind": "error"}, entry("parked")) == how
        assert runs(store).unpark(FIRST, entry("replayed")) == how
        assert runs(store).signal(FIRST.run, "go", ONE, entry("signalled")) == (how, None)
        assert runs(store).pause(FIRST.run, entry("paused")) == how
        assert runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True) == (how, None)
        edit: Any = {"number": 1}
        edited = runs(store).edit(
            FIRST, edit, before=0, entry=entry("edited"), sent=f"{AGENT} shop.priced/1", where="parked"
        )
        assert edited == how
        assert store.closed(FIRST)
        store.stopped(FIRST, {})
        assert not store.redis.exists(store.keys.run(FIRST.run))
        assert store.redis.ttl(store.keys.ended(FIRST.run)) > timedelta(days=29).total_seconds()

    @pytest.mark.parametrize("again", [False, True])
    def test_no_settlement_moves_it(self, store: Store, how: str, again: bool) -> None:
        """What was at work still is recorded for its key, and told; nothing follows."""
        self.ended(store, how)
        joins = (Join("1", ("a", "b"), "a"),)
        if again:
            settled = store.follow(FIRST, record=ONE, onward=Advance(joins))
        else:
            settled = store.settle(
                FIRST, agent=AGENT, key="k", content="c", fence=claim_of_another(store), record=ONE,
                entry=entry("settled"), onward=Advance(joins),
            )  # fmt: skip
            assert told(store)[-1] == ("settled" if how == "cancelled" else "late")
        assert (settled.verdict, settled.waiting) == ("cancelled" if how == "cancelled" else "late", False)
        assert not store.redis.exists(store.keys.run(FIRST.run))

    def test_what_follows_an_event_goes_on(self, store: Store, how: str) -> None:
        """What hears an event of a flow is no part of the run: it is done, once, and the run is what it was."""
        self.ended(store, how)
        heard = replace(FIRST, step="shop.hear@ab")
        taken = claim(store, heard, key="h")
        assert taken.verdict == "granted"
        store.settle(
            heard, agent=AGENT, key="h", content="c", fence=taken.fence, record=ONE, entry=entry("settled"),
            onward=Advance(ends=False),
        )  # fmt: skip
        assert claim(store, heard, key="h").verdict == "settled"
        assert status(store) == how

    def test_somebody_starts_it_anew(self, store: Store, how: str) -> None:
        """Who starts a run under its key once it is forgotten begins no step of it again: it has another life, of another id, which
        is found as long as it lives, also where what is left of the first would be forgotten by then."""
        self.ended(store, how)
        assert runs(store).newest_life(FIRST.run) == 0
        for number in (1, 2):
            assert runs(store).start(FIRST, key="k", content="d", first="[]") == "over"
            assert claim(store).verdict == how
            other = replace(FIRST, run=life_of(FIRST.run, number))
            assert runs(store).start(other, key="k", content="d", first="[]", life=number) == "created"
            assert claim(store, other, key=other.run).verdict == "granted"
            state = runs(store).state(other.run)
            assert state is not None
            assert state.life == (FIRST.run, number)
            runs(store).keep_lives([state.life])
            assert runs(store).newest_life(FIRST.run) == number
        store.redis.delete(store.keys.ended(FIRST.run))
        runs(store).keep_lives([(FIRST.run, 2)])
        runs(store).keep_lives([(FIRST.run, 1)])
        assert runs(store).newest_life(FIRST.run) == 2
        assert runs(store).start(FIRST, key="k", content="d", first="[]") == "over"
        assert store.redis.ttl(store.keys.ended(FIRST.run)) > timedelta(days=30).total_seconds()

    def test_as_long_as_its_longest_wait(self, store: Store, how: str) -> None:
        """Where a run would have been kept for longer, for it waits for a time that is far, what is left of it is as well."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        store.redis.expire(store.keys.run(FIRST.run), timedelta(days=90))
        self.end(store, how)
        assert store.redis.ttl(store.keys.ended(FIRST.run)) > timedelta(days=89).total_seconds()
        assert store.redis.ttl(store.keys.run(FIRST.run)) <= timedelta(days=1).total_seconds()

    def test_as_long_as_a_queue_holds_a_message(self, redis_server: Redis, namespace: str, how: str) -> None:
        """However short runs are kept: what one had put off comes out of its delay queue, and finds that it has ended."""
        moment = timedelta(seconds=2)
        short = Store(
            redis_server, make_settings(namespace=namespace, run_ttl=moment, result_ttl=moment, shards=1)
        )
        self.ended(short, how)
        most = timedelta(milliseconds=delay_ms(LONGEST_DELAY))
        assert short.redis.ttl(short.keys.ended(FIRST.run)) > most.total_seconds()


class TestForgottenAndUndone:
    @pytest.mark.parametrize("compensate", [False, True])
    def test_a_straggler_is_undone(self, store: Store, compensate: bool) -> None:
        """An agent that comes back days after its run was cancelled has done something: with compensation it is undone."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        fence = claim(store).fence
        runs(store).cancel(FIRST.run, entry("cancelled"), compensate=compensate)
        forget(store)
        said = {"run": FIRST.run, "kind": "settled"}
        late = store.settle(
            FIRST, agent=AGENT, key="k", content="c", fence=fence, record=ONE, entry=said,
            onward=Advance(undo=undo_text("1", "k", fence)),
        )  # fmt: skip
        assert late.verdict == ("undo" if compensate else "cancelled")
        if late.undo:
            runs(store).keep_lives([(FIRST.run, 3)])
            assert late.undo.left == 0
            settle_undo(store, late.undo)
            assert status(store) == "cancelled"
            assert runs(store).newest_life(FIRST.run) == 3

    def test_another_life_is_not_undone(self, store: Store) -> None:
        """That a run goes on in another life does not make one undone that was cancelled without that."""
        runs(store).start(FIRST, key="k", content="c", first="[]")
        fence = claim(store).fence
        runs(store).cancel(FIRST.run, entry("cancelled"))
        forget(store)
        runs(store).keep_lives([(FIRST.run, 1)])
        said = {"run": FIRST.run, "kind": "settled"}
        late = store.settle(
            FIRST, agent=AGENT, key="k", content="c", fence=fence, record=ONE, entry=said,
            onward=Advance(undo=undo_text("1", "k", fence)),
        )  # fmt: skip
        assert late.verdict == "cancelled"

    def test_a_scheduled_run(self, store: Store) -> None:
        """One that was cancelled before its time does not begin either."""
        runs(store).start(FIRST, key="k", content="c", first="[]", due=LONG)
        runs(store).cancel(FIRST.run, entry("cancelled"), compensate=True)
        forget(store)
        assert claim(store).verdict == "cancelled"
        assert store.redis.ttl(store.keys.ended(FIRST.run)) >= timedelta(days=30).total_seconds()


def claim_of_another(store: Store) -> int:
    """The fence of a lease on the same key, which a run took that goes on."""
    return claim(store, OTHER).fence
